/// Puts instructions in a row and turns labels into the distances of forward jumps.
///
/// A conditional jump of BPF reaches 255 instructions; where a label lies farther, the assembler goes by way of an
/// unconditional one, which reaches everywhere.
struct FilterAssembler {
    /// A place that jumps name before or after it is known.
    struct Label: Hashable {
        fileprivate let index: Int
    }

    private enum Item {
        case plain(FilterInstruction)
        case jump(Label)
        case branch(FilterInstruction.Operation, UInt32, ifTrue: Label?, ifFalse: Label?)
        case place(Label)
    }

    private var items: [Item] = []
    private var labels = 0

    /// A new label, to be placed once.
    mutating func label() -> Label {
        labels += 1
        return Label(index: labels - 1)
    }

    /// Puts `label` before the next instruction.
    mutating func place(_ label: Label) { items.append(.place(label)) }

    /// Adds an instruction that does not jump.
    mutating func add(_ operation: FilterInstruction.Operation, _ operand: UInt32) {
        items.append(.plain(FilterInstruction(operation, operand)))
    }

    /// Ends with the verdict `action`.
    mutating func give(_ action: FilterAction) { add(.give, action.code) }

    /// Goes on at `label`, which is placed later.
    mutating func jump(to label: Label) { items.append(.jump(label)) }

    /// Compares, and goes on at a label placed later, or at the next instruction where none is given.
    mutating func branch(
        _ operation: FilterInstruction.Operation, _ operand: UInt32, ifTrue: Label? = nil, ifFalse: Label? = nil
    ) {
        items.append(.branch(operation, operand, ifTrue: ifTrue, ifFalse: ifFalse))
    }

    /// The finished row.
    func assemble() -> [FilterInstruction] {
        var long: Set<Int> = []
        // Lengthening one jump can push another past its reach; each round lengthens at least one, so this ends.
        while true {
            let layout = layout(long)
            let far = items.indices.filter { !long.contains($0) && reachesTooFar($0, layout) }
            if far.isEmpty { return emit(layout, long) }
            long.formUnion(far)
        }
    }

    /// Where each item and each label comes to lie.
    private struct Layout {
        var starts: [Int] = []
        var targets: [Int]
    }

    private func layout(_ long: Set<Int>) -> Layout {
        var layout = Layout(targets: Array(repeating: 0, count: labels))
        var position = 0
        for (index, item) in items.enumerated() {
            layout.starts.append(position)
            switch item {
            case .plain, .jump: position += 1
            case .branch: position += long.contains(index) ? 3 : 1
            case .place(let label): layout.targets[label.index] = position
            }
        }
        return layout
    }

    private func reachesTooFar(_ index: Int, _ layout: Layout) -> Bool {
        guard case .branch(_, _, let ifTrue, let ifFalse) = items[index] else { return false }
        let next = layout.starts[index] + 1
        return [ifTrue, ifFalse].contains { $0.map { layout.targets[$0.index] - next > 255 } ?? false }
    }

    private func emit(_ layout: Layout, _ long: Set<Int>) -> [FilterInstruction] {
        var instructions: [FilterInstruction] = []
        for (index, item) in items.enumerated() {
            let start = layout.starts[index]
            switch item {
            case .place: break
            case .plain(let instruction): instructions.append(instruction)
            case .jump(let label):
                instructions.append(FilterInstruction(.jump, UInt32(layout.targets[label.index] - start - 1)))
            case .branch(let operation, let operand, let ifTrue, let ifFalse):
                let isLong = long.contains(index)
                let next = start + (isLong ? 3 : 1)
                let yes = ifTrue.map { layout.targets[$0.index] } ?? next
                let no = ifFalse.map { layout.targets[$0.index] } ?? next
                guard isLong else {
                    instructions.append(
                        FilterInstruction(operation, ifTrue: UInt8(yes - next), ifFalse: UInt8(no - next), operand))
                    continue
                }
                instructions.append(FilterInstruction(operation, ifTrue: 0, ifFalse: 1, operand))
                instructions.append(FilterInstruction(.jump, UInt32(yes - start - 2)))
                instructions.append(FilterInstruction(.jump, UInt32(no - start - 3)))
            }
        }
        return instructions
    }
}
