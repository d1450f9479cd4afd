/// A JSON object: values by key, in the order in which they were written.
///
/// Keys are compared by their bytes, as programs that read JSON do: two spellings of one accented letter are two keys.
/// Equality looks at keys and values and not at their order.
package struct JSONObject: Sendable {
    /// A key with its value.
    package struct Entry: Sendable {
        /// The key.
        package let key: String
        /// The value.
        package var value: JSONValue
    }

    /// The entries in order.
    package private(set) var entries: [Entry] = []
    private var index: [ExactText: Int] = [:]

    /// Below this size a search through the entries is faster than an index.
    private static let indexedSize = 9

    /// An object without entries.
    package init() {}

    /// An object of these entries; of entries with the same key the last one stands, in the place of the first.
    package init(_ entries: some Sequence<(String, JSONValue)>) {
        for (key, value) in entries { self[key] = value }
    }

    /// Takes entries whose keys are known to differ.
    init(unique entries: [Entry]) {
        self.entries = entries
        rebuildIndex()
    }

    /// How many entries there are.
    package var count: Int { entries.count }

    /// Whether there is no entry.
    package var isEmpty: Bool { entries.isEmpty }

    /// The keys in order.
    package var keys: [String] { entries.map(\.key) }

    /// The values in order.
    package var values: [JSONValue] { entries.map(\.value) }

    /// The value of `key`; setting an absent key appends it, setting nil removes it.
    package subscript(key: String) -> JSONValue? {
        get { position(of: key).map { entries[$0].value } }
        set {
            switch (position(of: key), newValue) {
            case (let at?, let value?):
                entries[at].value = value
            case (let at?, nil):
                entries.remove(at: at)
                rebuildIndex()
            case (nil, let value?):
                append(Entry(key: key, value: value))
            case (nil, nil):
                break
            }
        }
    }

    private func position(of key: String) -> Int? {
        guard entries.count < Self.indexedSize else { return index[ExactText(key)] }
        return entries.firstIndex { ExactText($0.key) == ExactText(key) }
    }

    private mutating func append(_ entry: Entry) {
        entries.append(entry)
        if entries.count == Self.indexedSize {
            rebuildIndex()
        } else if entries.count > Self.indexedSize {
            index[ExactText(entry.key)] = entries.count - 1
        }
    }

    private mutating func rebuildIndex() {
        index.removeAll()
        guard entries.count >= Self.indexedSize else { return }
        for (at, entry) in entries.enumerated() { index[ExactText(entry.key)] = at }
    }
}

extension JSONObject: Hashable {
    /// Whether both have the same keys with the same values, in whatever order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
    }

    /// Feeds the entries to `hasher` without regard to their order.
    package func hash(into hasher: inout Hasher) {
        var sum = 0
        for entry in entries {
            var inner = Hasher()
            inner.combine(ExactText(entry.key))
            inner.combine(entry.value)
            sum &+= inner.finalize()
        }
        hasher.combine(sum)
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object written as a dictionary.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }
}

extension JSONObject: Sequence {
    /// Walks the entries in order.
    package func makeIterator() -> IndexingIterator<[Entry]> { entries.makeIterator() }
}

/// A text that equals another only if every byte is the same, where `String` also equates other spellings of a letter.
struct ExactText: Hashable, Comparable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    static func < (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        // The hash of `String` is the same for all spellings of a letter: keys made of them would all collide.
        var word: UInt64 = 0
        var count = 0
        for byte in text.utf8 {
            word = word << 8 | UInt64(byte)
            count += 1
            if count % 8 == 0 { hasher.combine(word) }
        }
        hasher.combine(word)
        hasher.combine(count)
    }
}
