/// The colours and attributes in force at one place of a text, as SGR sequences set them (ECMA-48, 8.3.117).
///
/// What hides text or distracts from it, such as concealing and blinking, is not represented and so never shown.
struct GraphicRendition: Hashable, Sendable {
    enum Colour: Hashable, Sendable {
        case indexed(UInt8)
        case direct(UInt8, UInt8, UInt8)

        var parameters: String {
            switch self {
            case .indexed(let index): "5;\(index)"
            case .direct(let red, let green, let blue): "2;\(red);\(green);\(blue)"
            }
        }
    }

    /// Bit n stands for parameter n, 1 to 9.
    private var attributes: UInt16 = 0
    /// A parameter of one of the sixteen named colours, or an extended colour.
    private var foreground: String?
    private var background: String?

    var isDefault: Bool { self == GraphicRendition() }

    /// The sequence that leads from the default to this; empty for the default.
    var sequence: String {
        if isDefault { return "" }
        let numbers = (1...9).filter { attributes & (1 << UInt16($0)) != 0 }.map(String.init)
        return "\u{1B}[" + (numbers + [foreground, background].compactMap(\.self)).joined(separator: ";") + "m"
    }

    /// Carries out the parameters of an SGR sequence; unknown ones change nothing.
    mutating func apply(_ parameters: [UInt8]) {
        var groups = parameters.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).map { group in
            group.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map(Self.number)
        }[...]
        while let group = groups.popFirst() {
            guard let code = group[0] else { continue }
            if code == 38 || code == 48 {
                let colour = group.count > 1 ? Self.colour(inside: group) : Self.colour(after: &groups)
                if let colour { setColour("\(code);\(colour.parameters)", isForeground: code == 38) }
            } else {
                apply(code, isOff: code == 4 && group.count > 1 && group[1] == 0)
            }
        }
    }

    private mutating func apply(_ code: Int, isOff: Bool) {
        switch code {
        case 0: self = GraphicRendition()
        case 4 where isOff: attributes &= ~(1 << 4)
        case 1, 2, 3, 4, 7, 9: attributes |= 1 << UInt16(code)
        case 21: attributes |= 1 << 4
        case 22: attributes &= ~(1 << 1 | 1 << 2)
        case 23, 24, 27, 29: attributes &= ~(1 << UInt16(code - 20))
        case 30...37, 90...97: setColour(String(code), isForeground: true)
        case 39: foreground = nil
        case 40...47, 100...107: setColour(String(code), isForeground: false)
        case 49: background = nil
        default: break
        }
    }

    private mutating func setColour(_ parameters: String, isForeground: Bool) {
        if isForeground { foreground = parameters } else { background = parameters }
    }

    /// `38:5:n` and `38:2:space:r:g:b`, where the colour space may be left out.
    private static func colour(inside group: [Int?]) -> Colour? {
        switch (group[1], group.count) {
        case (5, 3...): byte(group[2]).map(Colour.indexed)
        case (2, 5): direct(group[2...])
        case (2, 6...): direct(group[3...])
        default: nil
        }
    }

    /// `38;5;n` and `38;2;r;g;b`.
    private static func colour(after groups: inout ArraySlice<[Int?]>) -> Colour? {
        guard let kind = groups.popFirst()?[0] else { return nil }
        let count = kind == 5 ? 1 : kind == 2 ? 3 : 0
        let values = groups.prefix(count).map { $0[0] }
        groups = groups.dropFirst(count)
        guard values.count == count, count > 0 else { return nil }
        return count == 1 ? byte(values[0]).map(Colour.indexed) : direct(values[...])
    }

    private static func direct(_ values: ArraySlice<Int?>) -> Colour? {
        let bytes = values.prefix(3).compactMap(byte)
        return bytes.count == 3 ? .direct(bytes[0], bytes[1], bytes[2]) : nil
    }

    private static func byte(_ value: Int?) -> UInt8? { value.flatMap { UInt8(exactly: $0) } }

    /// A parameter, 0 where it is empty; nil for one that no terminal knows.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        digits.count > 4 ? nil : digits.reduce(0) { $0 * 10 + Int($1) - 0x30 }
    }
}
