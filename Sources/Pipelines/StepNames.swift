import PlainText

/// Finds steps by what people call them: the identifier, the title, the path or the name of the file.
struct StepNames {
    /// What a name means.
    enum Match {
        case none
        case one(Step)
        case many([Step])
    }

    private let steps: [Step]
    /// One table a kind of name; the first table that knows a name decides.
    private let tables: [[ExactText: [Int]]]

    init(_ steps: [Step]) {
        self.steps = steps
        let names: [(Step) -> Set<ExactText>] = [
            { [ExactText($0.uuid)] },
            { $0.title.isEmpty ? [] : [ExactText($0.title)] },
            { [ExactText($0.filePath), ExactText($0.resolvedFile.path)] },
            { [ExactText($0.resolvedFile.name)] },
        ]
        tables = names.map { names in
            var table: [ExactText: [Int]] = [:]
            for (index, step) in steps.enumerated() {
                for name in names(step) { table[name, default: []].append(index) }
            }
            return table
        }
    }

    func find(_ name: String) -> Match {
        for table in tables {
            guard let found = table[ExactText(name)] else { continue }
            return found.count == 1 ? .one(steps[found[0]]) : .many(found.map { steps[$0] })
        }
        return .none
    }

    /// A hint that names the step that `name` was probably meant to be; nil when none is close.
    static func suggestion(for name: String, among steps: [Step]) -> String? {
        guard let nearest = nearest(to: name, among: steps),
            let step = steps.first(where: { [$0.uuid, $0.title, $0.resolvedFile.name].contains(nearest) })
        else { return nil }
        return "did you mean \(step.reference)?"
    }

    /// The identifier, title or file that `name` was probably meant to be; nil when none is close.
    static func nearest(to name: String, among steps: [Step]) -> String? {
        EditDistance.nearest(to: name, in: steps.lazy.flatMap { [$0.uuid, $0.title, $0.resolvedFile.name] })
    }

    /// A few of the steps by name, for a hint.
    static func list(_ steps: [Step]) -> String {
        let shown = steps.prefix(8).map(\.reference).joined(separator: ", ")
        return steps.count > 8 ? shown + " and \(steps.count - 8) more" : shown
    }
}

extension Pipeline {
    /// The step that `name` means: an identifier, else a title, else the path or the name of a file.
    ///
    /// The error tells the nearest step, or the steps that a title or file name is shared by.
    package func step(named name: String) throws(ParameterError) -> Step {
        switch StepNames(steps).find(name) {
        case .one(let step): return step
        case .many(let steps): throw .ambiguousStep(name, steps)
        case .none: throw .unknownStep(name, among: steps)
        }
    }
}
