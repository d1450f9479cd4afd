/// One line of an attempt's `events.jsonl`: what happened, and when.
///
/// A line is one JSON object with the keys `time`, `type` and those of its type, for example
/// `{"time":"2026-07-01T12:00:00.000Z","type":"run_started","attempt":1}`.
package struct RunEvent: Sendable, Hashable {
    /// What happened.
    package enum Occurrence: Sendable, Hashable {
        /// The supervisor has taken the run up, as its attempt of that number, counted from 1.
        case runStarted(attempt: Int)
        /// The command of a step has been started.
        case stepStarted(step: String)
        /// A step has ended, or will never start.
        case stepEnded(step: String, verdict: Verdict, usage: Usage?)
        /// Something about results that a later attempt can keep, or that this one does.
        case keeping(Keeping)
        /// The attempt has ended; always the last line.
        case runEnded(verdict: Verdict)
    }

    /// What a step used; nil where it was not measured.
    package struct Usage: Sendable, Hashable, Codable {
        /// From start to end, in seconds.
        package var wallSeconds: Double?
        /// Processor time of all its processes, in seconds.
        package var cpuSeconds: Double?
        /// The most memory it had at once, in bytes.
        package var memoryPeakBytes: Int64?
        /// The most processes and threads it had at once.
        package var processesPeak: Int64?
        /// What it wrote to its standard output and standard error, in bytes.
        package var outputBytes: Int64?
        /// What it read from disks and wrote to them, in bytes.
        package var readBytes: Int64?, writtenBytes: Int64?

        /// Makes a usage; everything not given was not measured.
        package init(wallSeconds: Double? = nil, cpuSeconds: Double? = nil, memoryPeakBytes: Int64? = nil) {
            self.wallSeconds = wallSeconds
            self.cpuSeconds = cpuSeconds
            self.memoryPeakBytes = memoryPeakBytes
        }

        private enum CodingKeys: String, CodingKey {
            case wallSeconds = "wall_seconds"
            case cpuSeconds = "cpu_seconds"
            case memoryPeakBytes = "memory_peak_bytes"
            case processesPeak = "processes_peak"
            case outputBytes = "output_bytes"
            case readBytes = "read_bytes"
            case writtenBytes = "written_bytes"
        }
    }

    /// When it happened.
    package var time: Timestamp
    /// What happened.
    package var occurrence: Occurrence

    /// Makes an event.
    package init(_ occurrence: Occurrence, at time: Timestamp) {
        self.occurrence = occurrence
        self.time = time
    }
}

extension RunEvent: Codable {
    private enum CodingKeys: String, CodingKey {
        case time, type, attempt, step, verdict, usage, keeping
    }

    private enum Kind: String, Codable {
        case runStarted = "run_started"
        case stepStarted = "step_started"
        case stepEnded = "step_ended"
        case runEnded = "run_ended"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        time = try container.decode(Timestamp.self, forKey: .time)
        let type = try container.decode(String.self, forKey: .type)
        if let kind = Keeping.Kind(rawValue: type) {
            occurrence = .keeping(try Keeping(kind, from: container, .keeping))
            return
        }
        switch Kind(rawValue: type) {
        case nil:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "`\(type)` is no type of an event")
        case .runStarted:
            occurrence = .runStarted(attempt: try container.decode(Int.self, forKey: .attempt))
        case .stepStarted:
            occurrence = .stepStarted(step: try container.decode(String.self, forKey: .step))
        case .stepEnded:
            occurrence = .stepEnded(
                step: try container.decode(String.self, forKey: .step),
                verdict: try container.decode(Verdict.self, forKey: .verdict),
                usage: try container.decodeIfPresent(Usage.self, forKey: .usage)
            )
        case .runEnded:
            occurrence = .runEnded(verdict: try container.decode(Verdict.self, forKey: .verdict))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(time, forKey: .time)
        switch occurrence {
        case .runStarted(let attempt):
            try container.encode(Kind.runStarted, forKey: .type)
            try container.encode(attempt, forKey: .attempt)
        case .stepStarted(let step):
            try container.encode(Kind.stepStarted, forKey: .type)
            try container.encode(step, forKey: .step)
        case .stepEnded(let step, let verdict, let usage):
            try container.encode(Kind.stepEnded, forKey: .type)
            try container.encode(step, forKey: .step)
            try container.encode(verdict, forKey: .verdict)
            try container.encodeIfPresent(usage, forKey: .usage)
        case .keeping(let keeping):
            try container.encode(keeping.kind, forKey: .type)
            try keeping.encode(to: &container, .keeping)
        case .runEnded(let verdict):
            try container.encode(Kind.runEnded, forKey: .type)
            try container.encode(verdict, forKey: .verdict)
        }
    }
}
