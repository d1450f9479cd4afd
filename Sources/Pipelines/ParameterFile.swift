import PlainText

extension ParameterGrid {
    /// Reads a parameters file for `pipeline`.
    ///
    /// Two forms are read. The plain one holds a list of values for every parameter, `{"pipeline_parameters": {"a":
    /// [1, 2]}, "<step>": {"b": [true]}}`. The strategy form, as it is stored with jobs, holds for every step an object
    /// with `key`, `title` and `parameters`, whose values are texts that hold those lists. A step is named as
    /// `Pipeline.step(named:)` takes it: by its identifier, or by a title or file that no other step has.
    ///
    /// Entries come in the order of the file, then the steps that it leaves out, then the pipeline's own parameters.
    /// Within an entry the parameters that the pipeline has come first, in its order and with their defaults where the
    /// file has none, then those that only the file has.
    ///
    /// - Parameters:
    ///   - bytes: The content of the file.
    ///   - file: The name of the file in diagnostics.
    ///   - pipeline: The pipeline that is to be run.
    package init(contentsOf bytes: [UInt8], file: String, for pipeline: Pipeline) throws(InvalidDocument) {
        self = try Self.reading(bytes, file: file, for: pipeline).grid
    }

    /// Reads a parameters file as above, and tells what its author probably did not mean.
    package static func reading(
        _ bytes: [UInt8], file: String, for pipeline: Pipeline
    ) throws(InvalidDocument) -> (grid: ParameterGrid, warnings: [Diagnostic]) {
        let document = try JSONDocument(bytes, file: file)
        var reader = ParameterFileReader(document: document, pipeline: pipeline)
        let entries = try reader.read()
        return (ParameterGrid(entries, pipeline), reader.warnings)
    }
}

private struct ParameterFileReader {
    let document: JSONDocument
    let pipeline: Pipeline
    let names: StepNames
    var problems: DiagnosticList

    /// The pipeline, or a step of it.
    enum Owner: Hashable {
        case pipeline
        case step(String)

        var step: String? {
            guard case .step(let uuid) = self else { return nil }
            return uuid
        }
    }

    init(document: JSONDocument, pipeline: Pipeline) {
        self.document = document
        self.pipeline = pipeline
        names = StepNames(pipeline.steps)
        problems = DiagnosticList(source: document.source)
    }

    /// What does not keep the file from being used.
    var warnings: [Diagnostic] { problems.diagnostics }

    mutating func read() throws(InvalidDocument) -> [ParameterGrid.Entry] {
        guard let members = document.root.members else {
            problems.error(
                "a parameters file must be an object, not \(document.root.kind.phrase)",
                at: document.root.offset,
                hint: #"write {"pipeline_parameters": {"name": [1, 2]}}"#
            )
            throw problems.invalidDocument
        }
        var entries: [ParameterGrid.Entry] = []
        var places: [Owner: Int] = [:]
        for member in members {
            guard let owner = owner(of: member) else { continue }
            if let first = places.updateValue(member.keyNode.offset, forKey: owner) {
                let place = document.source.position(at: first)
                problems.error("\(quoted(member.key)) was already given at \(place)", at: member.keyNode.offset)
            }
            entries.append(entry(member, of: owner))
        }
        try problems.throwIfInvalid()
        for step in pipeline.steps where places[.step(step.uuid)] == nil {
            entries.append(ParameterGrid.entry(step: step.uuid, defaults: step.parameters))
        }
        if places[.pipeline] == nil {
            entries.append(ParameterGrid.entry(step: nil, defaults: pipeline.parameters))
        }
        return entries
    }

    private mutating func owner(of member: JSONNode.Member) -> Owner? {
        if member.key == Pipeline.parametersKey { return .pipeline }
        let offset = member.keyNode.offset
        switch names.find(member.key) {
        case .one(let step):
            return .step(step.uuid)
        case .many(let steps):
            let error = ParameterError.ambiguousStep(member.key, steps)
            problems.error(error.message, at: offset, hint: error.hint)
        case .none:
            problems.error(
                "there is no step \(quoted(member.key)) in the pipeline",
                at: offset,
                hint: StepNames.suggestion(for: member.key, among: pipeline.steps)
                    ?? "steps are named by their uuid or title, the pipeline by `\(Pipeline.parametersKey)`"
            )
        }
        return nil
    }

