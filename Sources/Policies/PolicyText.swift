import PlainText
import Yams

/// The text of a document, made into nodes within bounds.
struct PolicyText {
    /// The largest document that is read, in bytes.
    static let sizeLimit = 65536

    /// Bounds on what makes the parser's work more than the length of the text.
    private enum Bound {
        static let aliases = 16
        static let brackets = 500
        static let indicators = 100
    }

    /// The document, as the user knows it.
    let file: String
    /// What is wrong with the text.
    private(set) var problems: [PolicyProblem] = []

    init(file: String) { self.file = file }

    /// The document's only node, or nil where there is a problem.
    mutating func root(_ bytes: [UInt8]) -> Node? {
        guard let text = bounded(bytes) else { return nil }
        do {
            // The scalars are read by rules of our own, under which `no` and `1:30` are what is written.
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            guard let node = try parser.singleRoot() else {
                problems.append(PolicyProblem("the policy is empty", file: file))
                return nil
            }
            // Nodes know their anchors only as long as the parser is there.
            withExtendedLifetime(parser) { refuseIndirection(in: node) }
            return problems.isEmpty ? node : nil
        } catch let error as YamlError {
            report(error)
        } catch {
            problems.append(PolicyProblem("not valid YAML", file: file))
        }
        return nil
    }

    func place(_ mark: Mark?) -> PolicyPlace {
        PolicyPlace(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1)
    }

    private mutating func report(_ message: String, line: Int, column: Int) {
        problems.append(PolicyProblem(message, at: PolicyPlace(file: file, line: line, column: column)))
    }

    /// The text, when it is small and shallow enough that the parser's work stays small too.
    private mutating func bounded(_ bytes: [UInt8]) -> String? {
        guard bytes.count <= Self.sizeLimit else {
            problems.append(PolicyProblem("the policy is larger than \(Self.sizeLimit) bytes", file: file))
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            problems.append(PolicyProblem("the policy is not UTF-8", file: file))
            return nil
        }
        var aliases = 0
        var brackets = 0
        var line = 1
        // Lines of scalars: the character of a carriage return and a line feed is one, and so would not be seen.
        for scalars in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
            let content = scalars.last == "\r" ? scalars.dropLast() : scalars
            if let column = refusedCharacter(in: content) {
                report("a control character", line: line, column: column)
                return nil
            }
            aliases += count(in: content) { $0 == "*" && $1.map(isAnchorCharacter) ?? false }
            brackets += count(in: content) { scalar, _ in scalar == "[" || scalar == "{" }
            let indicators = count(in: content) { indicator, next in
                (indicator == "-" || indicator == "?" || indicator == ":")
                    && (next == nil || next == " " || next == "\t")
            }
            if aliases > Bound.aliases || brackets > Bound.brackets || indicators > Bound.indicators {
                report("too many aliases or nested values", line: line, column: 1)
                return nil
            }
            line += 1
        }
        return text
    }

    /// The column of a character that a terminal may obey, that turns the direction of what a reader sees, or that is a
    /// line break to the parser and to nobody else.
    private func refusedCharacter(in line: Substring.UnicodeScalarView) -> Int? {
        let index = line.enumerated().first { _, scalar in
            switch scalar.properties.generalCategory {
            case .control: scalar != "\t"
            case .lineSeparator, .paragraphSeparator: true
            case .format: (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
            default: false
            }
        }
        return index.map { $0.offset + 1 }
    }

    private func count(
        in line: Substring.UnicodeScalarView, _ isCounted: (Unicode.Scalar, Unicode.Scalar?) -> Bool
    ) -> Int {
        var count = 0
        var previous: Unicode.Scalar?
        for scalar in line {
            if let previous, isCounted(previous, scalar) { count += 1 }
            previous = scalar
        }
        if let previous, isCounted(previous, nil) { count += 1 }
        return count
    }

    /// Refuses anchors, and so aliases, and tags: what a policy says is to stand where it takes effect.
    private mutating func refuseIndirection(in node: Node) {
        if node.anchor != nil {
            report("anchors and aliases are not read in a policy", line: line(node), column: column(node))
            // What follows may be a multiple of the text.
            return
        }
        let tag: Tag
        switch node {
        case .scalar(let scalar): tag = scalar.tag
        case .mapping(let mapping):
            tag = mapping.tag
            for (key, value) in mapping where problems.isEmpty {
                refuseIndirection(in: key)
                if problems.isEmpty { refuseIndirection(in: value) }
            }
        case .sequence(let sequence):
            tag = sequence.tag
            for element in sequence where problems.isEmpty { refuseIndirection(in: element) }
        case .alias(let alias): tag = alias.tag
        }
        let plain: [Tag.Name] = [.implicit, .nonSpecific, .str, .seq, .map]
        if problems.isEmpty, !plain.contains(where: { $0.rawValue == tag.rawValue }) {
            report("the tag \(quoted(tag.rawValue)) means nothing in a policy", line: line(node), column: column(node))
        }
    }

    private func line(_ node: Node) -> Int { node.mark?.line ?? 1 }
    private func column(_ node: Node) -> Int { node.mark?.column ?? 1 }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            report(printable(problem, limit: 80), line: mark.line, column: mark.column)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let keys = duplicates.prefix(8).map(quoted).joined(separator: ", ")
            report("given twice: \(keys)", line: context.mark.line, column: context.mark.column)
        default:
            problems.append(PolicyProblem("not valid YAML", file: file))
        }
    }
}

private func isAnchorCharacter(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "-" || scalar == "_" || (scalar.isASCII && scalar.properties.isAlphabetic)
        || ("0"..."9").contains(scalar)
}
