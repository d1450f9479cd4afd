import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a job, a run or a step: what it is, how it went, and why.",
        discussion: """
            Examples:
              cloche show sweep            its runs, and why some failed
              cloche show sweep/7          steps, limits, what was refused
              cloche show sweep/7/train    one step, and the end of its log
              cloche show @last
            """,
        aliases: ["inspect"])

    @Argument(help: "JOB, JOB/7 or JOB/7/train.", completion: Completion.references) var reference: String
    @Option(help: "Of a job, show at most so many runs; 0 is all.") var limit = 50
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        if let run = target.run, let step = target.step { return try show(context, store, target.job, run, step) }
        if let run = target.run { return try show(context, store, target.job, run) }
        try show(context, store, target.job)
    }

    private func show(_ context: CommandContext, _ store: Store, _ job: JobRecord) throws {
        let runs = try store.database.runs(of: job.uuid, limit: limit <= 0 ? .max : limit)
        let document = try store.document(job.uuid)
        let all = job.counts.total - job.removed
        if output.json {
            try context.print(
                Documents.object([
                    ("job", Documents.job(job, in: store)), ("snapshot", .string(document.snapshot)),
                    ("pinned_policy", Documents.value(PinnedPolicy(of: document))),
                    ("environments", Documents.value(document.environments)),
                    ("variables", Documents.value(document.variables.keys.sorted())),
                    ("secrets", Documents.value(document.secrets)),
                    ("runs", .array(runs.map { Documents.run($0, job, metrics: RunTable.metrics(store, $0)) })),
                    ("total", Documents.value(all)), ("removed", Documents.value(job.removed)),
                    (
                        "failures",
                        .array(
                            try store.database.history(of: job.uuid).failures.map {
                                Documents.object([
                                    ("summary", .string($0.summary)), ("runs", .string($0.runs.description)),
                                ])
                            })
                    ),
                ]))
            return context.say(shown: runs.count, of: all, "run")
        }
        let styling = context.streams.output.styling
        let summary = try JobSummary(store, job)
        var facts = [
            ("job", styling.apply(.bold, to: printable(job.name.description))), ("id", job.uuid.description),
            ("owner", StoreOwner.name(of: job.owner) ?? String(job.owner)),
            ("state", styling.state(job.state.rawValue)), ("runs", summary.counts),
        ]
        facts += stopped(job, in: store)
        if job.counts.pending > 0, let size = StoreSize.stored(in: store.path), size.isExceeded {
            facts.append(("waits", "\(size.excess); \(StoreSize.remedy)"))
        }
        if let estimate = try summary.estimate() {
            facts.append(
                (
                    "left",
                    "about \(elapsedTime(.seconds(estimate.remaining))), at \(humanDuration(.seconds(estimate.median))) a run"
                ))
        }
        facts += [
            ("pipeline", "\(printable(job.pipelinePath)) in \(printable(job.project.path))"),
            ("snapshot", String(document.snapshot.prefix(16))), ("policy", PinnedPolicy(of: document).text),
            ("created", job.created.description),
        ]
        facts += ScheduleDescription(job).facts()
        if ScheduleDescription(job).next() != nil, !ServicePlace.isServed(store.path) {
            facts.append(("waits", "no service is running: nothing starts before `cloche serve` does"))
        }
        facts += TimeLimitOptions.facts(job)
        if let keep = job.options.keep {
            let rest = job.options.keepLogs == true ? ", and the logs of all others" : ""
            facts.append(("keeps", counted(keep, "ended run") + rest))
        }
        for (_, environment) in document.environments.sorted(by: { $0.key < $1.key }) {
            facts.append(("environment", "\(printable(environment.name)) (build \(environment.build))"))
        }
        if !document.variables.isEmpty {
            facts.append(("variables", printable(document.variables.keys.sorted().joined(separator: ", "))))
        }
        for (variable, name) in document.secrets.sorted(by: { $0.key < $1.key }) {
            facts.append(("secret", printable(variable == name ? name : "\(name) as \(variable)")))
        }
        try context.print(lines(facts) + "\n")
        let failures = try summary.failures(styling: styling)
        if !failures.isEmpty { try context.print(failures) }
        try context.print(RunTable(store, job).table(runs))
        if runs.count < all {
            context.say(
                "\(runs.count) of \(counted(all, "run")); --limit 0 shows all, `cloche ls \(shellWord(job.name.description)) --where` chooses"
            )
        }
    }

    /// That nobody goes on with a job: its state alone would say the opposite.
    private func stopped(_ job: JobRecord, in store: Store) -> [(String, String)] {
        guard store.isStopped(job), ScheduleDescription(job).line() == nil else { return [] }
        let running = job.counts.running > 0 ? "; what runs ends by itself, or by `cloche cancel`" : ""
        return [
            (
                "stopped",
                "no process drives it: go on with it by `\(job.continuation)`\(running)"
            )
        ]
    }

    private func show(_ context: CommandContext, _ store: Store, _ job: JobRecord, _ run: RunRecord) throws {
        let steps = try store.database.steps(of: run.address)
        let metrics = RunTable.metrics(store, run)
        let origins = store.runDirectory(run.address).latestAttempt()?.origins() ?? [:]
        let network = store.runDirectory(run.address).latestAttempt().map { NetworkTable($0) }
        let isRecorded = try store.document(job.uuid).options.isRecorded == true
        if output.json {
            return try context.print(
                Documents.object([
                    ("run", Documents.run(run, job, metrics: metrics)),
                    ("steps", .array(steps.map { Documents.step($0, origins[$0.uuid]) })),
                    ("network", network?.document ?? .array([])), ("recorded", .bool(isRecorded)),
                    (
                        "earlier_attempts",
                        .array(
                            earlierAttempts(at: run, in: store).map {
                                Documents.object([
                                    ("attempt", Documents.value($0.number)), ("verdict", Documents.value($0.verdict)),
                                ])
                            })
                    ),
                    ("directory", Documents.value(directory(of: run, in: store))),
                ]))
        }
        let styling = context.streams.output.styling
        var facts = [
            ("run", styling.apply(.bold, to: "\(printable(job.name.description))/\(run.address.number)")),
            ("state", styling.state(run.state.rawValue)),
        ]
        if !run.state.isFinal { facts += stopped(job, in: store) }
        let place = job.place(ofRun: run.address.number)
        if job.schedule != nil { facts.append(("batch", "\(place.batch), run \(place.index) of it")) }
        if let time = run.scheduled { facts.append(("scheduled", ScheduleDescription(job).text(of: time))) }
        if let time = run.notBefore { facts.append(("next attempt", time.description)) }
        if let verdict = run.verdict { facts.append(("verdict", printable(verdict.summary))) }
        if let remedy = run.verdict?.remedy { facts.append(("remedy", printable(remedy))) }
        if let started = run.started {
            facts.append(("started", started.description))
            if let finished = run.finished { facts.append(("finished", finished.description)) }
            let seconds = max(0, (run.finished?.seconds ?? Syscall.wallClockSeconds()) - started.seconds)
            facts.append(("time", humanDuration(.seconds(seconds))))
        }
        if let parameters = RunTable(store, job).parameters(of: run) { facts.append(("parameters", parameters)) }
        for metric in metrics {
            facts.append(("metric", "\(printable(metric.name)) = \(RunTable.number(metric.value))"))
        }
        for step in steps {
            guard case .text(let problem)? = step.verdict?.detail["metrics"] else { continue }
            facts.append(("no metrics", "of step `\(printable(step.title))`: \(printable(problem))"))
        }
        if isRecorded {
            facts.append(
                (
                    "recorded",
                    "what its steps did; `cloche policy learn \(printable(job.policyName)) --from "
                        + "\(printable(job.name.description))/\(run.address.number)` makes a policy of it"
                ))
        }
        // A run that has not started has no specification; its job has told of the policy.
        for clip in (try? store.runDirectory(run.address).spec())?.policy.clipped ?? [] {
            facts.append(("clipped", printable(clip)))
        }
        if let usage = store.runDirectory(run.address).latestAttempt()?.usage() {
            facts += self.facts(ofLimits: usage.limits.map(\.description), for: context.streams.output)
            let open = usage.limits.filter { $0.enforcement == .none }.map(\.name.rawValue)
            for weakness in usage.weaknesses ?? [] { facts.append(("weaker", printable(weakness))) }
            if !open.isEmpty {
                facts.append(("not limited", open.joined(separator: ", ") + ": see `cloche system doctor`"))
            }
        }
        for (number, verdict) in earlierAttempts(at: run, in: store) {
            facts.append(("attempt \(number)", printable(verdict?.summary ?? "no verdict")))
        }
        if let time = run.filesRemoved {
            facts.append(("files", "removed \(time); logs, verdicts, metrics and usage are kept"))
        }
        if let directory = directory(of: run, in: store) { facts.append(("directory", directory)) }
        try context.print(lines(facts) + "\n")
        let parents = (try? store.runDirectory(run.address).spec())?.steps.map { ($0.uuid, $0.parents) } ?? []
        let tree = StepTree(
            steps, parents: Dictionary(parents) { first, _ in first }, unicode: styling.unicode)
        try context.print(tree.table(origins: origins))
        let tail = JobSummary.lastLines(of: run.address, in: store, count: 10, styling: styling)
        if !tail.isEmpty { try context.print("\n" + tail.dropLast()) }
        try tellDenials(context, steps)
        try tell(network, context)
    }

    /// The attempts whose verdict is not that of the run; the last one where a run waits for the next.
    private func earlierAttempts(at run: RunRecord, in store: Store) -> [(number: Int, verdict: Verdict?)] {
        let directory = store.runDirectory(run.address)
        let attempts = directory.attempts().map { (number: $0, verdict: directory.attempt($0).verdict()) }
        let isWaiting = run.state == .pending && attempts.last?.verdict != nil
        return isWaiting ? attempts : attempts.dropLast()
    }

    private func directory(of run: RunRecord, in store: Store) -> String? {
        run.attempt > 0 ? store.runDirectory(run.address).attempt(run.attempt).path.string : nil
    }

    private func show(
        _ context: CommandContext, _ store: Store, _ job: JobRecord, _ run: RunRecord, _ step: StepRecord
    ) throws {
        let directory = store.runDirectory(run.address)
        let origin = directory.latestAttempt()?.origins()[step.uuid]
        let network = directory.latestAttempt().map { NetworkTable($0, step: step.uuid) }
        let log = directory.latestAttempt().map {
            directory.attempt(withLogOf: step.uuid, shownBy: $0).logPath(step: step.uuid)
        }
        if output.json {
            return try context.print(
                Documents.object([
                    ("step", Documents.step(step, origin)), ("network", network?.document ?? .array([])),
                    ("log", Documents.value(log?.string)),
                ]))
        }
        let styling = context.streams.output.styling
        var facts = [
            ("step", styling.apply(.bold, to: printable(step.title))), ("uuid", printable(step.uuid)),
            ("state", styling.state(step.state.rawValue)),
        ]
        if let verdict = step.verdict {
            facts.append(("verdict", printable(verdict.summary)))
            if let remedy = verdict.remedy { facts.append(("remedy", printable(remedy))) }
        }
        if let started = step.started {
            let seconds = max(0, (step.finished?.seconds ?? Syscall.wallClockSeconds()) - started.seconds)
            facts.append(("started", started.description))
            facts.append(("time", humanDuration(.seconds(seconds))))
        }
        if let usage = step.usage {
            if let seconds = usage.cpuSeconds { facts.append(("cpu", humanDuration(.seconds(seconds)))) }
            if let bytes = usage.memoryPeakBytes { facts.append(("memory", humanBytes(bytes))) }
            if let bytes = usage.outputBytes { facts.append(("output", humanBytes(bytes))) }
        }
        if let origin { facts.append(("attempt \(run.attempt)", printable(origin.description))) }
        if let log { facts.append(("log", log.string)) }
        try context.print(lines(facts))
        try tellDenials(context, [step])
        try tell(network, context)
        let tail = log.map { LogTail.lines($0, count: 10, prefix: "  | ", styling: styling) }
        if let tail, !tail.isEmpty { try context.print("\n" + tail.dropLast()) }
    }

    private func tell(_ network: NetworkTable?, _ context: CommandContext) throws {
        guard let network, !network.isEmpty else { return }
        try context.print("\nasked for of the network:")
        for line in network.lines() { try context.print(line) }
    }

    private func tellDenials(_ context: CommandContext, _ steps: [StepRecord]) throws {
        for step in steps {
            guard case .list(let denials)? = step.verdict?.detail["denials"] else { continue }
            try context.print("\nrefused to `\(printable(step.title))`:")
            for denial in denials { try context.print("  \(printable(denial))") }
        }
    }

    private func lines(_ facts: [(String, String)]) -> String {
        let width = facts.map(\.0.count).max() ?? 0
        return facts.map { $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }.joined(separator: "\n")
    }

    /// One limit a line for a person; all in one line into a pipe.
    private func facts(ofLimits limits: [String], for channel: OutputChannel) -> [(String, String)] {
        guard channel.isTerminal else { return [("limits", limits.joined(separator: ", "))] }
        return limits.enumerated().map { ($0 == 0 ? "limits" : "", $1) }
    }
}
