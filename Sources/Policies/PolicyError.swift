import PlainText

/// A place in a policy document.
package struct PolicyPlace: Sendable, Hashable, CustomStringConvertible {
    /// The document, as the user knows it.
    package let file: String
    /// The line, from 1.
    package let line: Int
    /// The column in characters, from 1.
    package let column: Int

    /// The place as `file:line:column`.
    package var description: String { "\(printable(file, limit: 4096)):\(line):\(column)" }
}

/// One thing that is wrong with a policy document.
package struct PolicyProblem: Sendable, Hashable, CustomStringConvertible {
    /// The document, as the user knows it.
    package let file: String
    /// Where it is; nil when the document as a whole is meant.
    package let place: PolicyPlace?
    /// What is wrong: a lower-case fragment, safe to show.
    package let message: String

    init(_ message: String, at place: PolicyPlace) {
        file = place.file
        self.place = place
        self.message = message
    }

    init(_ message: String, file: String) {
        self.file = file
        place = nil
        self.message = message
    }

    /// The place and the message as `file:line:column: message`.
    package var description: String { (place?.description ?? printable(file, limit: 4096)) + ": " + message }
}

extension [PolicyProblem] {
    /// The same problems by the order of their documents in `files`, and then by their places.
    func inOrder(of files: [String]) -> [PolicyProblem] {
        let ranked = enumerated().map { offset, problem in
            (
                key: [
                    files.firstIndex(of: problem.file) ?? files.count, problem.place?.line ?? 0,
                    problem.place?.column ?? 0, offset,
                ], problem: problem
            )
        }
        return ranked.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.problem)
    }
}

/// Why a policy cannot be had.
package enum PolicyError: Error, Sendable, Hashable {
    /// There is no policy of that name; the nearest of those that there are.
    case notFound(String, nearest: String?)
    /// A document could not be read from its place, for that reason.
    case unreadable(file: String, reason: String)
    /// Documents that cannot be used, with everything that is wrong with them, and what to do about the first problem.
    case invalid([PolicyProblem], hint: String?)
}

extension PolicyError: CustomStringConvertible {
    /// How many problems are told.
    static let limit = 50

    /// What is wrong, with one problem a line.
    package var description: String {
        switch self {
        case .notFound(let name, _): return "find the policy \(quoted(name)): there is none of that name"
        case .unreadable(let file, let reason):
            return "read \(printable(file, limit: 4096)): \(printable(reason, limit: 400))"
        case .invalid(let problems, _):
            var lines = problems.prefix(Self.limit).map(\.description)
            if problems.count > Self.limit { lines.append("and \(problems.count - Self.limit) more") }
            return lines.joined(separator: "\n")
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .notFound(_, let nearest?): "did you mean `\(printable(nearest, limit: 80))`?"
        case .notFound(_, nil): "`cloche policy ls` lists the policies"
        case .unreadable: nil
        case .invalid(_, let hint): hint
        }
    }
}
