import PlainText

/// Pictures of a pipeline's steps and connections.
package struct PipelineDrawing: Sendable {
    let pipeline: Pipeline
    let graph: StepGraph
    /// What each step is called, escaped; titles that several steps have are told apart.
    let names: [String: String]
    /// The words of the steps' states in a run, by identity.
    let states: [String: String]

    /// Which characters a drawing may use.
    package enum Style: Sendable, Hashable {
        /// ASCII only, but for the titles themselves.
        case ascii
        /// With arrows.
        case unicode
    }

    /// Pictures of `pipeline`; with `states`, the words of its steps' states by identity, of a run of it.
    package init(_ pipeline: Pipeline, states: [String: String] = [:]) {
        self.pipeline = pipeline
        self.states = states
        graph = StepGraph(pipeline)
        var uses: [ExactText: Int] = [:]
        for step in pipeline.steps { uses[ExactText(step.displayName), default: 0] += 1 }
        names = Dictionary(
            uniqueKeysWithValues: pipeline.steps.map { step in
                let name = printable(step.displayName, limit: 80)
                let isUnique = uses[ExactText(step.displayName)] == 1
                return (step.uuid, isUnique ? name : "\(name) [\(step.uuid.prefix(8))]")
            }
        )
    }

    /// The steps by levels, each with its file and the steps whose data it reads; ends with a newline.
    ///
    /// Steps of one level do not wait for each other.
    package func text(style: Style = .unicode) -> String {
        let steps = pipeline.steps.count
        let levels = graph.levels.count
        var text = printable(pipeline.name, limit: 80)
        text += ": \(steps) \(steps == 1 ? "step" : "steps"), \(levels) \(levels == 1 ? "level" : "levels")\n"
        for (number, level) in graph.levels.enumerated() {
            text += "\nlevel \(number + 1)\n"
            for uuid in level { text += line(for: uuid, style: style) }
        }
        return text
    }

    private func line(for uuid: String, style: Style) -> String {
        let (bullet, arrow) = style == .unicode ? ("●", "←") : ("*", "<-")
        var line = "  \(bullet) \(names[uuid] ?? uuid)"
        if let step = pipeline.step(uuid: uuid), step.resolvedFile.path != names[uuid] {
            line += "  (\(printable(step.resolvedFile.path, limit: 120)))"
        }
        if let state = states[uuid] { line += "  \(state)" }
        let parents = graph.parents(of: uuid)
        if !parents.isEmpty {
            let shown = parents.prefix(8).map { names[$0] ?? $0 }.joined(separator: ", ")
            line += "  \(arrow) \(shown)" + (parents.count > 8 ? " and \(parents.count - 8) more" : "")
        }
        return line + "\n"
    }

    /// The graph in the language of Graphviz, for `dot -Tsvg`; ends with a newline.
    package func dot() -> String {
        var text = "digraph \(Self.dotQuoted(printable(pipeline.name, limit: 80))) {\n"
        text += "    rankdir=LR;\n    node [shape=box];\n"
        let numbers = Dictionary(uniqueKeysWithValues: pipeline.steps.enumerated().map { ($1.uuid, $0) })
        for (number, step) in pipeline.steps.enumerated() {
            let file = printable(step.resolvedFile.path, limit: 120)
            let label = Self.dotQuoted(names[step.uuid] ?? step.uuid, file)
            text += "    s\(number) [label=\(label)];\n"
        }
        for (number, step) in pipeline.steps.enumerated() {
            for parent in step.incomingConnections {
                if let from = numbers[parent] { text += "    s\(from) -> s\(number);\n" }
            }
        }
        return text + "}\n"
    }

    /// Lines of text that are already escaped for terminals, as one text in quotes.
    private static func dotQuoted(_ lines: String...) -> String {
        let escaped = lines.map { line in
            line.map { $0 == "\\" ? #"\\"# : $0 == "\"" ? #"\""# : String($0) }.joined()
        }
        return "\"" + escaped.joined(separator: #"\n"#) + "\""
    }
}
