import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import TerminalOutput

/// Which runs of a job are meant.
struct RunChoiceOptions: ParsableArguments {
    @Option(help: "Only those in these states: failed,running.", completion: Completion.states) var state: String?

    @Option(
        name: .customLong("where"), parsing: .unconditionalSingleValue,
        help: "Only runs whose parameter or metric compares so: lr>0.1; several must all hold.")
    var conditions: [String] = []

    /// Whether anything is asked for.
    var isEmpty: Bool { state == nil && conditions.isEmpty }

    /// The states, as those of jobs or of runs; none is all.
    func states<State: RawRepresentable & CaseIterable & Hashable>(_ type: State.Type) throws -> Set<State>
    where State.RawValue == String {
        guard let state else { return [] }
        return Set(
            try state.split(separator: ",", omittingEmptySubsequences: false).map { word in
                if let value = State(rawValue: String(word)) { return value }
                let known = State.allCases.map(\.rawValue)
                throw CommandFailure(
                    .usage, "there is no state `\(printable(String(word)))`",
                    hint: didYouMean(String(word), among: known) ?? "there are " + known.joined(separator: ", "))
            })
    }

    /// The chosen runs of a job with the values that they are chosen by.
    func sheet(of job: JobRecord, in store: Store) throws -> RunSheet {
        let conditions = try self.conditions.map { try RunCondition($0) }
        // Names are looked for in all runs: what no run of that state has is still no error.
        var sheet = try RunSheet(all: job, in: store, states: conditions.isEmpty ? try states(RunState.self) : [])
        try sheet.choose(conditions)
        return sheet.keeping(states: try states(RunState.self))
    }
}

extension Target {
    /// The run, as a command names it; the job where no run is named.
    var reference: String { shellWord("\(job.name)\(run.map { "/\($0.address.number)" } ?? "")") }

    /// Refuses a step where whole runs are meant: `verb` says what happens to a step with its run.
    func requireNoStep(_ verb: String) throws {
        guard step == nil else {
            throw ValidationError("a step is \(verb) with its run: name the run, `\(reference)`")
        }
    }
}

extension JobRecord {
    /// The command that goes on with a job that nobody drives.
    var continuation: String {
        "cloche job \(state == .paused ? "resume" : "start") \(shellWord(name.description))"
    }
}

extension RunSheet {
    /// Reads the runs of a job; metrics that the database does not have yet come from the runs' directories.
    init(all job: JobRecord, in store: Store, states: Set<RunState> = [], limit: Int = .max) throws {
        var outlines = try store.database.outlines(of: job.uuid, states: states, limit: limit)
        var found: [Int: String] = [:]
        for (index, outline) in outlines.enumerated() where outline.metrics == nil && outline.attempt > 0 {
            let directory = store.runDirectory(RunAddress(job: job.uuid, number: outline.number))
            guard let text = directory.latestAttempt()?.metricsText() else { continue }
            outlines[index].metrics = text
            if outline.state.isFinal { found[outline.number] = text }
        }
        // The next list of a large job need not read them again.
        try store.database.note(metrics: found, of: job.uuid)
        self.init(
            outlines, titles: StepTitles.of(job, in: store), now: Timestamp(seconds: Syscall.wallClockSeconds()))
        // A command that looks at runs ends when it has told of them.
        HostProcess.keepUntilEnd(self)
    }
}

/// What the steps of a job's pipeline are called, by identity.
enum StepTitles {
    static func of(_ job: JobRecord, in store: Store) -> [String: String] {
        // Without titles the identities are shown, so nothing fails for want of them.
        if let known = try? store.database.stepTitles(of: job.uuid), !known.isEmpty { return known }
        guard let document = try? store.document(job.uuid), let pipeline = try? store.pipeline(of: document) else {
            return [:]
        }
        return Dictionary(pipeline.steps.map { ($0.uuid, $0.displayName) }) { first, _ in first }
    }
}
