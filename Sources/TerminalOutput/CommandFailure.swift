package import LinuxSystem
import PlainText
import SystemPackage

/// Why a command ends without having done what was asked, for a person and for a program.
package struct CommandFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// A place in a document.
    package struct Location: Sendable, Hashable, CustomStringConvertible {
        let file: String
        let line: Int?
        let column: Int?

        /// A place; line and column count from 1, and nil means the document as a whole.
        package init(_ file: String, line: Int? = nil, column: Int? = nil) {
            self.file = file
            self.line = line
            self.column = line == nil ? nil : column
        }

        /// The place as `file:line:column`.
        package var description: String {
            ([printable(file)] + [line, column].compactMap { $0.map(String.init) }).joined(separator: ":")
        }
    }

    /// One thing that is wrong.
    package struct Problem: Sendable, Hashable {
        /// How bad it is.
        package enum Severity: String, Sendable, Hashable {
            /// Nothing was done because of it.
            case error
            /// It is only worth knowing.
            case warning
        }

        let message: String
        let hint: String?
        let location: Location?
        let severity: Severity

        /// A problem.
        ///
        /// - Parameters:
        ///   - message: What failed, a colon, and why: a lower-case fragment without a full stop.
        ///   - hint: What to do about it.
        package init(
            _ message: String, hint: String? = nil, at location: Location? = nil, severity: Severity = .error
        ) {
            self.message = message
            self.hint = hint
            self.location = location
            self.severity = severity
        }
    }

    /// The cause from the closed list.
    package let code: FailureCode
    /// What the process exits with.
    package let exitCode: Int32
    /// What is wrong, the most important first; never empty.
    package let problems: [Problem]
    /// How many more problems there are.
    package let omitted: Int

    /// A failure with one problem.
    package init(
        _ code: FailureCode, _ message: String, hint: String? = nil, at location: Location? = nil,
        exitCode: Int32? = nil
    ) {
        self.init(code, [Problem(message, hint: hint, at: location)], exitCode: exitCode)
    }

    /// A failure with several problems, such as everything that is wrong with a document.
    package init(_ code: FailureCode, _ problems: [Problem], omitted: Int = 0, exitCode: Int32? = nil) {
        self.code = code
        self.exitCode = exitCode ?? code.exitStatus.rawValue
        self.problems = problems.isEmpty ? [Problem("unknown problem")] : problems
        self.omitted = max(omitted, 0)
    }

    /// A failure to write output; nil when its reader is gone, which ends a command quietly.
    package init?(writing stream: String, _ error: SyscallError) {
        if error.isBrokenPipe { return nil }
        self.init(
            .outputFailed, "write to \(stream): \(error)",
            hint: error.errno == .badFileDescriptor
                ? "it is closed: redirect it to a file, or to /dev/null" : "see whether the disk is full")
    }

    /// What to do about the first problem.
    package var hint: String? { problems.first?.hint }

    /// The lines for a person, without colours.
    package var description: String { rendered(styling: .plain) }

    /// The lines for a person: `error: place: what: why`, then `hint: what to do`; each ends with a line break.
    ///
    /// Several problems follow each other; a hint that the next problem shares is given once, after both.
    package func rendered(styling: Styling) -> String {
        var result = ""
        for (index, problem) in problems.enumerated() {
            let style: Style = problem.severity == .error ? [.bold, .red] : [.bold, .yellow]
            let place = problem.location.map { "\($0): " } ?? ""
            result += styling.apply(style, to: problem.severity.rawValue + ":")
            result += " \(place)\(printable(problem.message))\n"
            let next = index + 1 < problems.count ? problems[index + 1].hint : nil
            if let hint = problem.hint, hint != next {
                result += styling.apply(.cyan, to: "hint:") + " \(printable(hint))\n"
            }
        }
        if omitted > 0 { result += "and \(omitted) more\n" }
        return result
    }
}
