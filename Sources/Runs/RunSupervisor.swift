import Cgroups
import Isolation
import LinuxSystem
import Pipelines
import PlainText
import SandboxLaunch
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Carries out one attempt at a run, in the supervisor's process: starts steps when their parents have succeeded, relays
/// their output, and writes what happened.
final class RunSupervisor {
    private enum State: Equatable {
        case pending
        case running
        case ended(Verdict)
    }

    /// With what an attempt begins.
    struct Beginning {
        var attempt: Int
        /// The boot of the host.
        var boot: String
        var kept: KeptResults
        /// Lines of metrics of the steps that are kept.
        var metrics: [UInt8]
        /// What steps are told in confidence.
        var secrets = SecretValues([:])
    }

    private let spec: RunSpec
    private let beginning: Beginning
    private let supervisor: SandboxSupervisor
    private let limits: [LimitReport]
    private let counters: () -> CgroupUsage?
    private let directory: OwnedFileDescriptor
    private let logs: OwnedFileDescriptor
    private let events: OwnedFileDescriptor
    private let network: NetworkLedger
    /// The engine's end of the events.
    private let mirror: CInt
    private var states: [String: State] = [:]
    private var running: [String: RunningSandbox] = [:]
    /// Those of the sandbox that has been made ahead.
    private var nextStreams: StepStreams?
    private var failedStep: RunSpec.Step?
    private var stopReason: SandboxReport.Intervention?
    private let started = Syscall.monotonicSeconds()
    private var earlyEnd: EarlyEnd?
    private var weaknesses: [String]?
    /// Why the run cannot go on, where it is not for a step.
    private var breakdown: Verdict?
    /// Steps that have succeeded since the project was set aside for the last time.
    private var unsealed: [String] = []
    private var sealCount = 0
    private var sealingEnded = false
    private var metricsFile: MetricsFile
    /// Lines of events that are written, but neither safe on the disk nor known to the engine.
    private var untold: [UInt8] = []

    init(
        _ spec: RunSpec, _ beginning: Beginning, supervisor: SandboxSupervisor, limits: [LimitReport],
        counters: @escaping () -> CgroupUsage?,
        mirror: CInt
    ) throws(LaunchError) {
        self.spec = spec
        self.beginning = beginning
        self.supervisor = supervisor
        self.limits = limits
        self.counters = counters
        self.mirror = mirror
        metricsFile = MetricsFile(spec.metricsFile)
        let step = "prepare the attempt's directory"
        let root = FilePath(StagePath.writable)
        directory = try LaunchError.during(step) { () throws(SyscallError) in
            try Syscall.open(root, O_RDONLY | O_DIRECTORY)
        }
        let owner = directory.number
        // Directories belong to the author's id, so that the author can remove what is in them.
        logs = try LaunchError.during(step) { () throws(SyscallError) in
            for (name, mode) in [("logs", UInt32(0o755)), ("exchange", 0o755)] {
                // There already where the file system limits what is in it.
                if Syscall.exists(FilePath(name), at: owner) { continue }
                try Syscall.makeDirectory(FilePath(name), at: owner, mode: mode)
                try Syscall.changeOwner(FilePath(name), at: owner, user: IdentityMap.user, group: IdentityMap.user)
            }
            return try Syscall.open("logs", at: owner, O_RDONLY | O_DIRECTORY)
        }
        events = try LaunchError.during(step) { () throws(SyscallError) in
            try Syscall.open("events.jsonl", at: owner, O_WRONLY | O_CREAT | O_APPEND | O_EXCL, mode: 0o644)
        }
        network = NetworkLedger(directory: owner)
        if !beginning.metrics.isEmpty {
            try LaunchError.during(step) { () throws(SyscallError) in
                try Syscall.writeFile(Self.metrics, at: owner, beginning.metrics)
                try Syscall.changeOwner(Self.metrics, at: owner, user: IdentityMap.user, group: IdentityMap.user)
            }
        }
        for step in spec.steps { states[step.uuid] = .pending }
        for kept in beginning.kept.steps { states[kept.step] = .ended(kept.verdict) }
    }

    private static let metrics: FilePath = "exchange/metrics.jsonl"

