import PlainText

/// One parameter set on the command line, `NAME=JSON` for the pipeline or `STEP.NAME=JSON` for a step.
///
/// The value is read by these rules, in this order:
///
/// 1. what is JSON is that value: `lr=0.1` a number, `on=true` a truth value, `tags=["a"]` a list, `x="1"` a text;
/// 2. what begins with `[`, `{` or `"` was meant as JSON: it is an error, told with its place;
/// 3. what is a number, a truth value or null in another language (`.5`, `1e400`, `007`, `True`, `None`, `nan`) is an
///    error, because the run would get a text;
/// 4. everything else is a text as it stands, also when it is empty: `name=abc`, `date=2024-05-01`, `path=`.
package struct ParameterOverride: Sendable, Hashable {
    /// The identifier of the step; nil for the pipeline.
    package let step: String?
    /// The name of the parameter.
    package let name: String
    /// The value.
    package let value: JSONValue

    /// Reads `NAME=JSON`, a parameter of the pipeline.
    package init(pipelineArgument text: String) throws(ParameterError) {
        guard let (name, value) = Self.split(text), !name.isEmpty else {
            throw ParameterError("\(quoted(text)) is not NAME=VALUE", hint: "write for example `lr=0.1`")
        }
        step = nil
        self.name = name
        self.value = try Self.value(of: value, name: name)
    }

    /// Reads `STEP.NAME=JSON`, a parameter of a step of `pipeline`.
    ///
    /// The step is an identifier, a title, or the path or name of a file. The name of the parameter begins after the
    /// first dot that has a step before it, so both titles and names may have dots.
    package init(stepArgument text: String, in pipeline: Pipeline) throws(ParameterError) {
        guard let (target, value) = Self.split(text), target.contains(".") else {
            throw ParameterError("\(quoted(text)) is not STEP.NAME=VALUE", hint: "write for example `train.lr=0.1`")
        }
        let names = StepNames(pipeline.steps)
        for dot in target.indices where target[dot] == "." {
            let name = String(target[target.index(after: dot)...])
            let stepName = String(target[..<dot])
            switch names.find(stepName) {
            case .none: continue
            case .many(let steps): throw .ambiguousStep(stepName, steps)
            case .one(let step):
                guard !name.isEmpty else {
                    throw ParameterError("\(quoted(text)) names no parameter after \(quoted(stepName))")
                }
                self.step = step.uuid
                self.name = name
                self.value = try Self.value(of: value, name: target)
                return
            }
        }
        let stepName = target.lastIndex(of: ".").map { String(target[..<$0]) } ?? target
        throw .unknownStep(stepName, among: pipeline.steps)
    }

    /// That the pipeline or step does not have this parameter yet, and what was probably meant, or that it has a value
    /// of another kind; nil where neither is so.
    ///
    /// Both are allowed, since programs may read what has no default, or several kinds; a message is in order all the same.
    package func remark(in pipeline: Pipeline) -> (message: String, hint: String?)? {
        guard let standard = Self.parameters(of: step, in: pipeline)[name] else {
            return (
                Self.newParameter(name, of: step, in: pipeline),
                Self.meantParameter(name, of: step, in: pipeline) ?? meantStepArgument(in: pipeline)
            )
        }
        return Self.otherKind(name, [value], than: standard).map { ($0, nil) }
    }

    /// That one of the values of a parameter is of another kind than its default; null goes with every kind.
    static func otherKind(_ name: String, _ values: [JSONValue], than standard: JSONValue) -> String? {
        guard standard.kind != .null,
            let other = values.first(where: { $0.kind != standard.kind && $0.kind != .null })
        else { return nil }
        return "\(quoted(name)) is \(standard.kind.phrase) in the pipeline, and \(other.kind.phrase) here: "
            + quoted(other.text())
    }

    /// That a step, or the pipeline, has no such parameter.
    static func newParameter(_ name: String, of step: String?, in pipeline: Pipeline) -> String {
        guard let step = step.flatMap({ pipeline.step(uuid: $0) }) else {
            return "the pipeline has no parameter \(quoted(name))"
        }
        return "the step \(quoted(step.title)) has no parameter \(quoted(name))"
    }

    /// Which parameter was probably meant: one of the same place, or one of that very name elsewhere.
    static func meantParameter(_ name: String, of step: String?, in pipeline: Pipeline) -> String? {
        if let hint = didYouMean(name, among: parameters(of: step, in: pipeline).keys) { return hint }
        if step != nil, pipeline.parameters[name] != nil {
            return "the pipeline has one: `\(Pipeline.parametersKey)` in a parameters file, `-p` for a single run"
        }
        let having = pipeline.steps.filter { $0.uuid != step && $0.parameters[name] != nil }
        guard let first = having.first else { return nil }
        let others = having.count > 1 ? " and \(having.count - 1) more have" : " has"
        return "the step \(quoted(first.title))\(others) one: `--step-param` sets it for a single run"
    }

    /// The option for a step's parameter, where the pipeline's is named as if a step, or nearly one, stood before a dot.
    private func meantStepArgument(in pipeline: Pipeline) -> String? {
        guard self.step == nil else { return nil }
        let splits = name.indices.filter { name[$0] == "." }.map { dot in
            (step: String(name[..<dot]), parameter: String(name[name.index(after: dot)...]))
        }
        let names = StepNames(pipeline.steps)
        let exact = splits.first { if case .none = names.find($0.step) { false } else { true } }
        let near = splits.lazy.compactMap { split in
            StepNames.nearest(to: split.step, among: pipeline.steps).map { (step: $0, parameter: split.parameter) }
        }
        guard let found = exact ?? near.first, !found.parameter.isEmpty else { return nil }
        var meant = found.parameter
        if let known = (try? pipeline.step(named: found.step))?.parameters, known[meant] == nil {
            meant = EditDistance.nearest(to: meant, in: known.keys) ?? meant
        }
        let argument = "\(found.step).\(meant)=\(RunParameters.shown(value))"
        return "for a step's parameter: `--step-param \(shellWord(argument))`"
    }

    private static func parameters(of step: String?, in pipeline: Pipeline) -> JSONObject {
        step.map { pipeline.step(uuid: $0)?.parameters ?? JSONObject() } ?? pipeline.parameters
    }

    private static func split(_ text: String) -> (String, String)? {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return (String(text[..<equals]), String(text[text.utf8.index(after: equals)...]))
    }

    /// The value that `text` means.
    static func value(of text: String, name: String) throws(ParameterError) -> JSONValue {
        if isPlainText(text) { return .string(text) }
        do throws(InvalidDocument) {
            return try JSONValue(parsing: text)
        } catch {
            let first = text.unicodeScalars.first { !$0.properties.isWhitespace }
            let asText = "for a text write \(printable(name, limit: 40))='\(JSONValue.string(text).text())'"
            guard let first, !["[", "{", "\""].contains(first) else {
                let cause = error.diagnostics.first
                let place = cause?.column.map { " at character \($0)" } ?? ""
                throw ParameterError(
                    "the value of \(quoted(name)) is not JSON\(place): \(cause?.message ?? "")",
                    hint: cause?.hint
                )
            }
            throw ParameterError("the value of \(quoted(name)) is not JSON: \(quoted(text))", hint: asText)
        }
    }

    /// Whether `text` stands for itself, by rule 4.
    static func isPlainText(_ text: String) -> Bool {
        let trimmed = text.unicodeScalars.drop { $0.properties.isWhitespace }
        guard let first = trimmed.first else { return true }
        if ["[", "{", "\""].contains(first) { return false }
        // Longer words are neither numbers nor truth values; the bound keeps a huge text from being looked at.
        guard trimmed.count <= JSONNumber.maximumLength else { return true }
        let word = String(trimmed).trimmingSpaceAtEnd()
        return Double(word) == nil && !["true", "false", "null", "none"].contains(word.lowercased())
    }
}

extension String {
    fileprivate func trimmingSpaceAtEnd() -> String {
        var scalars = unicodeScalars[...]
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return String(scalars)
    }
}

extension RunParameters {
    /// These parameters with `overrides` set, later ones over earlier ones.
    package func setting(_ overrides: [ParameterOverride], in pipeline: Pipeline) -> RunParameters {
        var run = self
        for override in overrides {
            guard let step = override.step else {
                run.pipeline[override.name] = override.value
                continue
            }
            // A step of the run replaces all parameters of the step, so one override must bring the defaults along.
            var parameters = run.steps[step] ?? pipeline.step(uuid: step)?.parameters ?? JSONObject()
            parameters[override.name] = override.value
            run.steps[step] = parameters
        }
        return run
    }
}
