import FoundationEssentials
import Isolation
import Jobs
import Testing

/// Values that several suites use.
enum Samples {
    static let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"

    static func id() throws -> JobID { try #require(JobID(uuid)) }

    static func time(_ seconds: Double) -> Timestamp { Timestamp(seconds: 1_800_000_000 + seconds) }

    static func counts(_ runs: some Sequence<RunLifecycle>) -> JobCounts {
        var counts = JobCounts()
        for run in runs { counts[run.state] += 1 }
        return counts
    }

    /// A job of four runs, for which the author asked for everything that can be asked for.
    static func document() throws -> JobDocument {
        var document = JobDocument(
            uuid: try id(),
            name: try JobName("nightly training"),
            owner: 1000,
            created: time(0),
            project: .init(path: "/home/ada/churn", name: "churn"),
            pipeline: .init(path: "pipelines/main.orchest", uuid: "9f1c2d3e-0000-4000-8000-000000000000", name: "Main"),
            snapshot: "3f2a",
            policy: .init(name: "default", digest: "77aa"),
            parameters: .init(grid: #"{"Train":{"lr":[1,2,3,4]}}"#, selection: RunNumbers(first: 4), singleRun: "{}")
        )
        document.environments = ["e1": .init(name: "Python", build: "b7")]
        document.variables = ["REGION": "north/\"east\"\n", "EMPTY": "", "ÜMLAUT": "\u{1F600}"]
        document.options.maxParallel = 2
        document.options.timeoutSeconds = 0.25
        document.options.stopOnFailure = true
        document.options.retries = 3
        document.options.keep = 10
        document.will.paused = time(5)
        document.will.cancelledRuns = try RunNumbers("1")
        document.will.removedRuns = [.failed: try RunNumbers("2"), .skipped: try RunNumbers("0,3")]
        return document
    }
}

/// The value of `text` as JSON.
func decoded<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(text.utf8))
}

/// The JSON of `value`.
func encoded(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
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

/// Whether a terminal could take something in `text` for a command.
func holdsControlCharacters(_ text: String) -> Bool {
    text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0 == "\u{202E}" }
}
