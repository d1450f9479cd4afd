/// The one typed cause with which a step or a run ended, and what there is to say about it.
package struct Verdict: Sendable, Hashable, Codable {
    /// The closed list of causes.
    package enum Cause: String, Sendable, Hashable, Codable, CaseIterable {
        /// The command, or every step, ended with 0.
        case succeeded
        /// The command ended with another status.
        case exit
        /// A signal ended the command.
        case signal
        /// The kernel ended a process of the run at its memory limit.
        case outOfMemory = "out-of-memory"
        /// The time limit passed.
        case timeout
        /// The processor time limit was used up.
        case cpuLimit = "cpu-limit"
        /// The command failed and had been refused processes at the limit of their number.
        case pidsLimit = "pids-limit"
        /// A writable place was full.
        case diskFull = "disk-full"
        /// The step wrote more output than it may.
        case outputLimit = "output-limit"
        /// The command failed after something had been refused to it.
        case denied
        /// The sandbox could not be set up; nothing of the command ran.
        case setup
        /// A step before it failed.
        case dependencyFailed = "dependency-failed"
        /// Somebody cancelled it, or a failing sibling did.
        case cancelled
        /// The supervisor was told to stop; the run is pending again.
        case interrupted
        /// The supervisor ended without a word.
        case supervisorLost = "supervisor-lost"
    }

    /// A fact of the detail.
    package enum Fact: Sendable, Hashable, Codable {
        /// A text.
        case text(String)
        /// A whole number; sizes are bytes.
        case integer(Int64)
        /// A number; durations are seconds.
        case number(Double)
        /// Several texts.
        case list([String])

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Int64.self) {
                self = .integer(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else if let value = try? container.decode([String].self) {
                self = .list(value)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .list(let value): try container.encode(value)
            }
        }
    }

    /// Why it ended.
    package var cause: Cause
    /// One sentence for a person, without a full stop.
    package var summary: String
    /// Facts behind the summary, by snake_case name.
    package var detail: [String: Fact]
    /// One sentence that says what to do, where there is something to do.
    package var remedy: String?

    /// Makes a verdict.
    package init(_ cause: Cause, _ summary: String, detail: [String: Fact] = [:], remedy: String? = nil) {
        self.cause = cause
        self.summary = summary
        self.detail = detail
        self.remedy = remedy
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(cause, forKey: .cause)
        try container.encode(summary, forKey: .summary)
        try container.encode(detail, forKey: .detail)
        // Written even when there is none: readers may rely on the key.
        try container.encode(remedy, forKey: .remedy)
    }

    private enum CodingKeys: String, CodingKey {
        case cause, summary, detail, remedy
    }
}
