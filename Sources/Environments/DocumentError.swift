import PlainText

/// One thing that is wrong with a document, with its place.
package struct DocumentProblem: Sendable, Hashable, CustomStringConvertible {
    /// The document, as the user knows it.
    package let file: String
    /// Line and column, from 1; nil when the document as a whole is meant.
    package let line: Int?, column: Int?
    /// What is wrong: a lower-case fragment, safe to show.
    package let message: String

    init(file: String, line: Int? = nil, column: Int? = nil, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// The place and the message as `file:line:column: message`.
    package var description: String {
        let place = [printable(file, limit: 4096)] + [line, column].compactMap { $0.map(String.init) }
        return place.joined(separator: ":") + ": " + message
    }
}

/// A document that cannot be used, with everything that is wrong with it.
package struct DocumentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// How many problems are kept.
    static let limit = 50

    /// What is wrong, in the order of the document; never empty.
    package let problems: [DocumentProblem]
    /// What to do about the first problem.
    package let hint: String?

    init(_ problems: [DocumentProblem], hint: String? = nil) {
        self.problems = problems
        self.hint = hint
    }

    /// One problem a line.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
