import Pipelines
import PlainText

/// The name of a job: 1 to 255 characters that can be shown, typed and told from other references.
///
/// Spaces around it are dropped. It holds no `/`, no control characters and nothing else that does not show, starts
/// with neither `@` nor `-`, and has not the form of a UUID.
package struct JobName: Sendable, Hashable, CustomStringConvertible {
    /// The most characters of a name, counted as Unicode scalars.
    package static let longest = 255

    /// The name.
    package let description: String

    /// Checks `text`, and says what is wrong with it.
    package init(_ text: String) throws(InvalidJobName) {
        // Cut before anything looks closer at it: a name may come from a file.
        let name = String(text.trimmed.unicodeScalars.prefix(Self.longest + 1))
        guard let problem = InvalidJobName.Problem(in: name) else {
            description = name
            return
        }
        throw InvalidJobName(name: name, problem: problem)
    }

    /// The name with a number behind it, shortened where it would become too long: `train` becomes `train-2`.
    package func numbered(_ number: Int) -> JobName {
        let ending = "-\(number)"
        let room = Self.longest - ending.unicodeScalars.count
        let kept = String(String.UnicodeScalarView(description.unicodeScalars.prefix(room)))
        return JobName(unchecked: kept + ending)
    }

    private init(unchecked text: String) {
        description = text
    }
}

extension JobName: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try JobName(try container.decode(String.self))
        } catch let error as InvalidJobName {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A text that cannot be the name of a job.
package struct InvalidJobName: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    package enum Problem: Sendable, Hashable {
        /// Nothing that can be seen is left without the spaces.
        case empty
        /// It has more than 255 characters.
        case tooLong
        /// It holds this character.
        case character(Unicode.Scalar)
        /// It starts with this character.
        case start(Unicode.Scalar)
        /// It has the form of a UUID.
        case identifier
    }

    /// The text, without the spaces around it; not yet fit to be shown.
    package let name: String
    /// What is wrong.
    package let problem: Problem

    /// One sentence, safe to show.
    package var description: String {
        "invalid job name `\(printable(name, limit: 80))`: \(reason)"
    }

    /// What to do about it.
    package var hint: String? {
        switch problem {
        case .empty: "give it a name such as `train-nightly`"
        case .tooLong: "use at most \(JobName.longest) characters"
        case .character("/"): "`/` separates the job from the number of its run, as in `train/7`; use `-` instead"
        case .character: "use letters, digits, spaces and punctuation"
        case .start("@"): "`@last` and its like are not names; leave out the `@`"
        case .start: "a command line takes it for an option; leave out the `-`"
        case .identifier: "a UUID names the job that has it; use a word"
        }
    }

    private var reason: String {
        switch problem {
        case .empty: "it is empty"
        case .tooLong: "it has more than \(JobName.longest) characters"
        case .character(let scalar): "it holds the character `\(printable(String(scalar)))`"
        case .start(let scalar): "it starts with `\(scalar)`"
        case .identifier: "it has the form of a UUID"
        }
    }
}

extension InvalidJobName.Problem {
    fileprivate init?(in name: String) {
        let scalars = name.unicodeScalars
        let isSeen = scalars.contains { !$0.properties.isDefaultIgnorableCodePoint && !$0.properties.isWhitespace }
        guard isSeen, let first = scalars.first else {
            self = .empty
            return
        }
        if scalars.count > JobName.longest {
            self = .tooLong
        } else if first == "@" || first == "-" {
            self = .start(first)
        } else if let wrong = zip([" "] + scalars, scalars).first(where: { $1 == "/" || !$1.isSeen(after: $0) }) {
            self = .character(wrong.1)
        } else if RandomUUID.hasForm(name.lowercased()) {
            self = .identifier
        } else {
            return nil
        }
    }
}

extension String {
    /// Without the white space at both ends.
    fileprivate var trimmed: Substring {
        var rest = self[...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest.drop { $0.isWhitespace }
    }
}
