import PlainText
import Yams

extension Recipe {
    /// The largest recipe that is read, in bytes.
    package static let sizeLimit = 65536

    /// Reads a recipe and reports everything that is wrong with it; `file` is only for messages.
    package init(reading bytes: [UInt8], file: String) throws(DocumentError) {
        var reader = RecipeReader(file: file)
        guard let recipe = reader.read(bytes), reader.problems.isEmpty else {
            throw DocumentError(Array(reader.problems.prefix(DocumentError.limit)), hint: reader.hint)
        }
        self = recipe
    }
}

/// Turns YAML nodes into a recipe and collects what is wrong.
private struct RecipeReader {
    static let keys = [
        "name", "description", "suite", "components", "packages", "scripts", "variables", "interpreters", "replaces",
    ]

    let file: String
    var problems: [DocumentProblem] = []
    var hint: String?

    mutating func report(_ message: String, _ mark: Mark?) {
        report(message, line: mark?.line, column: mark?.column)
    }

    mutating func report(_ message: String, line: Int?, column: Int?) {
        problems.append(DocumentProblem(file: file, line: line, column: column, message: message))
    }

    mutating func read(_ bytes: [UInt8]) -> Recipe? {
        guard let text = boundedText(bytes) else { return nil }
        do {
            guard let node = try Yams.compose(yaml: text) else {
                report("the recipe is empty", nil)
                return nil
            }
            return recipe(node)
        } catch let error as YamlError {
            report(error)
        } catch {
            report("not valid YAML", nil)
        }
        return nil
    }

    /// The text, when it is small and shallow enough that the parser's work stays small too.
    private mutating func boundedText(_ bytes: [UInt8]) -> String? {
        guard bytes.count <= Recipe.sizeLimit else {
            report("the recipe is larger than \(Recipe.sizeLimit) bytes", nil)
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            report("the recipe is not UTF-8", nil)
            return nil
        }
        // Aliases multiply what the parser compares, and it descends once a nesting level: both are bounded beforehand.
        var aliases = 0
        var brackets = 0
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let scalars = Array(line.unicodeScalars)
            var indicators = 0
            for (column, scalar) in scalars.enumerated() {
                let starts = column == 0 || " \t,[{:".unicodeScalars.contains(scalars[column - 1])
                if scalar == "*", starts, column + 1 < scalars.count { aliases += 1 }
                if scalar == "[" || scalar == "{" { brackets += 1 }
                if (scalar == "-" || scalar == "?"), starts { indicators += 1 }
            }
            if aliases > 16 || brackets > 500 || indicators > 100 {
                report("too many aliases or nested values", line: index + 1, column: 1)
                return nil
            }
        }
        return text
    }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            report(printable(problem, limit: 120), mark)
        case .duplicatedKeysInMapping(let duplicates, let context):
            report(
                "key given twice: \(duplicates.map { "`\(printable($0, limit: 120))`" }.joined(separator: ", "))",
                context.mark)
        default:
            report("not valid YAML", nil)
        }
    }

    private mutating func recipe(_ node: Node) -> Recipe? {
        guard let mapping = node.mapping else {
            report("a recipe is a map of keys", node.mark)
            return nil
        }
        var values: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                report("a key must be a text", key.mark)
                continue
            }
            if Self.keys.contains(name) {
                values[name] = value
            } else {
                let near = EditDistance.nearest(to: name, in: Self.keys)
                report(
                    "unknown key `\(printable(name, limit: 120))`" + (near.map { "; did you mean `\($0)`?" } ?? ""),
                    key.mark)
                if hint == nil { hint = "a recipe has the keys \(Self.keys.joined(separator: ", "))" }
            }
        }
        let name = text(values, "name", required: true, node) ?? ""
        let environment = EnvironmentName(name)
        if environment == nil, let place = values["name"], place.scalar != nil {
            report("`\(printable(name, limit: 120))` is not a name: letters, digits, `.`, `_` and `-` only", place.mark)
        }
        let suite = text(values, "suite", required: true, node) ?? ""
        if let place = values["suite"], place.scalar != nil, !DebianName.isArchiveName(suite) {
            report("`\(printable(suite, limit: 120))` is not the name of a Debian suite", place.mark)
        }
        let description = text(values, "description", required: true, node) ?? ""
        let components = list(values, "components", of: "a component of the archive", DebianName.isArchiveName)
        let packages = list(values, "packages", of: "the name of a Debian package", DebianName.isPackage)
        let scripts = list(values, "scripts", of: "the name of a file beside the recipe") {
            EnvironmentName($0) != nil
        }
        let variables = map(values, "variables", keys: "the name of a variable", isVariableName) {
            !$0.utf8.contains(0)
        }
        let interpreters = map(values, "interpreters", keys: "the name of a language", isVariableName) {
            $0.hasPrefix("/") && !$0.utf8.contains(0)
        }
        let replaces = list(values, "replaces", of: "the name of an image") { ImageName($0) != nil }
        guard problems.isEmpty, let environment else { return nil }
        return Recipe(
            name: environment, description: description, suite: suite,
            components: components.isEmpty ? ["main"] : components, packages: packages, scripts: scripts,
            variables: variables, interpreters: interpreters, replaces: replaces.compactMap(ImageName.init))
    }

    private mutating func text(_ values: [String: Node], _ key: String, required: Bool, _ document: Node) -> String? {
        guard let node = values[key] else {
            if required { report("the key `\(key)` is missing", document.mark) }
            return nil
        }
        guard let scalar = node.scalar else {
            report("`\(key)` must be a text", node.mark)
            return nil
        }
        return scalar.string
    }

    private mutating func list(
        _ values: [String: Node], _ key: String, of what: String, _ isValid: (String) -> Bool
    ) -> [String] {
        guard let node = values[key] else { return [] }
        guard let sequence = node.sequence else {
            report("`\(key)` must be a list", node.mark)
            return []
        }
        if sequence.count > 2000 { report("`\(key)` has more than 2000 entries", node.mark) }
        var result: [String] = []
        for entry in sequence.prefix(2000) {
            guard let text = entry.scalar?.string, isValid(text) else {
                report("\(shown(entry)) is not \(what)", entry.mark)
                continue
            }
            if result.contains(text) {
                report("`\(printable(text, limit: 120))` is given twice", entry.mark)
            } else {
                result.append(text)
            }
        }
        return result
    }

    private mutating func map(
        _ values: [String: Node], _ key: String, keys what: String, _ isKey: (String) -> Bool,
        _ isValue: (String) -> Bool
    ) -> [String: String] {
        guard let node = values[key] else { return [:] }
        guard let mapping = node.mapping else {
            report("`\(key)` must be a map", node.mark)
            return [:]
        }
        var result: [String: String] = [:]
        for (name, value) in mapping {
            guard let text = name.scalar?.string, isKey(text) else {
                report("\(shown(name)) is not \(what)", name.mark)
                continue
            }
            guard let content = value.scalar?.string, isValue(content) else {
                let wanted = key == "interpreters" ? "an absolute path" : "a text"
                report("the value of `\(printable(text, limit: 120))` must be \(wanted)", value.mark)
                continue
            }
            result[text] = content
        }
        return result
    }

    private func shown(_ node: Node) -> String {
        node.scalar.map { "`\(printable($0.string, limit: 120))`" } ?? "this entry"
    }
}
