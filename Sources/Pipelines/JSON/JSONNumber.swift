/// A JSON number, kept as the text it was written with, so that no digit is lost on the way to a step.
///
/// Two numbers are equal when their texts are: `1`, `1.0` and `1e0` are three different numbers.
package struct JSONNumber: Sendable, Hashable, CustomStringConvertible {
    /// The number as JSON text.
    package let literal: String

    /// The most bytes that one number may have; Python refuses longer integers too.
    static let maximumLength = 4300

    init(unchecked literal: String) {
        self.literal = literal
    }

    /// Takes `literal` if it is a JSON number that a double can hold.
    package init?(_ literal: String) {
        let bytes = Array(literal.utf8)
        guard case .number(let end) = NumberScan(bytes, from: 0), end == bytes.count,
            NumberScan.isInRange(bytes[...])
        else { return nil }
        self.init(unchecked: literal)
    }

    /// The decimal text of `value`.
    package init(_ value: Int) {
        self.init(unchecked: String(value))
    }

    /// The shortest text that reads as `value`; nil for what JSON cannot write (infinities and not-a-number).
    package init?(_ value: Double) {
        guard value.isFinite else { return nil }
        self.init(unchecked: value.description)
    }

    /// The nearest double.
    package var doubleValue: Double { Double(literal) ?? 0 }

    /// The integer that this number is written as; nil when it has a fraction or an exponent, or does not fit.
    package var intValue: Int? { Int(literal) }

    /// The number as JSON text.
    package var description: String { literal }
}

/// Where a number ends in a text, or why it is none.
enum NumberScan {
    case number(end: Int)
    case malformed(message: String, hint: String?)

    init(_ bytes: [UInt8], from start: Int) {
        var at = start
        func digits() -> Int {
            let first = at
            while at < bytes.count, bytes[at].isDigit { at += 1 }
            return at - first
        }
        if at < bytes.count, bytes[at] == Ascii.minus { at += 1 }
        let integerStart = at
        guard digits() > 0 else {
            self = .malformed(message: "`-` without a number", hint: nil)
            return
        }
        guard at - integerStart == 1 || bytes[integerStart] != Ascii.zero else {
            self = .malformed(message: "a number with a leading zero", hint: "JSON numbers begin with 1 to 9, or are 0")
            return
        }
        if at < bytes.count, bytes[at] == Ascii.dot {
            at += 1
            guard digits() > 0 else {
                self = .malformed(message: "a number that ends with a dot", hint: "write `1.0`, not `1.`")
                return
            }
        }
        if at < bytes.count, bytes[at] | 0x20 == Ascii.lowerE {
            at += 1
            if at < bytes.count, bytes[at] == Ascii.plus || bytes[at] == Ascii.minus { at += 1 }
            guard digits() > 0 else {
                self = .malformed(message: "an exponent without digits", hint: nil)
                return
            }
        }
        self = .number(end: at)
    }

    /// Whether a double can hold a well-formed number.
    static func isInRange(_ literal: ArraySlice<UInt8>) -> Bool {
        guard literal.count <= JSONNumber.maximumLength else { return false }
        // The largest double has 309 digits: what is shorter and has no exponent always fits.
        if literal.count < 300, !literal.contains(where: { $0 | 0x20 == Ascii.lowerE }) { return true }
        guard let value = Double(String(decoding: literal, as: UTF8.self)) else { return false }
        return value.isFinite
    }
}
