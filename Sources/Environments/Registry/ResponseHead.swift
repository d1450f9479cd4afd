/// The first part of an answer over HTTP: its status and its fields.
struct ResponseHead {
    /// The longest that is read, in bytes.
    static let limit = 64 << 10

    /// The status, such as 200.
    let status: Int
    private let fields: [(name: String, value: String)]

    /// The value of a field that is given once; what is given several times counts for nothing.
    subscript(name: String) -> String? {
        let values = self.values(name)
        return values.count == 1 ? values[0] : nil
    }

    /// All values of a field.
    func values(_ name: String) -> [String] {
        let name = name.lowercased()
        return fields.filter { $0.name == name }.map(\.value)
    }

    /// Reads a head without the empty line at its end; nil where it is none.
    init?(_ bytes: ArraySlice<UInt8>) {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
            line.last == 0x0D ? line.dropLast() : line
        }
        guard let first = lines.first, first.starts(with: "HTTP/".utf8) else { return nil }
        lines.removeFirst()
        let words = first.split(separator: 0x20, maxSplits: 2)
        guard words.count >= 2, words[1].count == 3, words[1].allSatisfy({ (0x30...0x39).contains($0) }),
            let status = Int(String(decoding: words[1], as: UTF8.self))
        else { return nil }
        self.status = status
        fields = lines.compactMap { line in
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
            let value = line[(colon + 1)...]
            // What is not plain text means nothing to us, and could mean something to whom it is passed on.
            guard line.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else { return nil }
            return (
                String(decoding: line[..<colon], as: UTF8.self).lowercased(),
                trimmed(String(decoding: value, as: UTF8.self))
            )
        }
    }
}

/// The bytes of an answer as a program writes them, divided into its heads and its body.
struct ResponseParser {
    private var pending: [UInt8] = []
    /// The head, once it has come.
    private(set) var head: ResponseHead?
    /// Whether what came is no answer of HTTP.
    private(set) var isMalformed = false

    /// Takes the next bytes; gives what of them belongs to the body.
    mutating func take(_ bytes: [UInt8]) -> [UInt8] {
        if head != nil { return bytes }
        pending += bytes
        while head == nil, !isMalformed, let (end, next) = endOfHead() {
            guard let found = ResponseHead(pending[..<end]) else {
                isMalformed = true
                return []
            }
            pending.removeFirst(next)
            // 100 and the like announce the answer.
            if found.status >= 200 { head = found }
        }
        if pending.count > ResponseHead.limit, head == nil { isMalformed = true }
        guard head != nil else { return [] }
        defer { pending = [] }
        return pending
    }

    private func endOfHead() -> (end: Int, next: Int)? {
        var index = pending.startIndex
        while let line = pending[index...].firstIndex(of: 0x0A) {
            let next = line + 1
            if next < pending.count, pending[next] == 0x0A { return (line, next + 1) }
            if next + 1 < pending.count, pending[next] == 0x0D, pending[next + 1] == 0x0A { return (line, next + 2) }
            index = next
        }
        return nil
    }
}
