import Cgroups
import Isolation
import LinuxSystem
import SandboxLaunch
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What the program `cloche-supervisor` does for a run.
///
/// From its engine it has descriptor 3, which takes each `SupervisorOrder`; descriptor 4, which gets every event as it is
/// recorded; descriptor 5, the lock of the attempt, which it holds for life; and descriptor 6 with the values of secrets.
/// The attempt's control takes the same orders from everybody who may open it.
package enum SupervisorMain {
    private static let lifeline: CInt = 3
    private static let mirror: CInt = 4

    /// Makes that attempt at the run in that directory, and ends the process: with 0 when a verdict has been written.
    ///
    /// The end of the engine interrupts the run, unless it `outlivesEngine`. `prepared` is what a template has done of it.
    package static func run(
        _ path: FilePath, attempt number: Int, outlivesEngine: Bool, prepared: PreparedRun = PreparedRun()
    ) -> Never {
        signal(SIGPIPE, SIG_IGN)
        SecretValues.keepClosed()
        let directory = RunDirectory(path)
        do throws(SyscallError) {
            let spec = if let known = prepared.spec { known } else { try directory.spec() }
            let attempt = directory.attempt(number)
            let control = try attempt.makeControl().release()
            let owner = spec.identity.outsideUser(IdentityMap.user),
                group = spec.identity.outsideGroup(IdentityMap.user)
            if let owner, let group, geteuid() == 0 {
                try Syscall.changeOwner(attempt.path, user: owner, group: group)
            }
            execute(
                spec, directory, attempt, number, Orders(engine: lifeline, control: control, outlives: outlivesEngine),
                prepared.filters)
        } catch {
            Self.say("error: the run in `\(path)` cannot be executed: \(error)\n")
            exit(125)
        }
    }

    /// Where a supervisor is told to end its run.
    private struct Orders {
        /// The engine's end, and the attempt's control.
        let engine: CInt, control: CInt
        /// Whether the end of the engine says nothing.
        let outlives: Bool
    }

    private static func execute(
        _ spec: RunSpec, _ directory: RunDirectory, _ attempt: AttemptDirectory, _ number: Int, _ orders: Orders,
        _ filters: CompiledFilters
    ) -> Never {
        let code: Int32
        do throws(LaunchError) {
            let program = try SandboxSupervisor.loadInitProgram()
            let group = try ControlGroups.make(run: spec.run, limits: spec.policy.limits)
            let quota = try spec.policy.limits.project.flatMap { limit throws(LaunchError) in
                try ProjectQuota.make(
                    limit, in: attempt.path, StageSpec.Project.roots + [StepCommand.exchange], spec.identity)
            }
            let limits = LimitEnforcement.complete(
                group.enforcement, for: spec.policy.limits, scratchInMemory: spec.scratch == nil,
                project: quota == nil ? .watchdog : .quota)
            try SandboxDemands(spec.policy, identity: spec.identity).check(limits)
            let devices = DeviceSearch(spec.policy.devices, for: spec.identity)
            try devices.check(policy: spec.policy.name)
            let scratch = try spec.scratch.map { parent throws(LaunchError) in
                try ScratchDirectory.make(in: FilePath(parent), name: spec.run, spec.identity)
            }
            let trouble = try LaunchError.during("make a pipe") { () throws(SyscallError) in
                try Syscall.pipe(extra: O_NONBLOCK).release()
            }
            var early = StageSpec(environments: StepCommand.environments(spec))
            early.devices = devices.found
            let privileged = try PrivilegedMounts.open(early, for: spec.identity)
            // Only the supervisor listens to the engine; the control stays open in the keeper, for as long as that lives.
            let keeper = try Confinement.enter(
                spec.identity, connected: spec.policy.network == .outbound,
                supervisorsOwn: [orders.engine, SecretValues.descriptor] + privileged.descriptors
            ) { supervisor, _ in
                let status = ControlGroups.keep(supervisor, group).status
                scratch?.remove()
                quota?.release()
                conclude(attempt, trouble: trouble.reading, status: status)
                attempt.removeWork()
                attempt.removeControl()
                return 0
            }
            let boot = HostBoot.identity()
            let kept = directory.keptResults(for: spec, before: number, boot: boot)
            var stage = StepCommand.stage(
                spec, runDirectory: directory.path.string, attempt: attempt.path.string, kept: kept.layers,
                devices: devices.found)
            stage.scratch = scratch?.path.string
            let beginning = RunSupervisor.Beginning(
                attempt: number, boot: boot, kept: kept,
                metrics: kept.metricsAttempt.map {
                    directory.attempt($0).metricsText(first: kept.metricsBytes)
                } ?? [])
            code = supervise(
                spec, stage, privileged, beginning, program, group, limits, keeper, orders, filters,
                trouble: trouble.writing)
        } catch {
            let report = SandboxReport(setup: error)
            try? attempt.conclude(report.verdict(of: "the run", under: spec.policy))
            attempt.removeControl()
            code = 0
        }
        exit(code)
    }

    /// The keeper's last word, for a supervisor that could not write its own: the first verdict stands.
    private static func conclude(_ attempt: AttemptDirectory, trouble: CInt, status: Int32) {
        // One that ended by itself has seen to it that its verdict is on the disk.
        guard status != 0 || attempt.verdict() == nil else { return }
        let text = (try? Syscall.read(trouble, upTo: 65536)) ?? []
        let verdict: Verdict
        if let report = JSONFile.decode(Verdict.self, text) {
            verdict = report
        } else {
            verdict = Verdict(
                .supervisorLost, "the supervisor of the run was killed", detail: ["status": .integer(Int64(status))],
                remedy: "run it again; if it happens again, see what on this host kills processes")
        }
        try? attempt.conclude(verdict)
    }

    private static func supervise(
        _ spec: RunSpec, _ stage: StageSpec, _ privileged: PrivilegedMounts, _ beginning: RunSupervisor.Beginning,
        _ program: consuming OwnedFileDescriptor,
        _ group: borrowing RunCgroup, _ limits: [LimitReport], _ keeper: Int32, _ orders: Orders,
        _ filters: CompiledFilters, trouble: CInt
    ) -> Int32 {
        do throws(LaunchError) {
            let supervisor = try SandboxSupervisor(
                stage, identity: spec.identity, skeleton: StepCommand.skeleton(spec),
                view: ResourceView(
                    limits: spec.policy.limits, host: .probe(for: spec.policy.limits), seed: spec.run),
                privileged: privileged,
                initProgram: program, keeper: keeper,
                groups: group.stepsEntry, enforcement: group.enforcement,
                project: limits.first { $0.name == .project }?.enforcement ?? Enforcement.none,
                counters: group.reader(),
                network: spec.policy.network, filters: filters)
            var beginning = beginning
            // After the launcher has been made, which so has no copy of them.
            beginning.secrets = try LaunchError.during("take the values of the run's secrets") {
                () throws(SyscallError) in
                try SecretValues.receive(spec.secrets ?? [:])
            }
            let run = try RunSupervisor(
                spec, beginning, supervisor: supervisor,
                limits: limits, counters: group.reader(), mirror: mirror)
            try listen(run, supervisor.loop, orders)
            _ = try run.run()
            return 0
        } catch {
            let verdict = SandboxReport(setup: error).verdict(of: "the run", under: spec.policy)
            if let bytes = JSONFile.encode(verdict) { try? Syscall.writeAll(trouble, bytes) }
            return 125
        }
    }

    private static func listen(_ run: RunSupervisor, _ loop: EventLoop, _ orders: Orders) throws(LaunchError) {
        let signals = try LaunchError.during("watch for signals") { () throws(SyscallError) in
            try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP]).release()
        }
        loop.watch(signals) {
            while Syscall.nextSignal(signals) != nil { run.stop(.interrupted, grace: 2) }
        }
        loop.watch(orders.control) { obey(SupervisorOrder.all(in: received(orders.control)), run) }
        loop.watch(orders.engine) {
            let bytes = received(orders.engine)
            if bytes.isEmpty { loop.unwatch(orders.engine) }
            obey(bytes.isEmpty && !orders.outlives ? [.interrupt] : SupervisorOrder.all(in: bytes), run)
        }
    }

    /// Nothing where the other end has gone, or cannot be read.
    private static func received(_ pipe: CInt) -> [UInt8] {
        // As an end: whoever gave orders through it gives no more.
        (try? Syscall.read(pipe, upTo: SupervisorOrder.longest)) ?? []
    }

    private static func obey(_ orders: [SupervisorOrder], _ run: RunSupervisor) {
        for order in orders {
            switch order {
            case .interrupt: return run.stop(.interrupted, grace: 2)
            case .kill: return run.stop(.cancelled, grace: 0)
            case .expire: run.stop(.jobTimeLimit, grace: 5)
            case .cancel: run.stop(.cancelled, grace: 5)
            // What still runs goes on writing.
            case .makeRoom(let excess): run.stop(.userLimit, grace: 2, excess: excess)
            }
        }
    }

    static func say(_ text: String) {
        // There is nobody else to tell that standard error is closed.
        try? Syscall.writeAll(2, Array(text.utf8))
    }
}

