import FoundationEssentials
import Isolation
import JobStorage
import Jobs
import Testing

/// A directory for one test, removed with all that is in it.
struct Scratch {
    let directory: String

    /// Where the database is to be.
    var path: String { directory + "/cloche.db" }

    init() throws {
        directory = "/tmp/job-storage-tests-" + JobID.random().description
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    }

    func remove() {
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            Issue.record("clean up: \(error)")
        }
    }

    @discardableResult
    static func with<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
        let scratch = try Scratch()
        defer { scratch.remove() }
        return try body(scratch)
    }

    var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: directory).sorted() }
    }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }

    /// Changes the bytes of the file, which nobody may have open.
    func damage(_ change: (inout [UInt8]) -> Void) throws {
        var bytes = try bytes()
        change(&bytes)
        try write(bytes)
    }
}

/// Lends an empty database that is gone afterwards.
@discardableResult
func withDatabase<Result>(_ body: (JobDatabase) throws -> Result) throws -> Result {
    try Scratch.with { scratch in
        let database = try JobDatabase(path: scratch.path)
        let result = try body(database)
        try database.close()
        return result
    }
}

func time(_ seconds: Double) -> Timestamp { Timestamp(seconds: 1_800_000_000 + seconds) }

/// The identity whose first eight digits are this number.
func id(_ number: UInt32) -> JobID {
    let digits = String(number, radix: 16)
    let text = String(repeating: "0", count: 8 - digits.count) + digits + "-0000-4000-8000-000000000000"
    guard let id = JobID(text) else { preconditionFailure("`\(text)` is no identity") }
    return id
}

func document(
    _ number: UInt32 = 1, name: String? = nil, owner: UInt32 = 1000, isDraft: Bool = false,
    options change: (inout JobOptions) -> Void = { _ in }
) throws -> JobDocument {
    var document = JobDocument(
        uuid: id(number),
        name: try JobName(name ?? "job \(number)"),
        owner: owner,
        created: time(Double(number)),
        project: .init(path: "/home/ada/churn", name: "churn"),
        pipeline: .init(path: "main.orchest", uuid: "p", name: "Main"),
        snapshot: "3f2a",
        policy: .init(name: "default", digest: "77aa"),
        parameters: .init(grid: "{}", selection: RunNumbers(first: 1))
    )
    change(&document.options)
    if isDraft { document.will = JobWill(confirmed: nil) }
    return document
}

/// What distinguishes the run of this number in every test.
func parameters(_ number: Int) -> RunParameters {
    RunParameters(label: "seed=\(number)", json: #"{"pipeline_parameters":{"seed":\#(number)}}"#)
}

extension JobDatabase {
    /// Adds a job with so many runs.
    @discardableResult
    func add(_ document: JobDocument, runs: Int = 1) throws -> JobID {
        try insert(document, runCount: runs, parameters: parameters)
        return document.uuid
    }

    /// Claims without a limit.
    func claim(of job: JobID? = nil, limit: Int = 1000, at seconds: Double = 100) throws -> RunRecord? {
        try claimNextRun(of: job, limit: limit, at: time(seconds))
    }

    /// Ends the newest attempt of a run.
    @discardableResult
    func end(_ run: RunRecord, _ cause: Verdict.Cause = .succeeded, at seconds: Double = 200) throws -> RunRecord {
        try finish(run.address, attempt: run.attempt, verdict: Verdict(cause, "it ended"), at: time(seconds))
    }

    func states(_ job: JobID) throws -> [RunState] { try runs(of: job, limit: .max).map(\.state) }
}

/// A reproducible sequence of random numbers (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
