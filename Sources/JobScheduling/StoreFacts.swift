import Isolation
import Jobs
import LinuxSystem
import Pipelines
import Runs
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Reads from a store's directories what its database is an index of.
final class StoreFacts {
    private let store: FilePath
    private let snapshots: SnapshotStore
    private var last: (job: JobID, source: ParameterSource)?

    init(_ store: FilePath, _ snapshots: SnapshotStore) {
        self.store = store
        self.snapshots = snapshots
    }

    /// The identities of the jobs that have a directory.
    static func jobs(_ store: FilePath) throws(SyscallError) -> [JobID] {
        let directory = store.appending("jobs")
        guard Syscall.exists(directory) else { return [] }
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        return try Syscall.directoryEntries(opened.number)
            .compactMap { JobID(String(decoding: $0.name, as: UTF8.self)) }
    }

    /// What the directories of a job tell.
    func facts(_ document: JobDocument) -> JobFacts {
        let directory = store.appending("runs").appending(document.uuid.description)
        var numbers: [Int] = []
        // Before its first run a job has no such directory.
        if let opened = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let entries = try? Syscall.directoryEntries(opened.number)
        {
            numbers = entries.compactMap { Self.number(String(decoding: $0.name, as: UTF8.self)) }
        }
        let runs = numbers.sorted().map { Self.run($0, RunDirectory(directory.appending(String($0)))) }
        let count = max(document.runCount, (runs.last?.number ?? -1) + 1)
        return JobFacts(document: document, runCount: count, runs: runs)
    }

    /// What distinguishes a run: its values in the grid of its job, else those in its own directory.
    func parameters(_ document: JobDocument, _ number: Int) -> Jobs.RunParameters {
        if let last, last.job == document.uuid { return last.source.parameters(number) }
        let source = ParameterSource(document, snapshots, runs: store.appending("runs"))
        last = (document.uuid, source)
        return source.parameters(number)
    }

    /// Only the canonical spelling is the directory of a run.
    private static func number(_ name: String) -> Int? {
        guard let number = Int(name), (0...RunNumbers.largest).contains(number), String(number) == name else {
            return nil
        }
        return number
    }

    private static func run(_ number: Int, _ directory: RunDirectory) -> RunFacts {
        let spec = try? directory.spec()
        var attempts: [RunFacts.Attempt] = []
        var steps: [StepRecord] = []
        for number in directory.attempts() where number > 0 {
            let attempt = directory.attempt(number)
            let events = attempt.events()
            var records = (spec?.steps ?? []).enumerated().map { position, step in
                StepRecord(uuid: step.uuid, title: step.name, position: position, attempt: number)
            }
            for event in events { for index in records.indices { records[index].apply(event) } }
            let verdict = attempt.verdict()
            if let verdict, let last = events.last?.time {
                for index in records.indices { records[index].end(withRun: verdict, at: last) }
            }
            if !events.isEmpty { steps = records }
            attempts.append(
                RunFacts.Attempt(
                    number: number, started: events.first?.time, verdict: verdict,
                    finished: verdict == nil ? nil : events.last?.time))
        }
        var facts = RunFacts(number: number, attempts: attempts, steps: steps)
        facts.scheduled = spec?.scheduled
        facts.filesRemoved = directory.filesRemoved()
        if let last = attempts.last { facts.metrics = directory.attempt(last.number).metricsText() }
        return facts
    }
}

/// The parameters of a job's runs, from its document and its snapshot.
private struct ParameterSource {
    private let single: String?
    private let grid: ParameterGrid?
    private let selected: [Int]
    private let runs: FilePath

    init(_ document: JobDocument, _ snapshots: SnapshotStore, runs: FilePath) {
        single = document.parameters.singleRun
        selected = Array(document.parameters.selection.numbers)
        self.runs = runs.appending(document.uuid.description)
        grid = Self.grid(document, snapshots)
    }

    /// Nil where the snapshot is gone or damaged: then the runs' own directories have to do.
    private static func grid(_ document: JobDocument, _ snapshots: SnapshotStore) -> ParameterGrid? {
        guard let identity = SnapshotIdentity(document.snapshot),
            let layers = try? snapshots.snapshot(identity).layers,
            let pipeline = try? ProjectFiles(layers: layers).pipeline(document.pipeline.path)
        else { return nil }
        return try? ParameterGrid(
            contentsOf: Array(document.parameters.grid.utf8), file: "job.json", for: pipeline)
    }

    func parameters(_ number: Int) -> Jobs.RunParameters {
        if let single { return Jobs.RunParameters(label: "", json: single) }
        // Each batch of a schedule has the whole selection.
        if let grid, let count = grid.count, !selected.isEmpty, selected[number % selected.count] < count {
            let combination = selected[number % selected.count]
            let json = grid[combination].json.text(pretty: false, sortedKeys: false)
            return Jobs.RunParameters(label: grid.label(at: combination, limit: 200), json: json)
        }
        return Jobs.RunParameters(label: "", json: ofDirectory(number).json.text(pretty: false, sortedKeys: false))
    }

    private func ofDirectory(_ number: Int) -> Pipelines.RunParameters {
        var parameters = Pipelines.RunParameters()
        let file = runs.appending(String(number)).appending("pipeline.json")
        guard let bytes = try? Syscall.readFile(file, limit: 17 << 20),
            let definition = try? JSONValue(parsing: String(decoding: bytes, as: UTF8.self))
        else { return parameters }
        parameters.pipeline = definition["parameters"]?.objectValue ?? JSONObject()
        for step in definition["steps"]?.objectValue ?? JSONObject() {
            if let own = step.value["parameters"]?.objectValue, !own.isEmpty { parameters.steps[step.key] = own }
        }
        return parameters
    }
}