extension SupervisorMain {
    /// Where requests for single commands are read from.
    package static let requestDescriptor: CInt = 5
    private static let requestLimit = 16 << 20
    /// Where what was recorded of a single command is written to.
    package static let recordingDescriptor: CInt = 6

    /// Runs the command of a `OneSandbox` that descriptor 5 carries.
    ///
    /// Standard error ends with the verdict's line, and one with the remedy, when the command did not end by itself. A
    /// `RecordedSandbox` goes to descriptor 6 as JSON, when it is recorded; it ends with the process that has asked.
    package static func command() -> Never {
        guard let request: OneSandbox = request() else { refuseRequest() }
        do throws(LaunchError) {
            if request.sandbox.isRecorded {
                try LaunchError.during("end with the process that has asked") { () throws(SyscallError) in
                    try Syscall.endWithParent(getppid())
                }
            }
            try request.run { result in
                if let recorded = RecordedSandbox(result.report, result.verdict) {
                    // Who does not read it any more does not want it.
                    try? Syscall.writeAll(recordingDescriptor, JSONFile.encode(recorded) ?? [])
                }
                if result.verdict.cause != .succeeded, result.verdict.cause != .exit {
                    say("cloche: \(result.verdict.summary)\n")
                    if let remedy = result.verdict.remedy { say("hint: \(remedy)\n") }
                }
                for line in result.report.networkRefusals(beside: result.verdict) { say("cloche: \(line)\n") }
                return result.exitCode
            }
        } catch {
            fail(error)
        }
    }

    /// Runs the program of a `NamespaceProgram` that descriptor 5 carries.
    package static func namespace() -> Never {
        guard let request: NamespaceProgram = request() else { refuseRequest() }
        do throws(LaunchError) {
            try request.run()
        } catch {
            fail(error)
        }
    }

    private static func request<Request: Decodable>() -> Request? {
        guard let bytes = try? Syscall.readAll(requestDescriptor, limit: requestLimit) else { return nil }
        _ = Glibc.close(requestDescriptor)
        return JSONFile.decode(Request.self, bytes)
    }

    private static func refuseRequest() -> Never {
        say("error: the request cannot be read\n")
        exit(125)
    }

    private static func fail(_ error: LaunchError) -> Never {
        say("error: \(error)\nhint: \(SetupRemedy.of(error))\n")
        exit(125)
    }
}
