import Pipelines
import PlainText

/// A job, a run or a step as a command line names it: `JOB`, `JOB/7`, `JOB/7/train`, `@last`, `@last/3`.
package struct RunReference: Sendable, Hashable, CustomStringConvertible {
    /// How the job is named.
    package enum Job: Sendable, Hashable {
        /// The job that was created last.
        case last
        /// By its name, or by the beginning of its identity.
        case named(String)
    }

    /// The job.
    package let job: Job
    /// The number of the run; nil when the job as a whole is meant.
    package let run: Int?
    /// The step by title, file or identity, which may hold slashes; nil when the run as a whole is meant.
    package let step: String?

    /// Reads a reference; whether what it names exists is not looked at.
    package init(_ text: String) throws(InvalidRunReference) {
        guard text.utf8.count <= Self.longest else { throw InvalidRunReference(text: text, problem: .tooLong) }
        // By scalars: in some scripts a letter and a slash after it count as one character.
        let parts = text.unicodeScalars.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
            .map(String.init)
        job = try Self.job(parts[0], in: text)
        run = parts.count > 1 ? try Self.number(parts[1], in: text) : nil
        step = parts.count > 2 ? parts[2] : nil
        if step?.isEmpty == true { throw InvalidRunReference(text: text, problem: .empty(.step)) }
    }

    /// The reference as it would be typed.
    package var description: String {
        let name =
            switch job {
            case .last: "@last"
            case .named(let text): text
            }
        return [name, run.map(String.init), step].compactMap { $0 }.joined(separator: "/")
    }

    private static let longest = 8192

    private static func job(_ part: String, in text: String) throws(InvalidRunReference) -> Job {
        if part.isEmpty { throw InvalidRunReference(text: text, problem: .empty(.job)) }
        if part == "@last" { return .last }
        if part.hasPrefix("@") { throw InvalidRunReference(text: text, problem: .unknownWord(part)) }
        return .named(part)
    }

    private static func number(_ part: String, in text: String) throws(InvalidRunReference) -> Int {
        if part.isEmpty { throw InvalidRunReference(text: text, problem: .empty(.run)) }
        // Nine digits never overflow, and no job has that many runs.
        guard part.utf8.count <= 9, part.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(part) else {
            throw InvalidRunReference(text: text, problem: .notANumber(part))
        }
        return number
    }
}

/// A text that is no reference to a job, a run or a step.
package struct InvalidRunReference: Error, Sendable, Hashable, CustomStringConvertible {
    /// The parts of a reference.
    package enum Part: String, Sendable, Hashable {
        /// Before the first slash.
        case job
        /// Between the slashes.
        case run
        /// After the second slash.
        case step
    }

    /// What is wrong with it.
    package enum Problem: Sendable, Hashable {
        /// This part has no characters.
        case empty(Part)
        /// The run is not a number.
        case notANumber(String)
        /// It starts with an `@`, and is not `@last`.
        case unknownWord(String)
        /// It has more than 8,192 bytes.
        case tooLong
    }

    /// The text; not yet fit to be shown.
    package let text: String
    /// What is wrong.
    package let problem: Problem

    /// One sentence, safe to show.
    package var description: String {
        "invalid reference `\(printable(text, limit: 80))`: \(reason)"
    }

    /// What to do about it.
    package var hint: String? { "write JOB, JOB/7 for a run, JOB/7/STEP for a step, or @last for the newest job" }

    private var reason: String {
        switch problem {
        case .empty(let part): "the \(part.rawValue) is empty"
        case .notANumber(let part): "`\(printable(part, limit: 40))` is not the number of a run"
        case .unknownWord(let part): "`\(printable(part, limit: 40))` is not known"
        case .tooLong: "it is too long"
        }
    }
}