    private mutating func entry(_ member: JSONNode.Member, of owner: Owner) -> ParameterGrid.Entry {
        let defaults = owner.step.flatMap { pipeline.step(uuid: $0)?.parameters } ?? pipeline.parameters
        var lists = JSONObject(defaults.map { ($0.key, JSONValue.array([$0.value])) })
        for (name, values) in givenLists(member, of: owner, among: defaults) { lists[name] = .array(values) }
        return ParameterGrid.Entry(
            step: owner.step,
            parameters: lists.map { .init(name: $0.key, values: $0.value.arrayValue ?? []) }
        )
    }

    private mutating func givenLists(
        _ member: JSONNode.Member, of owner: Owner, among defaults: JSONObject
    ) -> [(String, [JSONValue])] {
        guard let parameters = member.value.members else {
            problems.error(
                "the parameters of \(quoted(member.key)) must be an object, not \(member.value.kind.phrase)",
                at: member.value.offset
            )
            return []
        }
        let strategy = strategyParameters(member.value)
        for parameter in strategy ?? parameters where defaults[parameter.key] == nil {
            problems.warning(
                ParameterOverride.newParameter(parameter.key, of: owner.step, in: pipeline),
                at: parameter.keyNode.offset,
                hint: ParameterOverride.meantParameter(parameter.key, of: owner.step, in: pipeline))
        }
        guard let strategy else {
            return parameters.compactMap { parameter in
                list(parameter).map { (parameter.key, checked($0, of: parameter, among: defaults)) }
            }
        }
        if let key = member.value["key"], key.string != member.key {
            problems.error("`key` is not \(quoted(member.key)), the key of its entry", at: key.offset)
        }
        return strategy.compactMap { parameter in
            let list = parameter.value.kind == .string ? listInText(parameter) : list(parameter)
            return list.map { (parameter.key, checked($0, of: parameter, among: defaults)) }
        }
    }

    /// The values, with a word about those of which the program may know nothing.
    private mutating func checked(
        _ values: [JSONValue], of parameter: JSONNode.Member, among defaults: JSONObject
    ) -> [JSONValue] {
        if let standard = defaults[parameter.key],
            let message = ParameterOverride.otherKind(parameter.key, values, than: standard)
        {
            problems.warning(message, at: parameter.keyNode.offset)
        }
        var known: Set<JSONValue> = []
        if let again = values.first(where: { !known.insert($0).inserted }) {
            problems.warning(
                "\(quoted(parameter.key)) has the value \(quoted(again.text())) more than once, so there are equal runs",
                at: parameter.keyNode.offset,
                hint: "leave it out, unless runs are to be repeated")
        }
        return values
    }

    /// The parameters of an entry in the strategy form; nil for the plain form, where `parameters` would be a list.
    private func strategyParameters(_ node: JSONNode) -> [JSONNode.Member]? {
        guard let parameters = node["parameters"]?.members, let members = node.members,
            members.allSatisfy({ ["key", "title", "parameters"].contains($0.key) })
        else { return nil }
        return parameters
    }

    private mutating func list(_ parameter: JSONNode.Member) -> [JSONValue]? {
        let node = parameter.value
        guard let values = node.value.arrayValue else {
            let text = printable(node.value.text(), limit: 60)
            problems.error(
                "the values of \(quoted(parameter.key)) must be a list, not \(node.kind.phrase)",
                at: node.offset,
                hint: "wrap it in brackets: [\(text)]"
            )
            return nil
        }
        return checked(values, parameter)
    }

    private mutating func listInText(_ parameter: JSONNode.Member) -> [JSONValue]? {
        let text = parameter.value.string ?? ""
        do throws(InvalidDocument) {
            let value = try JSONValue(parsing: text)
            guard let values = value.arrayValue else {
                problems.error(
                    "the text of \(quoted(parameter.key)) must hold a list, not \(value.kind.phrase)",
                    at: parameter.value.offset,
                    hint: "wrap it in brackets: \"[\(printable(text, limit: 60))]\""
                )
                return nil
            }
            return checked(values, parameter)
        } catch {
            let cause = error.diagnostics.first.map { ": \($0.line ?? 1):\($0.column ?? 1): \($0.message)" } ?? ""
            problems.error(
                "the text of \(quoted(parameter.key)) is not a JSON list\(cause)",
                at: parameter.value.offset,
                hint: error.hint
            )
            return nil
        }
    }

    private mutating func checked(_ values: [JSONValue], _ parameter: JSONNode.Member) -> [JSONValue]? {
        guard values.isEmpty else { return values }
        problems.error(
            "the list of \(quoted(parameter.key)) is empty, so there would be no run",
            at: parameter.value.offset,
            hint: "give at least one value, or leave the parameter out to keep its default"
        )
        return nil
    }
}
