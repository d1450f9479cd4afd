/// One instruction of classic BPF, as `struct sock_filter` holds it.
package struct FilterInstruction: Sendable, Hashable {
    /// The operations that seccomp filters here are made of.
    package enum Operation: UInt16, Sendable, Hashable {
        /// Loads the 32-bit word at offset `k` of `struct seccomp_data` (BPF_LD | BPF_W | BPF_ABS).
        case load = 0x20
        /// Keeps the loaded word's bits `k` (BPF_ALU | BPF_AND | BPF_K).
        case and = 0x54
        /// Skips `k` instructions (BPF_JMP | BPF_JA).
        case jump = 0x05
        /// Skips by whether the word equals `k` (BPF_JMP | BPF_JEQ | BPF_K).
        case jumpIfEqual = 0x15
        /// Skips by whether the word is at least `k`, unsigned (BPF_JMP | BPF_JGE | BPF_K).
        case jumpIfAtLeast = 0x35
        /// Ends with the verdict `k` (BPF_RET | BPF_K).
        case give = 0x06
    }

    /// The bytes of one instruction.
    package static let size = 8

    /// What it does.
    package let operation: Operation
    /// How many instructions a jump skips where its comparison holds.
    package let ifTrue: UInt8
    /// How many it skips where it does not.
    package let ifFalse: UInt8
    /// The value that the operation works with.
    package let operand: UInt32

    init(_ operation: Operation, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0, _ operand: UInt32) {
        self.operation = operation
        self.ifTrue = ifTrue
        self.ifFalse = ifFalse
        self.operand = operand
    }

    /// Reads an instruction from its bytes; nil where they are not one that this program makes.
    init?(bytes: ArraySlice<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.size,
            let operation = Operation(rawValue: UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
        else { return nil }
        let operand = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 + $1]) << (8 * UInt32($1)) }
        self.init(operation, ifTrue: bytes[2], ifFalse: bytes[3], operand)
    }

    /// The instruction in the byte order of the machines that filters are made for, which is little-endian.
    var bytes: [UInt8] {
        [UInt8(truncatingIfNeeded: operation.rawValue), UInt8(operation.rawValue >> 8), ifTrue, ifFalse]
            + (0..<4).map { UInt8(truncatingIfNeeded: operand >> (8 * UInt32($0))) }
    }
}
