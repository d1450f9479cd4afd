package import Isolation

/// What a client asks of the service: one JSON object a line.
struct ServiceRequest: Codable {
    enum Kind: String, Codable {
        /// Look at the database now; of a job, tell whether another process drives it.
        case wake
        /// Tell what there is, in one line.
        case status
        /// Look at the database now, and tell what happens to the job from then on, line after line.
        case follow
        /// End the running runs of the job at once; whoever asks has cancelled it.
        case kill
        /// Start no more runs, and end: at once, or when those that run have ended (`drain`).
        case stop
    }

    /// The longest line that is read.
    static let longest = 4096

    var request: Kind
    var job: String?
    var drain: Bool?
}

/// What the service tells of a job that is followed, and that it has done what was asked.
struct ServiceMessage: Codable {
    enum Kind: String, Codable {
        /// What was asked for is done, or has begun.
        case ok
        /// The request was refused, or something of the job failed: see `text`.
        case problem
        /// The run `run` has begun, or had begun before, as its attempt `attempt`.
        case runStarted = "run_started"
        /// The events of the run have grown.
        case event
        /// The run has ended, or waits for another attempt.
        case runEnded = "run_ended"
    }

    /// The longest line that is read: a status can name many runs.
    static let longest = 4 << 20

    var message: Kind
    var run: Int?
    var attempt: Int?
    var text: String?
    /// Whether another process drives the job that was asked about; nil where none was.
    var isElsewhere: Bool?

    private enum CodingKeys: String, CodingKey {
        case message, run, attempt, text
        case isElsewhere = "elsewhere"
    }
}

/// A service as it is.
package struct ServiceStatus: Codable, Sendable {
    /// A run that it looks after.
    package struct Run: Codable, Sendable {
        /// The name of its job, and its number there.
        package var job: String, index: Int
        package var attempt: Int
    }

    /// Its process.
    package var pid: Int32
    /// When it began.
    package var since: Timestamp
    /// How many runs of all jobs it lets run at once.
    package var maxParallel: Int
    /// Whether it starts no more runs, and ends when those that run have ended.
    package var draining: Bool
    /// The runs that it looks after.
    package var runs: [Run]
    /// What failed last and is tried again; nil when nothing does.
    package var trouble: String?

    private enum CodingKeys: String, CodingKey {
        case pid, since
        case maxParallel = "max_parallel"
        case draining, runs, trouble
    }
}
