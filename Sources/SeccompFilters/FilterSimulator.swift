/// Runs a filter as the kernel would, without the kernel.
package struct FilterSimulator: Sendable {
    /// A program that the kernel would not load, or that this program did not make.
    package enum Failure: Error, Sendable, Hashable {
        case unreadable(at: Int)
        case empty
        case tooLong(Int)
        case jumpsPastEnd(at: Int)
        case badLoad(at: Int)
        case endsWithoutVerdict
        case unknownVerdict(UInt32)
    }

    /// A verdict, and the number of instructions that it took.
    package struct Outcome: Sendable, Hashable {
        /// What the kernel would do with the call.
        package let action: FilterAction
        /// The instructions that were carried out.
        package let steps: Int
    }

    private let instructions: [FilterInstruction]

    /// Reads and checks `bytes`, an array of `struct sock_filter`.
    ///
    /// The checks are the kernel's: known instructions, jumps and loads within bounds, a verdict at the end.
    package init(bytes: [UInt8]) throws(Failure) {
        var read: [FilterInstruction] = []
        for start in stride(from: 0, to: bytes.count, by: FilterInstruction.size) {
            let end = min(start + FilterInstruction.size, bytes.count)
            guard let instruction = FilterInstruction(bytes: bytes[start..<end]) else {
                throw .unreadable(at: read.count)
            }
            read.append(instruction)
        }
        try Self.check(read)
        instructions = read
    }

    private static func check(_ instructions: [FilterInstruction]) throws(Failure) {
        guard let last = instructions.last else { throw .empty }
        guard instructions.count <= FilterProgram.greatestLength else { throw .tooLong(instructions.count) }
        guard last.operation == .give else { throw .endsWithoutVerdict }
        for (index, instruction) in instructions.enumerated() {
            let remaining = UInt32(instructions.count - index - 1)
            switch instruction.operation {
            case .jump:
                guard instruction.operand < remaining else { throw .jumpsPastEnd(at: index) }
            case .jumpIfEqual, .jumpIfAtLeast:
                let farthest = UInt32(max(instruction.ifTrue, instruction.ifFalse))
                guard farthest < remaining else { throw .jumpsPastEnd(at: index) }
            case .load:
                let inside = instruction.operand < 64 && instruction.operand.isMultiple(of: 4)
                guard inside else { throw .badLoad(at: index) }
            case .and, .give:
                break
            }
        }
    }

    /// The number of instructions.
    package var length: Int { instructions.count }

    /// Every verdict that the program contains.
    package var verdicts: Set<FilterAction> {
        Set(instructions.filter { $0.operation == .give }.compactMap { FilterAction(code: $0.operand) })
    }

    /// What the filter does with `call`.
    package func run(_ call: SeccompData) throws(Failure) -> Outcome {
        var accumulator: UInt32 = 0
        var index = 0
        var steps = 0
        // Jumps only go forward, so a checked program ends within its length.
        while index < instructions.count {
            let instruction = instructions[index]
            index += 1
            steps += 1
            switch instruction.operation {
            case .load:
                guard let word = call.word(at: instruction.operand) else { throw .badLoad(at: index - 1) }
                accumulator = word
            case .and: accumulator &= instruction.operand
            case .jump: index += Int(instruction.operand)
            case .jumpIfEqual: index += skip(instruction, accumulator == instruction.operand)
            case .jumpIfAtLeast: index += skip(instruction, accumulator >= instruction.operand)
            case .give:
                guard let action = FilterAction(code: instruction.operand) else {
                    throw .unknownVerdict(instruction.operand)
                }
                return Outcome(action: action, steps: steps)
            }
        }
        throw .endsWithoutVerdict
    }

    private func skip(_ instruction: FilterInstruction, _ condition: Bool) -> Int {
        Int(condition ? instruction.ifTrue : instruction.ifFalse)
    }
}
