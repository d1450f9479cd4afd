/// What a JSON text may cost at most.
package struct JSONLimits: Sendable, Hashable {
    /// The size of the text in bytes.
    package var bytes: Int
    /// How deep lists and objects may lie in each other.
    package var depth: Int
    /// How many values there may be, keys included.
    package var values: Int

    /// Limits of these sizes; no text may reach 4 GiB.
    package init(bytes: Int = 16 << 20, depth: Int = 128, values: Int = 1_000_000) {
        self.bytes = min(bytes, Int(UInt32.max) - 1)
        self.depth = min(depth, 512)
        self.values = values
    }

    /// 16 MiB, 128 levels, a million values.
    package static let standard = JSONLimits()
}

/// A JSON text, read whole and strictly, in which every value knows its place.
///
/// Reading is bounded by `JSONLimits`, accepts a byte order mark, and refuses what programs read differently:
/// duplicate keys, bytes that are not UTF-8, halves of surrogate pairs, numbers that no double holds, and anything
/// after the value.
package struct JSONDocument: Sendable {
    private let storage: JSONStorage

    /// Reads `bytes`; `file` is the name in messages.
    package init(_ bytes: [UInt8], file: String, limits: JSONLimits = .standard) throws(InvalidDocument) {
        guard bytes.count <= limits.bytes else {
            throw InvalidDocument(
                Diagnostic(
                    file: file,
                    message: "the file has \(bytes.count) bytes, and at most \(limits.bytes) are read",
                    hint: "keep data in files of its own and name them in a parameter"
                )
            )
        }
        var parser = JSONParser(bytes: bytes, limits: limits)
        parser.parseDocument()
        let source = SourceText(file: file, bytes: bytes, lineStarts: parser.lineStarts)
        guard parser.problems.isEmpty else {
            var list = DiagnosticList(source: source)
            for problem in parser.problems { list.add(problem) }
            throw list.invalidDocument
        }
        storage = JSONStorage(source: source, tape: parser.tape)
    }

    /// The outermost value.
    package var root: JSONNode { JSONNode(storage: storage, index: 0) }

    var source: SourceText { storage.source }
}

/// One value on the tape: a text holds its values in the order of their beginnings.
struct JSONTapeEntry {
    var kind: JSONKind
    /// Whether a text holds escapes.
    var hasEscapes: Bool
    /// The first byte; of texts the first after the quote.
    var start: UInt32
    /// The first byte after the value; of texts the closing quote.
    var end: UInt32
    /// The index of the entry that follows this one and all that it holds.
    var next: UInt32
}

/// What all nodes of a document share.
final class JSONStorage: Sendable {
    let source: SourceText
    let tape: [JSONTapeEntry]

    init(source: SourceText, tape: [JSONTapeEntry]) {
        self.source = source
        self.tape = tape
    }
}

/// A value of a document, with its place.
package struct JSONNode: Sendable {
    let storage: JSONStorage
    let index: Int

    /// A key of an object with its value.
    package struct Member: Sendable {
        /// The key as a text of its own, for its place.
        package let keyNode: JSONNode
        /// The value.
        package let value: JSONNode
        /// The key.
        package var key: String { keyNode.string ?? "" }
    }

    private var entry: JSONTapeEntry { storage.tape[index] }

    /// What sort of value this is.
    package var kind: JSONKind { entry.kind }

    /// The offset of the first byte.
    var offset: Int { Int(entry.start) - (entry.kind == .string ? 1 : 0) }

    /// Where the value begins.
    package var position: TextPosition { storage.source.position(at: offset) }

    /// The text, if this is one.
    package var string: String? {
        guard entry.kind == .string else { return nil }
        return entry.text(in: storage.source.bytes)
    }

    /// The elements, if this is a list.
    package var elements: [JSONNode]? {
        guard entry.kind == .array else { return nil }
        return children
    }

    /// The keys and values in order, if this is an object.
    package var members: [Member]? {
        guard entry.kind == .object else { return nil }
        let children = children
        return stride(from: 0, to: children.count - 1, by: 2).map {
            Member(keyNode: children[$0], value: children[$0 + 1])
        }
    }

    /// The value of `key`, if this is an object that has it.
    package subscript(key: String) -> JSONNode? {
        guard entry.kind == .object else { return nil }
        var at = index + 1
        while at < Int(entry.next) {
            let name = storage.tape[at]
            if ExactText(name.text(in: storage.source.bytes)) == ExactText(key) {
                return JSONNode(storage: storage, index: at + 1)
            }
            at = Int(storage.tape[at + 1].next)
        }
        return nil
    }

    /// The value without its place.
    package var value: JSONValue { Self.value(at: index, storage.tape, storage.source.bytes) }

    /// The value at a place of the tape; no node is made for what lies in it.
    private static func value(at index: Int, _ tape: [JSONTapeEntry], _ bytes: [UInt8]) -> JSONValue {
        let entry = tape[index]
        switch entry.kind {
        case .null: return .null
        case .bool: return .bool(entry.end - entry.start == 4)
        case .number:
            return .number(
                JSONNumber(unchecked: String(decoding: bytes[Int(entry.start)..<Int(entry.end)], as: UTF8.self))
            )
        case .string: return .string(entry.text(in: bytes))
        case .array:
            var elements: [JSONValue] = []
            var at = index + 1
            while at < Int(entry.next) {
                elements.append(value(at: at, tape, bytes))
                at = Int(tape[at].next)
            }
            return .array(elements)
        case .object:
            var members: [JSONObject.Entry] = []
            var at = index + 1
            while at < Int(entry.next) {
                members.append(.init(key: tape[at].text(in: bytes), value: value(at: at + 1, tape, bytes)))
                at = Int(tape[at + 1].next)
            }
            return .object(JSONObject(unique: members))
        }
    }

    private var children: [JSONNode] {
        var nodes: [JSONNode] = []
        var at = index + 1
        while at < Int(entry.next) {
            nodes.append(JSONNode(storage: storage, index: at))
            at = Int(storage.tape[at].next)
        }
        return nodes
    }
}

extension JSONValue {
    /// Reads `text`; the places in the diagnostics are those in `text`.
    package init(parsing text: String, limits: JSONLimits = .standard) throws(InvalidDocument) {
        self = try JSONDocument(Array(text.utf8), file: "text", limits: limits).root.value
    }
}
