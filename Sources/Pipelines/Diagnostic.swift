import PlainText

/// One thing that is wrong with a document, with its place.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    /// How bad it is.
    package enum Severity: String, Sendable, Hashable {
        /// The document cannot be used.
        case error
        /// The document can be used, though probably not as its author meant it.
        case warning
    }

    /// The document.
    package let file: String
    /// The line, from 1; nil when the document as a whole is meant.
    package let line: Int?
    /// The column in characters, from 1; nil when the document as a whole is meant.
    package let column: Int?
    /// What is wrong: a lower-case fragment, safe to show.
    package let message: String
    /// What to do about it, safe to show.
    package let hint: String?
    /// How bad it is.
    package let severity: Severity

    /// A diagnostic at `position`; nil means the document as a whole.
    package init(
        file: String,
        at position: TextPosition? = nil,
        message: String,
        hint: String? = nil,
        severity: Severity = .error
    ) {
        self.file = file
        line = position?.line
        column = position?.column
        self.message = printable(message)
        self.hint = hint.map { printable($0) }
        self.severity = severity
    }

    /// The place and the message as `file:line:column: message`, on one line.
    package var description: String {
        let place = [printable(file), line.map(String.init), column.map(String.init)].compactMap { $0 }
        return place.joined(separator: ":") + ": " + message
    }
}

/// A document that cannot be used, with everything that is wrong with it.
package struct InvalidDocument: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, in the order of the document; at least one error and at most fifty entries.
    package let diagnostics: [Diagnostic]
    /// How many more there were.
    package let omitted: Int

    /// A document with this one problem.
    package init(_ diagnostic: Diagnostic) {
        self.init([diagnostic], omitted: 0)
    }

    /// Problems of a document; at least one, of which the first fifty are kept.
    package init(_ diagnostics: [Diagnostic], omitted: Int = 0) {
        self.diagnostics = diagnostics
        self.omitted = omitted
    }

    /// What to do about the first problem.
    package var hint: String? { diagnostics.first?.hint }

    /// One problem a line.
    package var description: String {
        var lines = diagnostics.map(\.description)
        if omitted > 0 { lines.append("and \(omitted) more") }
        return lines.joined(separator: "\n")
    }
}

/// Collects what is wrong with one document, within bounds.
struct DiagnosticList {
    /// How many diagnostics are kept.
    static let limit = 50

    let source: SourceText
    private var found: [(offset: Int, diagnostic: Diagnostic)] = []
    private var omitted = 0
    private(set) var hasErrors = false

    init(source: SourceText) {
        self.source = source
    }

    mutating func error(_ message: String, at offset: Int?, hint: @autoclosure () -> String? = nil) {
        add(message, at: offset, hint: hint, severity: .error)
    }

    mutating func warning(_ message: String, at offset: Int?, hint: @autoclosure () -> String? = nil) {
        add(message, at: offset, hint: hint, severity: .warning)
    }

    mutating func add(_ problem: JSONProblem) {
        let related = problem.related.map { " " + source.position(at: $0).description } ?? ""
        error(problem.message + related, at: problem.offset, hint: problem.hint)
    }

    /// A hint may be a search through all steps, so it is only made for what is kept.
    private mutating func add(
        _ message: String, at offset: Int?, hint: () -> String?, severity: Diagnostic.Severity
    ) {
        if severity == .error { hasErrors = true }
        if found.count >= Self.limit {
            omitted += 1
            // Warnings make room: what keeps the document from being used must be told.
            guard severity == .error, let last = found.lastIndex(where: { $0.diagnostic.severity == .warning }) else {
                return
            }
            found.remove(at: last)
        }
        let diagnostic = Diagnostic(
            file: source.file,
            at: offset.map(source.position),
            message: message,
            hint: hint(),
            severity: severity
        )
        found.append((offset ?? -1, diagnostic))
    }

    /// Everything found, in the order of the document.
    var diagnostics: [Diagnostic] {
        found.enumerated()
            .sorted { ($0.element.offset, $0.offset) < ($1.element.offset, $1.offset) }
            .map(\.element.diagnostic)
    }

    var invalidDocument: InvalidDocument { InvalidDocument(diagnostics, omitted: omitted) }

    func throwIfInvalid() throws(InvalidDocument) {
        if hasErrors { throw invalidDocument }
    }
}