    /// Runs to the end and gives the verdict of the run.
    func run() throws(LaunchError) -> Verdict {
        makeNextAhead()
        try supervisor.layProject()
        record(.runStarted(attempt: beginning.attempt))
        if beginning.attempt > 1 { tellBeginning() }
        let reserve = DiskReserve(of: directory.number, loop: supervisor.loop) { [weak self] in
            guard let self else { return }
            for sandbox in running.values { sandbox.end(.diskReserve, grace: 0) }
        }
        reserve.watch()
        if let seconds = spec.runTimeoutSeconds {
            supervisor.loop.after(seconds) { [weak self] in self?.stop(.runTimeLimit, grace: 5) }
        }
        startReady()
        while !isFinished {
            try LaunchError.during("wait for the steps") { () throws(SyscallError) in try supervisor.loop.run() }
        }
        supervisor.finish()
        network.finish()
        writeUsage()
        let verdict = runVerdict()
        record(.runEnded(verdict: verdict))
        // Who was told to stop says so before everything is on the disk: the one who told may not wait for that.
        let isHurried = stopReason != nil
        if isHurried { tell() }
        try LaunchError.during("write the verdict") { () throws(SyscallError) in
            try AttemptDirectory.conclude(verdict, in: directory.number, afterAll: !isHurried)
        }
        if isHurried {
            // A disk that fails has told the steps, or tells the next reader; the verdict is about them.
            try? AttemptDirectory.sync(directory.number)
        } else {
            tell(isSynced: true)
        }
        return verdict
    }

    private func tellBeginning() {
        let kept = beginning.kept
        record(
            .keeping(
                .begun(
                    RunEvent.Beginning(
                        layers: kept.layers, reasons: kept.reasons, metricsBytes: Int64(beginning.metrics.count)))))
        for step in kept.steps { record(.keeping(.kept(step))) }
    }

    /// Ends every step: the run was cancelled, is interrupted, or is at a limit; `excess` is what is above that of the disk.
    func stop(_ reason: SandboxReport.Intervention, grace: Double, excess: DiskExcess? = nil) {
        // Who waits for the end of the steps and is told once more may not wait that long.
        if stopReason == nil {
            stopReason = reason
            earlyEnd = EarlyEnd(
                reason, excess, of: spec, after: Syscall.monotonicSeconds() - started,
                running: spec.steps.filter { running[$0.uuid] != nil }.map(\.name),
                notStarted: spec.steps.count { states[$0.uuid] == .pending })
        }
        for sandbox in running.values { sandbox.end(reason, grace: grace) }
        skipPending()
        supervisor.loop.stop()
    }

    private var isFinished: Bool {
        states.values.allSatisfy { if case .ended = $0 { true } else { false } }
    }

    private func startReady() {
        for step in spec.steps where states[step.uuid] == .pending {
            guard failedStep == nil, stopReason == nil, breakdown == nil else { break }
            guard spec.parallelSteps <= 0 || running.count < spec.parallelSteps else { break }
            let ready = step.parents.allSatisfy {
                if case .ended(let verdict) = states[$0] { verdict.cause == .succeeded } else { false }
            }
            if ready { start(step) }
        }
        if failedStep != nil || stopReason != nil || breakdown != nil { skipPending() }
        supervisor.loop.stop()
    }

    private func start(_ step: RunSpec.Step) {
        do throws(LaunchError) {
            try launch(step)
        } catch {
            ended(step, SandboxReport(setup: error))
        }
    }

