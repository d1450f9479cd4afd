import Isolation

/// The code behind the tree: one instruction for each plain verdict, one block for each distinct set of conditions.
struct FateBlocks {
    private let compiler: FilterCompiler
    private var labels: [CallRange.Fate: FilterAssembler.Label] = [:]
    private var order: [CallRange.Fate] = []

    init(compiler: FilterCompiler) { self.compiler = compiler }

    /// The label of the code for `fate`, which `emit` will place.
    mutating func label(for fate: CallRange.Fate, _ assembler: inout FilterAssembler) -> FilterAssembler.Label {
        if let known = labels[fate] { return known }
        let label = assembler.label()
        labels[fate] = label
        order.append(fate)
        return label
    }

    /// Writes everything that was asked for: plain verdicts first, since most jumps lead there and short ones are cheap.
    func emit(_ assembler: inout FilterAssembler) {
        for case .fixed(let action) in order {
            place(.fixed(action), &assembler)
            assembler.give(action)
        }
        for case .conditional(let body) in order {
            place(.conditional(body), &assembler)
            for element in body.cases { emit(element, body.allowed, &assembler) }
            assembler.give(compiler.action(body.otherwise, allowed: body.allowed))
        }
    }

    private func place(_ fate: CallRange.Fate, _ assembler: inout FilterAssembler) {
        if let label = labels[fate] { assembler.place(label) }
    }

    private func emit(_ element: SeccompRule.Case, _ allowed: FilterAction, _ assembler: inout FilterAssembler) {
        let next = assembler.label()
        for condition in element.conditions {
            switch condition.test {
            case .low(let mask, let values):
                emit(low: values, mask: mask, argument: condition.argument, otherwise: next, &assembler)
            case .whole(let values):
                emit(whole: values, argument: condition.argument, otherwise: next, &assembler)
            }
        }
        assembler.give(compiler.action(element.verdict, allowed: allowed))
        assembler.place(next)
    }

    private func emit(
        low values: [UInt32], mask: UInt32, argument: Int, otherwise: FilterAssembler.Label,
        _ assembler: inout FilterAssembler
    ) {
        // The high word is never looked at: the kernel drops it, so a rule that saw it could be passed by way of it.
        assembler.add(.load, SeccompData.Offset.low(argument))
        if mask != .max { assembler.add(.and, mask) }
        let holds = assembler.label()
        for value in values.dropLast() { assembler.branch(.jumpIfEqual, value, ifTrue: holds) }
        if let last = values.last { assembler.branch(.jumpIfEqual, last, ifFalse: otherwise) }
        assembler.place(holds)
    }

    private func emit(
        whole values: [UInt64], argument: Int, otherwise: FilterAssembler.Label, _ assembler: inout FilterAssembler
    ) {
        let holds = assembler.label()
        for value in values {
            let differs = assembler.label()
            assembler.add(.load, SeccompData.Offset.high(argument))
            assembler.branch(.jumpIfEqual, UInt32(value >> 32), ifFalse: differs)
            assembler.add(.load, SeccompData.Offset.low(argument))
            assembler.branch(.jumpIfEqual, UInt32(truncatingIfNeeded: value), ifTrue: holds)
            assembler.place(differs)
        }
        assembler.jump(to: otherwise)
        assembler.place(holds)
    }
}
