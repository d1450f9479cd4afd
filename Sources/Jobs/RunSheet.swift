package import Isolation
package import Pipelines
import PlainText

/// The runs of a job as a table of values, by which they are chosen, sorted and compared.
package struct RunSheet: Sendable {
    /// What a run has a value of.
    package enum Field: Sendable, Hashable {
        /// A parameter of the pipeline, or of the step with that identity.
        case parameter(step: String?, name: String)
        /// What steps measured.
        case metric(String)
        /// What is known of every run.
        case fact(Fact)
    }

    /// What is known of every run.
    package enum Fact: String, Sendable, Hashable, CaseIterable {
        /// Its number.
        case run
        /// The word of its state.
        case state
        /// How long it took, or has taken so far, in seconds.
        case time
        /// Why it ended: the word of its verdict.
        case cause
        /// The number of its newest attempt.
        case attempt
    }

    /// One run.
    ///
    /// An object, for thousands are sorted: what it holds is not counted anew each time that one changes its place.
    package final class Row: Sendable {
        /// What is known of it.
        package let outline: RunOutline
        /// Its parameters.
        package let parameters: Pipelines.RunParameters
        /// Its metrics by name.
        package let metrics: JSONObject

        init(outline: RunOutline, parameters: Pipelines.RunParameters, metrics: JSONObject) {
            self.outline = outline
            self.parameters = parameters
            self.metrics = metrics
        }
    }

    /// The runs, in the order in which they were given.
    package private(set) var rows: [Row]
    /// The parameters that runs have, those of the pipeline first.
    package let parameters: [Field]
    /// The metrics that runs have.
    package let metrics: [Field]

    private let titles: [String: String]
    private let now: Timestamp

    /// Reads the values of runs; `titles` are those of the pipeline's steps by identity.
    package init(_ outlines: [RunOutline], titles: [String: String], now: Timestamp) {
        self.titles = titles
        self.now = now
        var found = Collector(), measured = Collector()
        rows = outlines.map { outline in
            let parameters = Self.read(outline.parameters)
            found.add(nil, parameters.pipeline) { .parameter(step: nil, name: $0) }
            // In the order of their identities; a list of one is not worth sorting.
            let steps =
                parameters.steps.count < 2 ? Array(parameters.steps) : parameters.steps.sorted { $0.key < $1.key }
            for (step, object) in steps { found.add(step, object) { .parameter(step: step, name: $0) } }
            let metrics = outline.metrics.flatMap { (try? JSONValue(parsing: $0))?.objectValue } ?? JSONObject()
            measured.add(nil, metrics) { .metric($0) }
            return Row(outline: outline, parameters: parameters, metrics: metrics)
        }
        parameters =
            found.fields.filter { if case .parameter(nil, _) = $0 { true } else { false } }
            + found.fields.filter { if case .parameter(nil, _) = $0 { false } else { true } }
        metrics = measured.fields
    }

    /// The value of a field in a run.
    package func value(_ field: Field, of row: Row) -> JSONValue? {
        switch field {
        case .parameter(let step, let name): row.parameters.value(of: name, step: step)
        case .metric(let name): row.metrics[name]
        case .fact(.run): .number(JSONNumber(row.outline.number))
        case .fact(.state): .string(row.outline.state.rawValue)
        case .fact(.time): row.outline.seconds(until: now).flatMap(JSONNumber.init).map(JSONValue.number)
        case .fact(.cause): row.outline.cause.map(JSONValue.string)
        case .fact(.attempt): .number(JSONNumber(row.outline.attempt))
        }
    }

    /// What a field is called: `lr`, `train.depth`, `accuracy`, `state`; not yet fit to be shown.
    package func name(_ field: Field) -> String {
        switch field {
        case .parameter(nil, let name), .metric(let name): name
        case .parameter(let step?, let name): "\(titles[step] ?? step).\(name)"
        case .fact(let fact): fact.rawValue
        }
    }

    /// The parameters that have not the same value in all these runs.
    package func varying(in rows: [Row]) -> [Field] {
        parameters.filter { field in
            guard let first = rows.first.map({ value(field, of: $0) }) else { return false }
            return rows.contains { value(field, of: $0) != first }
        }
    }

    /// Keeps the runs for which all conditions hold, in their order.
    package mutating func choose(_ conditions: [RunCondition]) throws(InvalidRunExpression) {
        for condition in conditions {
            let field = try field(named: condition.name, in: condition.text, column: condition.nameColumn)
            try check(condition, field)
            rows = rows.filter { row in value(field, of: row).map(condition.holds) ?? false }
        }
    }

    /// Those of the runs that are in one of these states; none means all.
    package func keeping(states: Set<RunState>) -> RunSheet {
        var kept = self
        if !states.isEmpty { kept.rows.removeAll { !states.contains($0.outline.state) } }
        return kept
    }

    /// Sorts the runs; the first order counts most, and runs that are equal in all of them stay as they were.
    package mutating func sort(by orders: [RunOrder]) throws(InvalidRunExpression) {
        // From the last: sorting keeps the order of equals.
        for order in orders.reversed() {
            let field = try field(for: order)
            // States come in the order of a run's life, not of the alphabet.
            if field == .fact(.state) {
                let ranks = Dictionary(uniqueKeysWithValues: RunState.allCases.enumerated().map { ($1, $0) })
                let keys = rows.map { RunOrder.Key(.number(JSONNumber(ranks[$0.outline.state] ?? 0))) }
                rows = order.places(of: keys).map { rows[$0] }
            } else {
                rows = order.places(of: rows.map { RunOrder.Key(value(field, of: $0)) }).map { rows[$0] }
            }
        }
    }

    /// What an order sorts by.
    package func field(for order: RunOrder) throws(InvalidRunExpression) -> Field {
        try field(named: order.name, in: order.name, column: 1)
    }

    /// The field of that name: a parameter, else a metric, else a fact; `parameter:`, `metric:` and `fact:` say which.
    private func field(named name: String, in text: String, column: Int) throws(InvalidRunExpression) -> Field {
        let candidates = parameters + metrics + Fact.allCases.map(Field.fact)
        if let field = candidates.first(where: { isExactly(name, self.name($0)) }) { return field }
        if let rest = Self.rest(of: name, behind: "parameter:"),
            let field = parameters.first(where: { isExactly(rest, self.name($0)) })
        {
            return field
        }
        if let rest = Self.rest(of: name, behind: "metric:"), metrics.contains(.metric(rest)) { return .metric(rest) }
        if let fact = Self.rest(of: name, behind: "fact:").flatMap(Fact.init(rawValue:)) { return .fact(fact) }
        let byStep = parameters.filter { field in
            guard case .parameter(let step?, let own) = field else { return false }
            return isExactly(own, name) || isExactly("\(step).\(own)", name)
        }
        if byStep.count == 1 { return byStep[0] }
        if byStep.count > 1 {
            let names = byStep.prefix(5).map { "`\(printable(self.name($0), limit: 60))`" }
            throw InvalidRunExpression(
                text, column, "`\(printable(name, limit: 60))` is a parameter of \(byStep.count) steps",
                hint: "write one of " + names.joined(separator: ", "))
        }
        let names = candidates.map(self.name)
        let nearest = EditDistance.nearest(to: name, in: names).map { "did you mean `\(printable($0, limit: 60))`?" }
        throw InvalidRunExpression(
            text, column, "no run has a parameter or metric `\(printable(name, limit: 60))`",
            hint: nearest ?? "there are "
                + names.prefix(20).map { "`\(printable($0, limit: 40))`" }.joined(separator: ", "))
    }

    /// A comparison with a value of a kind that no run has would choose nothing, without a word.
    private func check(_ condition: RunCondition, _ field: Field) throws(InvalidRunExpression) {
        let values = rows.lazy.compactMap { value(field, of: $0) }
        guard let first = values.first, !values.contains(where: { $0.kind == condition.value.kind }) else { return }
        let name = printable(condition.name, limit: 60)
        throw InvalidRunExpression(
            condition.text, condition.nameColumn,
            "`\(name)` is compared with \(Self.phrase(condition.value)), and is \(Self.phrase(first)) in every run",
            hint: "a run has for example `\(name)=\(printable(first.text(), limit: 60))`")
    }

    private func isExactly(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

    private static func rest(of name: String, behind prefix: String) -> String? {
        name.utf8.starts(with: prefix.utf8) ? String(name.unicodeScalars.dropFirst(prefix.count)) : nil
    }

    private static func phrase(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "a truth value"
        case .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    private static func read(_ text: String) -> Pipelines.RunParameters {
        guard let json = try? JSONValue(parsing: text), let parameters = try? Pipelines.RunParameters(json: json) else {
            return Pipelines.RunParameters()
        }
        return parameters
    }
}

/// Fields in the order in which they are met first.
private struct Collector {
    private(set) var fields: [RunSheet.Field] = []
    private var known: Set<RunSheet.Field> = []
    /// The keys of the object that was met last in each place: those of the next run are the same, as a rule.
    private var last: [String?: [String]] = [:]

    mutating func add(_ place: String?, _ object: JSONObject, _ field: (String) -> RunSheet.Field) {
        if let last = last[place], last.count == object.count, zip(last, object).allSatisfy({ $0 == $1.key }) { return }
        last[place] = object.keys
        for entry in object {
            let field = field(entry.key)
            if known.insert(field).inserted { fields.append(field) }
        }
    }
}
