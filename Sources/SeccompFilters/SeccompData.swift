/// What a filter is shown of a call: `struct seccomp_data` without the instruction pointer, which no rule looks at.
package struct SeccompData: Sendable, Hashable {
    /// The audit token of the calling convention.
    package var architecture: UInt32

    /// The call's number in that convention.
    package var number: UInt32

    /// The six argument registers; those that a call does not have hold whatever was left in them.
    package var arguments: [UInt64]

    /// Describes a call; `arguments` is cut or filled with zeroes to six.
    package init(architecture: UInt32, number: UInt32, arguments: [UInt64] = []) {
        self.architecture = architecture
        self.number = number
        self.arguments = Array((arguments + repeatElement(0, count: 6)).prefix(6))
    }

    /// Where the parts lie, in bytes.
    enum Offset {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4

        static func low(_ argument: Int) -> UInt32 { 16 + 8 * UInt32(argument) }
        static func high(_ argument: Int) -> UInt32 { low(argument) + 4 }
    }

    /// The 32-bit word at `offset`, as the kernel hands it to a filter; nil where it would refuse the load.
    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case Offset.number: return number
        case Offset.architecture: return architecture
        case 8, 12: return 0
        case 16..<64 where offset.isMultiple(of: 4):
            let register = arguments[Int(offset - 16) / 8]
            return UInt32(truncatingIfNeeded: offset.isMultiple(of: 8) ? register : register >> 32)
        default: return nil
        }
    }
}
