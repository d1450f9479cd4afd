import PlainText

/// Turns raw log bytes, chunk by chunk, into lines that are safe on a terminal.
///
/// Of escape sequences only colours and a few attributes survive, and only if colours are on; each line ends with them
/// off and the next begins with them on again. All others are dropped: cursor moves, titles, clipboard, device
/// control, also in their 8-bit spellings. A sequence that does not end goes no further than its line. What a
/// carriage return or a backspace would overwrite is left out, so that a progress bar shows its last state. Bytes that
/// are no UTF-8 appear as U+FFFD, characters that reorder or hide text as visible escapes. A line of more than
/// `longestLine` bytes becomes several.
package struct LogSanitizer: Sendable {
    /// Bytes after which a line is broken; memory stays within a small multiple.
    package static let longestLine = 65_536
    private static let longestRun = 4096
    private static let longestParameters = 64

    private enum Mode {
        case text
        case escape
        case control
        case string
        case stringEscape
    }

    private let colours: Bool
    private let prefix: [UInt8]
    private var mode = Mode.text
    private var decoder = ScalarDecoder()
    private var parameters: [UInt8] = []
    private var isPlainControl = true

    private var wanted = GraphicRendition()
    private var shown = GraphicRendition()
    private var line: [UInt8] = []
    /// Where the characters begin that a backspace may take away.
    private var floor = 0
    private var isReturned = false
    private var isStarted = false
    private var output: [UInt8] = []

    /// A sanitizer at the beginning of a line.
    ///
    /// - Parameters:
    ///   - colours: Whether the reader can see colours.
    ///   - prefix: What every line begins with, such as `train │ `.
    package init(colours: Bool, prefix: String = "", prefixStyle: Style = []) {
        self.colours = colours
        let styling = Styling(colours: colours, unicode: true)
        self.prefix = Array(styling.apply(prefixStyle, to: printable(prefix)).utf8)
    }

    /// The lines that these bytes complete, each with its line break.
    package mutating func feed(_ bytes: some Collection<UInt8>) -> String {
        let bytes = Array(bytes)
        var index = 0
        while index < bytes.count {
            if mode == .text && !decoder.isInside {
                // A run of plain characters, which logs mostly consist of, is taken at once.
                let limit = min(index + Self.longestRun, bytes.count)
                var end = index
                while end < limit && bytes[end] >= 0x20 && bytes[end] < 0x7F { end += 1 }
                if end > index {
                    append(bytes[index..<end])
                    index = end
                    continue
                }
            }
            decode(bytes[index])
            index += 1
        }
        return takeOutput()
    }

    /// What is left when the log has ended, as a line of its own; the sanitizer can then be used afresh.
    package mutating func finish() -> String {
        if decoder.isInside { handle("\u{FFFD}") }
        if isStarted { endLine() }
        let last = takeOutput()
        self = LogSanitizer(colours: colours, prefixBytes: prefix)
        return last
    }

    /// The line so far, without its prefix: what a progress bar or a prompt shows while it waits.
    package var pendingLine: String {
        String(decoding: line, as: UTF8.self) + (shown.isDefault ? "" : "\u{1B}[0m")
    }

    private init(colours: Bool, prefixBytes: [UInt8]) {
        self.colours = colours
        prefix = prefixBytes
    }

    private mutating func takeOutput() -> String {
        defer { output = [] }
        return String(decoding: output, as: UTF8.self)
    }

    // MARK: Sequences

    private mutating func decode(_ byte: UInt8) {
        switch decoder.feed(byte) {
        case .incomplete: break
        case .scalar(let scalar): handle(scalar)
        case .invalid: handle("\u{FFFD}")
        case .invalidBefore:
            handle("\u{FFFD}")
            decode(byte)
        }
    }

    private mutating func handle(_ scalar: Unicode.Scalar) {
        switch (mode, scalar.value) {
        case (_, 0x0A):
            mode = .text
            endLine()
        case (.string, 0x1B): mode = .stringEscape
        case (.stringEscape, 0x5C), (.string, 0x07), (.string, 0x9C): mode = .text
        case (_, 0x18), (_, 0x1A): mode = .text
        case (.string, _): break
        case (_, 0x1B): mode = .escape
        case (_, 0x80...0x9F): begin(UInt8(truncatingIfNeeded: scalar.value - 0x40))
        case (.text, _): show(scalar)
        case (.escape, _), (.stringEscape, _): escape(scalar.value)
        case (.control, _): control(scalar.value)
        }
    }

    private mutating func escape(_ value: UInt32) {
        switch value {
        case 0x20...0x2F, 0x00...0x1F: break
        case 0x40...0x5F: begin(UInt8(value))
        default: mode = .text
        }
    }

    /// Begins what ESC and a byte introduce, or the control character that means the same.
    private mutating func begin(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "["):
            mode = .control
            parameters.removeAll(keepingCapacity: true)
            isPlainControl = true
        case UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "]"), UInt8(ascii: "^"), UInt8(ascii: "_"):
            mode = .string
        default:
            mode = .text
        }
    }

    private mutating func control(_ value: UInt32) {
        switch value {
        case 0x30...0x3B where parameters.count < Self.longestParameters:
            parameters.append(UInt8(value))
        case 0x20...0x3F:
            isPlainControl = false
        case 0x40...0x7E:
            if value == 0x6D && isPlainControl && colours { wanted.apply(parameters) }
            mode = .text
        case 0x00...0x1F, 0x7F:
            break
        default:
            mode = .text
        }
    }

    // MARK: Lines

    private mutating func show(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x0D: isReturned = isStarted
        case 0x08: backspace()
        case 0x09: append([0x09])
        case 0x00...0x1F, 0x7F: break
        case _ where scalar.isUnprintable: append(scalar.visibleEscape.utf8)
        default: append(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    private mutating func append(_ bytes: some Collection<UInt8>) {
        if isReturned {
            line.removeAll(keepingCapacity: true)
            (floor, isReturned, shown) = (0, false, GraphicRendition())
        } else if line.count + bytes.count > Self.longestLine {
            endLine()
        }
        if shown != wanted {
            if !shown.isDefault { line += "\u{1B}[0m".utf8 }
            line += wanted.sequence.utf8
            shown = wanted
            floor = line.count
        }
        line += bytes
        isStarted = true
    }

    private mutating func backspace() {
        guard !isReturned else { return }
        while line.count > floor, let byte = line.popLast(), byte & 0xC0 == 0x80 {}
    }

    private mutating func endLine() {
        output += prefix
        output += line
        if !shown.isDefault { output += "\u{1B}[0m".utf8 }
        output.append(0x0A)
        line.removeAll(keepingCapacity: true)
        (floor, isReturned, isStarted, shown) = (0, false, false, GraphicRendition())
    }
}
