/// A line of our own making, of which parts may come from outside, made safe and as wide as a terminal has room.
///
/// Colours stay where `styling` has them; line breaks become spaces, and every other control sequence is dropped.
func safeLine(_ text: String, width: Int? = nil, styling: Styling) -> String {
    var sanitizer = LogSanitizer(colours: styling.colours)
    let joined = text.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
    let line = String((sanitizer.feed(joined) + sanitizer.finish()).prefix { $0 != "\n" })
    guard let width else { return line }
    return cut(line, width: width, ellipsis: styling.ellipsis)
}

/// The width of a line that holds no control sequences but SGR.
func styledWidth(_ line: String) -> Int {
    pieces(of: line).reduce(0) { $0 + ($1.isSequence ? 0 : displayWidth($1.text)) }
}

private func cut(_ line: String, width: Int, ellipsis: String) -> String {
    let mark = ellipsis.prefix(max(width, 0))
    var room = styledWidth(line) > width ? width - displayWidth(String(mark)) : width
    var result = ""
    for piece in pieces(of: line) {
        if piece.isSequence {
            result += piece.text
            continue
        }
        let columns = displayWidth(piece.text)
        result += fitted(piece.text, width: room, ellipsis: "")
        if columns > room { return result + mark + (result.utf8.contains(0x1B) ? "\u{1B}[0m" : "") }
        room -= columns
    }
    return result
}

/// The SGR sequences of a line and the texts between them.
private func pieces(of line: String) -> [(text: String, isSequence: Bool)] {
    var pieces: [(text: String, isSequence: Bool)] = []
    var rest = line.utf8[...]
    while let first = rest.first {
        let isSequence = first == 0x1B
        let end = rest.firstIndex { isSequence ? $0 == UInt8(ascii: "m") : $0 == 0x1B } ?? rest.endIndex
        let stop = isSequence && end < rest.endIndex ? rest.index(after: end) : end
        pieces.append((String(decoding: rest[..<stop], as: UTF8.self), isSequence))
        rest = rest[stop...]
    }
    return pieces
}
