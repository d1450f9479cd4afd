package import Pipelines
import PlainText

/// A comparison by which runs are chosen, such as `lr>0.1`, `model=forest` or `"odd = name"<=4`.
package struct RunCondition: Sendable, Hashable {
    /// How two values are compared.
    package enum Comparison: String, Sendable, Hashable {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    /// The condition as it was written.
    package let text: String
    /// The parameter, metric or fact that is compared.
    package let name: String
    /// Where the name begins in the text: its character, from 1.
    package let nameColumn: Int
    /// How it is compared.
    package let comparison: Comparison
    /// With what: a number, a truth value, a text, or other JSON.
    package let value: JSONValue

    /// Reads `NAME`, a comparison, and a value.
    ///
    /// A name ends where the comparison begins, so it may have spaces; in double quotes it may have anything. The value
    /// is JSON, or a text as it stands: `7` is a number, `"7"` and `seven` are texts.
    package init(_ text: String) throws(InvalidRunExpression) {
        guard text.utf8.count <= 8192 else { throw InvalidRunExpression(text, 1, "it is too long", hint: nil) }
        let scalars = Array(text.unicodeScalars)
        var at = scalars.firstIndex { !$0.properties.isWhitespace } ?? scalars.count
        nameColumn = at + 1
        if at < scalars.count, scalars[at] == "\"" {
            (name, at) = try Self.quotedName(scalars, from: at, in: text)
            while at < scalars.count, scalars[at].properties.isWhitespace { at += 1 }
        } else {
            let start = at
            while at < scalars.count, !Self.beginsComparison(scalars, at) { at += 1 }
            name = Self.trimmed(scalars[start..<at])
        }
        guard !name.isEmpty else { throw InvalidRunExpression(text, nameColumn, "there is no name", hint: Self.form) }
        guard at < scalars.count, Self.beginsComparison(scalars, at) else {
            throw InvalidRunExpression(text, at + 1, "there is no comparison behind the name", hint: Self.form)
        }
        let signs = scalars[at...].prefix { "<>=!".unicodeScalars.contains($0) }
        let word = signs.reduce(into: "") { $0.unicodeScalars.append($1) }
        guard let comparison = Comparison(rawValue: word == "==" ? "=" : word) else {
            throw InvalidRunExpression(
                text, at + 1, "`\(printable(word, limit: 20))` is no comparison",
                hint: "there are = != < <= > and >=; a value that begins with such a sign goes in double quotes")
        }
        self.comparison = comparison
        let rest = Self.trimmed(scalars[(at + signs.count)...])
        guard !rest.isEmpty else {
            throw InvalidRunExpression(
                text, at + signs.count + 1, "there is no value behind `\(word)`", hint: "the empty text is \"\"")
        }
        do throws(ParameterError) {
            value = try ParameterOverride(pipelineArgument: "value=\(rest)").value
        } catch {
            throw InvalidRunExpression(
                text, at + signs.count + 1, error.message,
                hint: error.hint ?? "a text with such a beginning goes in double quotes")
        }
        self.text = text
    }

    /// Whether a run with this value is chosen; values of different kinds are never equal and never ordered.
    package func holds(for found: JSONValue) -> Bool {
        switch comparison {
        case .equal: isEqual(found)
        case .notEqual: !isEqual(found)
        case .less: order(found).map { $0 < 0 } ?? false
        case .lessOrEqual: order(found).map { $0 <= 0 } ?? false
        case .greater: order(found).map { $0 > 0 } ?? false
        case .greaterOrEqual: order(found).map { $0 >= 0 } ?? false
        }
    }

    private func isEqual(_ found: JSONValue) -> Bool {
        guard case .number = found, case .number = value else { return found == value }
        return order(found) == 0
    }

    private func order(_ found: JSONValue) -> Int? { RunOrder.comparison(found, value) }

    private static let form = "write for example `lr>0.1` or `model=forest`"

    private static func beginsComparison(_ scalars: [Unicode.Scalar], _ at: Int) -> Bool {
        if scalars[at] == "!" { return at + 1 < scalars.count && scalars[at + 1] == "=" }
        return scalars[at] == "=" || scalars[at] == "<" || scalars[at] == ">"
    }

    private static func quotedName(
        _ scalars: [Unicode.Scalar], from start: Int, in text: String
    ) throws(InvalidRunExpression) -> (String, Int) {
        var end = start + 1
        while end < scalars.count, scalars[end] != "\"" { end += scalars[end] == "\\" ? 2 : 1 }
        guard end < scalars.count else {
            throw InvalidRunExpression(text, start + 1, "the name in double quotes has no end", hint: form)
        }
        let quoted = scalars[start...end].reduce(into: "") { $0.unicodeScalars.append($1) }
        guard let name = (try? JSONValue(parsing: quoted))?.stringValue else {
            throw InvalidRunExpression(text, start + 1, "the name in double quotes is no JSON text", hint: form)
        }
        return (name, end + 1)
    }

    private static func trimmed(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var scalars = scalars.drop { $0.properties.isWhitespace }
        while scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
        return scalars.reduce(into: "") { $0.unicodeScalars.append($1) }
    }
}

/// By what runs are sorted: `lr`, or `-accuracy` for the greatest first.
package struct RunOrder: Sendable, Hashable {
    /// The parameter, metric or fact.
    package let name: String
    /// Whether the greatest comes first.
    package let isDescending: Bool

    /// An order.
    package init(name: String, isDescending: Bool) {
        self.name = name
        self.isDescending = isDescending
    }

    /// Reads names with commas between them; each may begin with `-`, and be in double quotes.
    package static func list(_ text: String) throws(InvalidRunExpression) -> [RunOrder] {
        var orders: [RunOrder] = []
        var rest = Array(text.unicodeScalars)[...]
        repeat {
            let column = rest.startIndex + 1
            rest = rest.drop { $0.properties.isWhitespace }
            let isDescending = rest.first == "-"
            if isDescending { rest.removeFirst() }
            let isQuoted = rest.first == "\""
            var end = rest.startIndex
            if isQuoted {
                end += 1
                while end < rest.endIndex, rest[end] != "\"" { end += rest[end] == "\\" ? 2 : 1 }
                end = min(end + 1, rest.endIndex)
            }
            while end < rest.endIndex, rest[end] != "," { end += 1 }
            var name = rest[..<end].reduce(into: "") { $0.unicodeScalars.append($1) }
            while name.unicodeScalars.last?.properties.isWhitespace == true { name.unicodeScalars.removeLast() }
            if isQuoted, let unquoted = (try? JSONValue(parsing: name))?.stringValue { name = unquoted }
            guard !name.isEmpty else {
                throw InvalidRunExpression(
                    text, column, "there is no name", hint: "write for example `lr` or `-accuracy`")
            }
            orders.append(RunOrder(name: name, isDescending: isDescending))
            if end == rest.endIndex { break }
            rest = rest[(end + 1)...]
        } while true
        return orders
    }

    /// Less than 0, 0, or greater: how two numbers or two texts are ordered; nil for everything else.
    static func comparison(_ left: JSONValue, _ right: JSONValue) -> Int? {
        switch (left, right) {
        case (.number(let left), .number(let right)):
            // Integers by all of their digits: a double has 53 bits.
            if let left = Int128(left.literal), let right = Int128(right.literal) { return comparison(left, right) }
            return left == right ? 0 : comparison(left.doubleValue, right.doubleValue)
        case (.string(let left), .string(let right)):
            if left.utf8.elementsEqual(right.utf8) { return 0 }
            return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
        default: return nil
        }
    }

    private static func comparison<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
        left < right ? -1 : left > right ? 1 : 0
    }

    /// What runs are compared by: made once a run, for sorting compares each many times.
    package struct Key: Sendable {
        fileprivate let rank: Int
        fileprivate let number: Double
        /// What an integer is more than `number`, which has 53 bits.
        fileprivate let rest: Int128
        fileprivate let text: String

        /// The key of a run's value; nil is a run without one.
        package init(_ value: JSONValue?) {
            var rest: Int128 = 0
            switch value {
            case .number(let value)?:
                (rank, number, text) = (0, value.doubleValue, "")
                if number.magnitude >= 0x1p53, let exact = Int128(value.literal), let rounded = Int128(exactly: number)
                {
                    rest = exact - rounded
                }
            case .string(let value)?: (rank, number, text) = (1, 0, value)
            case .bool(let value)?: (rank, number, text) = (2, value ? 1 : 0, "")
            case let value?: (rank, number, text) = (3, 0, value.text())
            case nil: (rank, number, text) = (Self.missing, 0, "")
            }
            self.rest = rest
        }

        fileprivate static let missing = 4
        fileprivate var isText: Bool { rank == 1 || rank == 3 }
    }

    /// The places of keys in this order; those that are equal stay as they were.
    package func places(of keys: [Key]) -> [Int] {
        // Texts are counted references, and most keys are numbers.
        struct Number {
            let isMissing: Bool, rank: Int, number: Double, rest: Int128, place: Int
        }
        guard !keys.contains(where: \.isText) else {
            return keys.indices.sorted { precedes(keys[$0], keys[$1]) ?? ($0 < $1) }
        }
        var numbers = keys.enumerated().map {
            Number(isMissing: $1.rank == Key.missing, rank: $1.rank, number: $1.number, rest: $1.rest, place: $0)
        }
        numbers.sort { left, right in
            if left.isMissing != right.isMissing { return right.isMissing }
            if left.rank != right.rank { return (left.rank < right.rank) != isDescending }
            if left.number != right.number { return (left.number < right.number) != isDescending }
            if left.rest != right.rest { return (left.rest < right.rest) != isDescending }
            return left.place < right.place
        }
        return numbers.map(\.place)
    }

    /// Whether a run with the one value comes before a run with the other; nil where they are equal.
    ///
    /// Runs without a value come last in both directions; numbers come before texts, texts before all else.
    private func precedes(_ left: Key, _ right: Key) -> Bool? {
        if left.rank == Key.missing || right.rank == Key.missing {
            return left.rank == right.rank ? nil : right.rank == Key.missing
        }
        if left.rank != right.rank { return (left.rank < right.rank) != isDescending }
        if left.number != right.number { return (left.number < right.number) != isDescending }
        if left.rest != right.rest { return (left.rest < right.rest) != isDescending }
        if left.text.utf8.elementsEqual(right.text.utf8) { return nil }
        return left.text.utf8.lexicographicallyPrecedes(right.text.utf8) != isDescending
    }
}

/// A condition or an order that cannot be read, or names what no run has.
package struct InvalidRunExpression: Error, Sendable, Hashable, CustomStringConvertible {
    /// The expression; not yet fit to be shown.
    package let text: String
    /// Where it is wrong: a character of it, from 1.
    package let column: Int
    /// What is wrong.
    package let problem: String
    /// What to do about it.
    package let hint: String?

    init(_ text: String, _ column: Int, _ problem: String, hint: String?) {
        self.text = text
        self.column = column
        self.problem = problem
        self.hint = hint
    }

    /// One sentence, safe to show.
    package var description: String {
        "read `\(printable(text, limit: 120))`: at character \(column): \(problem)"
    }
}
