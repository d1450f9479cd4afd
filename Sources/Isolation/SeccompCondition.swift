/// A test of one argument register, by equality alone.
///
/// Orderings are left out on purpose: a register has 64 bits, the kernel looks at 32 of them for most arguments, and a
/// rule such as "greater than 40" is passed by any value with a high bit set.
package struct SeccompCondition: Sendable, Hashable {
    /// How a register is compared.
    package enum Test: Sendable, Hashable {
        /// The low 32 bits under `mask` are one of `values`; the high 32 bits are ignored, as the kernel does for `int`.
        case low(mask: UInt32, oneOf: [UInt32])
        /// All 64 bits are one of `values`: for pointers and `long`.
        case whole(oneOf: [UInt64])
    }

    /// The argument's place, from 0 to 5.
    package var argument: Int

    /// How it is compared.
    package var test: Test

    /// Compares argument `argument` by `test`.
    package init(argument: Int, test: Test) {
        self.argument = argument
        self.test = test
    }

    /// The `int` in place `argument` is one of `values`.
    package static func int(_ argument: Int, _ values: UInt32...) -> SeccompCondition {
        SeccompCondition(argument: argument, test: .low(mask: .max, oneOf: values))
    }

    /// The bits `mask` of the `int` in place `argument` are one of `values`.
    package static func bits(_ argument: Int, mask: UInt32, _ values: UInt32...) -> SeccompCondition {
        SeccompCondition(argument: argument, test: .low(mask: mask, oneOf: values))
    }

    /// None of the bits `mask` of the `int` in place `argument` is set.
    package static func clear(_ argument: Int, mask: UInt32) -> SeccompCondition {
        bits(argument, mask: mask, 0)
    }

    /// The pointer in place `argument` is null.
    package static func null(_ argument: Int) -> SeccompCondition {
        SeccompCondition(argument: argument, test: .whole(oneOf: [0]))
    }

    /// Whether the registers `arguments` pass; a place that they do not have does not.
    package func holds(for arguments: [UInt64]) -> Bool {
        guard arguments.indices.contains(argument) else { return false }
        let value = arguments[argument]
        switch test {
        case .low(let mask, let values): return values.contains(UInt32(truncatingIfNeeded: value) & mask)
        case .whole(let values): return values.contains(value)
        }
    }
}
