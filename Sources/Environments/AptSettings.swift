/// The settings of the host's apt that decide how archives are reached, from apt.conf(5) files.
package struct AptSettings: Sendable, Hashable {
    /// Full names, such as `Acquire::http::Proxy`, with their values, in the order in which they were set.
    package private(set) var values: [(name: String, value: String)] = []

    /// No settings.
    package init() {}

    package static func == (left: AptSettings, right: AptSettings) -> Bool {
        left.values.elementsEqual(right.values, by: ==)
    }

    package func hash(into hasher: inout Hasher) {
        for (name, value) in values {
            hasher.combine(name)
            hasher.combine(value)
        }
    }

    /// The value of a setting by its full name; upper and lower case are the same.
    package subscript(name: String) -> String? {
        values.last { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// What reaches an archive: proxies, certificates, time-outs and validity; hooks and directories stay on the host.
    package var transport: AptSettings {
        let prefixes = ["acquire::http::", "acquire::https::"]
        let names = [
            "acquire::retries", "acquire::check-valid-until", "acquire::check-date", "acquire::max-validtime",
            "acquire::min-validtime", "acquire::forceipv4", "acquire::forceipv6", "acquire::languages",
        ]
        var result = AptSettings()
        result.values = values.filter { setting in
            let name = setting.name.lowercased()
            // Detecting a proxy runs a program of the host.
            if name.hasSuffix("proxy-auto-detect") || name.hasSuffix("proxyautodetect") { return false }
            return names.contains(name) || prefixes.contains { name.hasPrefix($0) }
        }
        return result
    }

    /// One setting a line, as apt reads it.
    package var text: String {
        values.map { "\($0.name) \"\($0.value)\";\n" }.joined()
    }

    /// Sets a value; an earlier one of the same name stays before it and loses.
    package mutating func set(_ name: String, _ value: String) {
        values.append((name, value.filter { $0 != "\"" && !$0.isNewline }))
    }

    /// Replaces the values that `change` changes.
    package mutating func mapValues(_ change: (String, String) -> String) {
        values = values.map { ($0.name, change($0.name, $0.value)) }
    }

    /// Adds the settings of a file; what it clears with `#clear` is cleared, and what is not understood is left out.
    package mutating func parse(_ text: String) {
        var scanner = AptScanner(text)
        var scopes: [String] = []
        var pending: [String] = []
        while let token = scanner.next() {
            switch token {
            case .word(let word):
                pending.append(word)
            case .open:
                scopes.append(pending.joined(separator: "::"))
                pending = []
            case .close:
                if !scopes.isEmpty { scopes.removeLast() }
                pending = []
            case .end:
                apply(pending, scope: scopes.filter { !$0.isEmpty }.joined(separator: "::"))
                pending = []
            }
            if scopes.count > 64 || values.count > 10000 { return }
        }
    }

    private mutating func apply(_ words: [String], scope: String) {
        guard let first = words.first else { return }
        if first == "#clear", words.count > 1 {
            let name = words[1].lowercased()
            values.removeAll { $0.name.lowercased() == name || $0.name.lowercased().hasPrefix(name + "::") }
        } else if words.count == 2, !first.hasPrefix("#") {
            set(scope.isEmpty ? first : "\(scope)::\(first)", words[1])
        } else if words.count == 1, !scope.isEmpty {
            set(scope + "::", first)
        }
    }
}

/// Splits apt.conf(5) text into words, braces and semicolons.
private struct AptScanner {
    enum Token {
        case word(String)
        case open
        case close
        case end
    }

    private var rest: Substring.UnicodeScalarView

    init(_ text: String) {
        rest = Substring(text).unicodeScalars
    }

    mutating func next() -> Token? {
        skipBlanksAndComments()
        guard let first = rest.popFirst() else { return nil }
        switch first {
        case "{": return .open
        case "}": return .close
        case ";": return .end
        case "\"":
            let value = take { $0 == "\"" || $0 == "\n" }
            if rest.first == "\"" { rest.removeFirst() }
            return .word(value)
        default:
            let tail = take { "{};\" \t\r\n".unicodeScalars.contains($0) }
            return .word(String(first) + tail)
        }
    }

    private mutating func take(_ isEnd: (Unicode.Scalar) -> Bool) -> String {
        let end = rest.firstIndex(where: isEnd) ?? rest.endIndex
        defer { rest = rest[end...] }
        return String(rest[..<end])
    }

    private mutating func skipBlanksAndComments() {
        while let first = rest.first {
            if first.properties.isWhitespace {
                rest.removeFirst()
            } else if rest.starts(with: "//".unicodeScalars) || isHashComment {
                _ = take { $0 == "\n" }
            } else if rest.starts(with: "/*".unicodeScalars) {
                rest = rest.dropFirst(2)
                while !rest.isEmpty, !rest.starts(with: "*/".unicodeScalars) { rest.removeFirst() }
                rest = rest.dropFirst(2)
            } else {
                return
            }
        }
    }

    private var isHashComment: Bool {
        guard rest.first == "#" else { return false }
        return !rest.starts(with: "#clear".unicodeScalars) && !rest.starts(with: "#include".unicodeScalars)
    }
}
