import PlainText

/// The parameters of one run: one value for every parameter of the pipeline and of those steps that have some.
package struct RunParameters: Sendable, Hashable {
    /// The parameters of the pipeline as a whole.
    package var pipeline: JSONObject
    /// The parameters of steps by the steps' identifiers; a step that is absent keeps its defaults.
    package var steps: [String: JSONObject]

    /// Parameters of these values.
    package init(pipeline: JSONObject = JSONObject(), steps: [String: JSONObject] = [:]) {
        self.pipeline = pipeline
        self.steps = steps
    }

    /// Reads the form that `json` has; the error tells the member that is not an object.
    package init(json: JSONValue) throws(ParameterError) {
        guard let entries = json.objectValue else {
            throw ParameterError("run parameters must be an object, not \(json.kind.phrase)")
        }
        self.init()
        for entry in entries {
            guard let parameters = entry.value.objectValue else {
                throw ParameterError("the run parameters \(quoted(entry.key)) must be an object")
            }
            if entry.key == Pipeline.parametersKey {
                pipeline = parameters
            } else if UUIDText.isValid(entry.key) {
                steps[entry.key] = parameters
            } else {
                throw ParameterError("\(quoted(entry.key)) in the run parameters is not the uuid of a step")
            }
        }
    }

    /// These parameters as `{"pipeline_parameters": {…}, "<step uuid>": {…}}`, steps in the order of their identifiers.
    ///
    /// Parameters of the pipeline are left out when there are none, which means the same.
    package var json: JSONValue {
        var object = JSONObject()
        if !pipeline.isEmpty { object[Pipeline.parametersKey] = .object(pipeline) }
        for (uuid, parameters) in steps.sorted(by: { $0.key < $1.key }) { object[uuid] = .object(parameters) }
        return .object(object)
    }

    /// The definition of `pipeline` with these parameters in place of its own.
    ///
    /// Nothing is merged: the parameters of the pipeline become those of the run, also when these are empty, and so do
    /// the parameters of every step that the run has; other steps keep their defaults. Fails for a step that the
    /// pipeline does not have. As a file it is written pretty and with sorted keys.
    package func apply(to pipeline: Pipeline) throws(ParameterError) -> JSONValue {
        guard var definition = pipeline.definition.objectValue, var members = definition["steps"]?.objectValue else {
            return pipeline.definition
        }
        definition["parameters"] = .object(self.pipeline)
        for (uuid, parameters) in steps.sorted(by: { $0.key < $1.key }) {
            guard var step = members[uuid]?.objectValue else {
                throw ParameterError.unknownStep(uuid, among: pipeline.steps)
            }
            step["parameters"] = .object(parameters)
            members[uuid] = .object(step)
        }
        definition["steps"] = .object(members)
        return .object(definition)
    }

    /// The value of one parameter, of the step `step` or, when that is nil, of the pipeline.
    package func value(of name: String, step: String?) -> JSONValue? {
        guard let step else { return pipeline[name] }
        return steps[step]?[name]
    }

    /// A short text that tells this run from the others of its grid, such as `lr=0.1 train.depth=3`; escaped, one line.
    ///
    /// - Parameters:
    ///   - varying: The parameters to show, `ParameterGrid.varying` as a rule.
    ///   - limit: The most characters.
    package func label(of varying: [ParameterGrid.Varying], limit: Int = 80) -> String {
        var label = ""
        for parameter in varying {
            guard let value = value(of: parameter.name, step: parameter.step) else { continue }
            if !label.isEmpty { label += " " }
            label += "\(parameter.displayName)=\(Self.shown(value, limit: limit))"
            if label.unicodeScalars.count > limit { break }
        }
        return printable(label, limit: limit)
    }

    /// A value in a cell of a table: texts without quotes unless they would be read as something else.
    package static func shown(_ value: JSONValue, limit: Int = 40) -> String {
        guard case .string(let text) = value, ParameterOverride.isPlainText(text), !text.isEmpty else {
            return printable(value.text(), limit: limit)
        }
        return printable(text, limit: limit)
    }
}