    private func launch(_ step: RunSpec.Step) throws(LaunchError) {
        guard let number = spec.environments.firstIndex(where: { $0.uuid == step.environment }) else {
            throw LaunchError(step: "find the environment of the step", reason: "`\(step.environment)` is not pinned")
        }
        let environment = spec.environments[number]
        let arguments: [String]
        do throws(StepCommand.Unsupported) {
            arguments = try StepCommand.arguments(file: step.file, environment: environment)
        } catch {
            record(.stepStarted(step: step.uuid))
            conclude(step, Verdict(.exit, "\(step.name): \(error.reason)", remedy: error.remedy), usage: nil)
            return
        }
        var sandbox = setUp(in: number)
        sandbox.arguments = arguments
        sandbox.variables = StepCommand.variables(
            spec, step: step, environment: environment, secrets: beginning.secrets)
        sandbox.umask = 0o002
        sandbox.directory = FilePath(step.file).removingLastComponent().string
        try sandbox.check()
        let open = supervisor.weaknesses(of: sandbox)
        if !open.isEmpty { weaknesses = open }
        let log = try LaunchError.during("make the log") { () throws(SyscallError) in
            try LogWriter(directory: self.logs.number, step: step.uuid)
        }
        let streams: StepStreams
        if let nextStreams { streams = nextStreams } else { streams = try StepStreams() }
        nextStreams = nil
        var mask = SecretMask(Array(beginning.secrets.byVariable.values))
        let sandboxed = try supervisor.launch(
            sandbox, streams: streams.inside, outputs: [streams.output],
            onOutput: { _, bytes in log.write(bytes) },
            onConnection: { [network] record in network.write(record, step: step.uuid) },
            onEnd: { [weak self] report in
                log.write(mask.finish())
                streams.close()
                self?.ended(step, report)
            })
        sandboxed.rewriteOutput = { mask.feed($0) }
        streams.handOver()
        states[step.uuid] = .running
        running[step.uuid] = sandboxed
        // Not before: it would be in the way of the one that is waited for.
        sandboxed.onStart = { [weak self] in self?.makeNextAhead() }
        record(.stepStarted(step: step.uuid))
    }

    /// What the sandboxes of all steps in an environment have in common.
    private func setUp(in environment: Int) -> SandboxSpec {
        var sandbox = SandboxSpec(environment: environment, policy: spec.policy, arguments: [], variables: [:])
        sandbox.mounts = StepCommand.mounts(spec)
        sandbox.isRecorded = spec.isRecorded ?? false
        return sandbox
    }

    /// Has the sandbox of the step that is likely to be next made while something else goes on.
    private func makeNextAhead() {
        guard nextStreams == nil, stopReason == nil,
            let next = spec.steps.first(where: { states[$0.uuid] == .pending }),
            let environment = spec.environments.firstIndex(where: { $0.uuid == next.environment }),
            // Whoever launches the step is told why there are none.
            let streams = try? StepStreams()
        else { return }
        if supervisor.makeAhead(setUp(in: environment), streams: streams.inside) { nextStreams = streams }
    }

    private func ended(_ step: RunSpec.Step, _ report: SandboxReport) {
        running[step.uuid] = nil
        AttemptDirectory.append(report.denials, of: step.uuid, in: directory.number)
        var usage = RunEvent.Usage(
            wallSeconds: report.seconds,
            cpuSeconds: report.usage.map { $0.userSeconds + $0.systemSeconds }, memoryPeakBytes: report.peakMemory)
        usage.outputBytes = report.outputBytes
        usage.readBytes = report.traffic?.readBytes
        usage.writtenBytes = report.traffic?.writtenBytes
        var verdict = report.verdict(of: "step `\(printable(step.name))`", under: spec.policy)
        if let problem = metricsFile.takeOver(from: step.uuid, in: directory.number, to: Self.metrics) {
            verdict.detail["metrics"] = .text(problem)
        }
        if verdict.cause == .timeout, spec.ownTimeLimit {
            verdict.remedy = "give it longer by `--timeout`, which `cloche job edit` takes as well"
        }
        if let recorded = RecordedSandbox(report, verdict) {
            AttemptDirectory.append(StepRecording(step: step.uuid, sandbox: recorded), in: directory.number)
        }
        conclude(step, verdict, usage: usage)
    }

    private func conclude(_ step: RunSpec.Step, _ verdict: Verdict, usage: RunEvent.Usage?) {
        var verdict = verdict
        if verdict.cause == .cancelled, let failedStep, failedStep.uuid != step.uuid {
            verdict.detail["failed_step"] = .text(failedStep.uuid)
        }
        states[step.uuid] = .ended(verdict)
        record(.stepEnded(step: step.uuid, verdict: verdict, usage: usage))
        if verdict.cause == .succeeded { unsealed.append(step.uuid) }
        if verdict.cause != .succeeded, failedStep == nil, stopReason == nil {
            // The first failure ends the run: siblings on other branches too.
            failedStep = step
            for sandbox in running.values { sandbox.end(.siblingFailed, grace: 1) }
        }
        sealIfQuiet()
        startReady()
    }

