import PlainText

/// A text on the command line or a stored value that cannot be used as parameters, steps or run numbers.
package struct ParameterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong: a lower-case fragment, safe to show.
    package let message: String
    /// What to do about it, safe to show.
    package let hint: String?

    /// A problem.
    package init(_ message: String, hint: String? = nil) {
        self.message = printable(message)
        self.hint = hint.map { printable($0) }
    }

    /// The message.
    package var description: String { message }

    static func unknownStep(_ name: String, among steps: [Step]) -> ParameterError {
        ParameterError(
            "there is no step \(quoted(name)) in the pipeline",
            hint: StepNames.suggestion(for: name, among: steps)
                ?? (steps.isEmpty ? nil : "the steps are \(StepNames.list(steps))")
        )
    }

    static func ambiguousStep(_ name: String, _ steps: [Step]) -> ParameterError {
        ParameterError(
            "\(quoted(name)) means \(steps.count) steps",
            hint: "use the uuid of one of them: \(StepNames.list(steps))"
        )
    }
}
