/// Every combination of the values that are given for the parameters of a pipeline.
///
/// Combinations are numbered from 0 as nested loops make them: the first parameter is the outermost loop, the last one
/// changes fastest. None is stored: a combination is worked out from its number, so the number of combinations costs
/// nothing. A grid without parameters has one combination.
package struct ParameterGrid: Sendable {
    /// A parameter with the values it takes.
    package struct Parameter: Sendable, Hashable {
        /// The name.
        package let name: String
        /// The values, at least one; equal ones make runs of their own.
        package let values: [JSONValue]
    }

    /// The parameters of the pipeline or of a step.
    package struct Entry: Sendable, Hashable {
        /// The identifier of the step; nil for the pipeline.
        package let step: String?
        /// The parameters in order.
        package let parameters: [Parameter]
    }

    /// A parameter that takes more than one value.
    package struct Varying: Sendable, Hashable {
        /// The identifier of the step; nil for the pipeline.
        package let step: String?
        /// The name of the parameter.
        package let name: String
        /// What to call it, `name`, or `title.name` for a step; not escaped.
        package let displayName: String
        /// The values in order.
        package let values: [JSONValue]
        /// For how many combinations in a row a value stands; stops growing at `Int.max`.
        let stride: Int

        /// The value in the combination with this number, at a cost that does not depend on the grid.
        package func value(at index: Int) -> JSONValue {
            values[index / stride % values.count]
        }
    }

    /// The parameters in the order of the loops, without those entries that have none.
    package let entries: [Entry]
    /// The parameters that take more than one value, in the order of the loops.
    package let varying: [Varying]
    /// How many combinations there are; nil when an `Int` cannot tell.
    package let count: Int?

    /// The grid of the defaults: one combination, the pipeline's parameters first, then those of the steps in file order.
    package init(defaultsOf pipeline: Pipeline) {
        let own = Self.entry(step: nil, defaults: pipeline.parameters)
        self.init([own] + pipeline.steps.map { Self.entry(step: $0.uuid, defaults: $0.parameters) }, pipeline)
    }

    /// A grid of these entries; no parameter may be without values.
    init(_ entries: [Entry], _ pipeline: Pipeline) {
        self.entries = entries.filter { !$0.parameters.isEmpty }
        var varying: [Varying] = []
        var stride: Int? = 1
        for entry in self.entries.reversed() {
            let title = entry.step.flatMap { pipeline.step(uuid: $0)?.displayName }
            for parameter in entry.parameters.reversed() where parameter.values.count > 1 {
                varying.append(
                    Varying(
                        step: entry.step,
                        name: parameter.name,
                        displayName: title.map { "\($0).\(parameter.name)" } ?? parameter.name,
                        values: parameter.values,
                        stride: stride ?? Int.max
                    )
                )
                stride = stride.flatMap {
                    let (product, overflow) = $0.multipliedReportingOverflow(by: parameter.values.count)
                    return overflow ? nil : product
                }
            }
        }
        self.varying = varying.reversed()
        count = stride
    }

    static func entry(step: String?, defaults: JSONObject) -> Entry {
        Entry(step: step, parameters: defaults.map { Parameter(name: $0.key, values: [$0.value]) })
    }

    /// The combination with this number, from 0 and below `count`; the cost is that of its parameters.
    package subscript(index: Int) -> RunParameters {
        precondition(index >= 0 && index < count ?? Int.max, "there is no combination of this number")
        var rest = index
        var run = RunParameters()
        for entry in entries.reversed() {
            var chosen: [JSONObject.Entry] = []
            for parameter in entry.parameters.reversed() {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: parameter.values.count)
                rest = quotient
                chosen.append(JSONObject.Entry(key: parameter.name, value: parameter.values[remainder]))
            }
            let parameters = JSONObject(unique: chosen.reversed())
            if let step = entry.step {
                run.steps[step] = parameters
            } else {
                run.pipeline = parameters
            }
        }
        return run
    }

    /// What tells the combination with this number from the others; empty when nothing varies.
    package func label(at index: Int, limit: Int = 80) -> String {
        varying.isEmpty ? "" : self[index].label(of: varying, limit: limit)
    }

    /// The grid in the plain form of a parameters file, `{"pipeline_parameters": {"a": [1, 2]}, "<step uuid>": {…}}`.
    package var json: JSONValue {
        var object = JSONObject()
        for entry in entries {
            let lists = entry.parameters.map { ($0.name, JSONValue.array($0.values)) }
            object[entry.step ?? Pipeline.parametersKey] = .object(JSONObject(lists))
        }
        return .object(object)
    }
}