    /// Sets aside what the steps have written, when none runs and some are still to come: a later attempt can begin there.
    private func sealIfQuiet() {
        guard running.isEmpty, failedStep == nil, stopReason == nil, !unsealed.isEmpty, !sealingEnded,
            states.values.contains(.pending)
        else { return }
        guard beginning.kept.layers.count + sealCount < Self.mostLayers else {
            return endSealing("\(Self.mostLayers) layers of results are the most that are kept")
        }
        do throws(LaunchError) {
            switch try supervisor.sealProject() {
            case nil: break
            case .unchanged: recordSeal(nil)
            case .sealed(let layer):
                sealCount += 1
                recordSeal(layer)
            case .inUse: endSealing("a process outside of the run kept a file of the project open")
            }
        } catch {
            breakdown = SandboxReport(setup: error).verdict(of: "the run", under: spec.policy)
        }
    }

    /// The options of an overlay mount have room for more, but each layer makes the search for a name longer.
    private static let mostLayers = 64

    private func recordSeal(_ layer: String?) {
        let size = (try? Syscall.lstat(Self.metrics, at: directory.number))?.size ?? 0
        record(
            .keeping(
                .sealed(RunEvent.Seal(layer: layer, steps: unsealed, metricsBytes: size, boot: beginning.boot))))
        unsealed = []
    }

    private func endSealing(_ reason: String) {
        sealingEnded = true
        record(.keeping(.ended(reason: reason)))
    }

    private func skipPending() {
        for step in spec.steps where states[step.uuid] == .pending {
            let verdict: Verdict
            if let failedStep {
                verdict = Verdict(
                    .dependencyFailed,
                    "step `\(printable(step.name))` was not started: step "
                        + "`\(printable(failedStep.name))` failed", detail: ["failed_step": .text(failedStep.uuid)])
            } else if let breakdown {
                verdict = Verdict(
                    .dependencyFailed,
                    "step `\(printable(step.name))` was not started: \(breakdown.summary)")
            } else if let earlyEnd {
                verdict = earlyEnd.verdict(ofWaiting: step.name)
            } else {
                verdict = Verdict(.cancelled, "step `\(printable(step.name))` was not started")
            }
            states[step.uuid] = .ended(verdict)
            record(.stepEnded(step: step.uuid, verdict: verdict, usage: nil))
        }
    }

    private func runVerdict() -> Verdict {
        if stopReason == .interrupted { return Verdict(.interrupted, "the run was interrupted") }
        if let failedStep, case .ended(var verdict) = states[failedStep.uuid] {
            verdict.detail["step"] = .text(failedStep.uuid)
            return verdict
        }
        if let earlyEnd { return earlyEnd.verdict }
        if stopReason != nil { return Verdict(.cancelled, "the run was cancelled") }
        if let breakdown { return breakdown }
        let kept = beginning.kept.steps.count
        let all = spec.steps.count == 1 ? "the step" : "all \(spec.steps.count) steps"
        return Verdict(
            .succeeded, "\(all) succeeded" + (kept == 0 ? "" : ", \(kept) of them in an earlier attempt"))
    }

    private func record(_ occurrence: RunEvent.Occurrence) {
        let event = RunEvent(occurrence, at: Timestamp(seconds: Syscall.wallClockSeconds()))
        guard let line = JSONFile.encode(event) else { return }
        // A full disk must not keep the verdict from the engine, which gets the same line later.
        try? Syscall.writeAll(events.number, line)
        if untold.isEmpty { supervisor.loop.after(0) { [weak self] in self?.tell() } }
        untold += line
    }

    /// Waits for the disk and tells the engine, which so learns of nothing that a loss of power could undo.
    ///
    /// The steps that are ready have been started meanwhile: a disk can take as long as they do.
    private func tell(isSynced: Bool = false) {
        guard !untold.isEmpty else { return }
        // As above.
        if !isSynced { try? Syscall.fsync(events.number) }
        // An engine that takes the place of one that has gone reads the file instead.
        try? Syscall.writeAll(mirror, untold)
        untold = []
    }

    private func writeUsage() {
        guard let bytes = JSONFile.encode(RunUsage(limits: limits, weaknesses: weaknesses, controlGroup: counters()))
        else { return }
        // A full disk must not keep the verdict from being written.
        try? Syscall.writeFile("usage.json", at: directory.number, bytes)
    }
}
