package import Cgroups
package import Isolation
package import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A single command in a sandbox of its own, with the caller's standard streams relayed: `cloche exec`, and the steps of
/// building an environment.
package struct OneSandbox: Sendable, Hashable, Codable {
    package var identity: IdentityMap
    package var stage: StageSpec
    package var sandbox: SandboxSpec
    /// A lower-case UUID: the name of the control groups.
    package var name: String
    /// Where to keep throw-away changes on hosts that cannot keep them in memory; a directory is made in it.
    package var scratch: String?

    /// Asks for a command.
    package init(identity: IdentityMap, stage: StageSpec, sandbox: SandboxSpec, name: String, scratch: String?) {
        self.identity = identity
        self.stage = stage
        self.sandbox = sandbox
        self.name = name
        self.scratch = scratch
    }

    /// What came of it.
    package struct Result: Sendable {
        package var verdict: Verdict
        package var exitCode: Int32
        package var report: SandboxReport
        /// Why output of the command did not reach the caller's standard streams: EPIPE where its reader went away.
        package var lostOutput: SyscallError?
    }

    /// Becomes the supervisor of the command and ends the process with its exit code.
    ///
    /// The calling process has a single thread. `finish` sees the result, in the supervisor, before the process ends,
    /// and gives the exit code; `afterwards` runs in the keeper when nothing of the sandbox is left. Throws only before
    /// anything has been started. Where filters are `prepared`, they are loaded, and not those of the policy.
    package func run(
        prepared: PreparedFilters? = nil, timings: LaunchTimings? = nil, afterwards: () -> Void = {},
        finish: (Result) -> Int32
    ) throws(LaunchError) -> Never {
        let program = try SandboxSupervisor.loadInitProgram()
        try sandbox.check()
        try checkInput()
        let group = try ControlGroups.make(run: name, limits: sandbox.policy.limits)
        let enforcement = LimitEnforcement.complete(
            group.enforcement, for: sandbox.policy.limits, scratchInMemory: scratch == nil,
            project: sandbox.keepsRoot ? .watchdog : nil)
        try SandboxDemands(sandbox.policy, identity: identity).check(enforcement)
        try DeviceSearch(sandbox.policy.devices, for: identity).check(policy: sandbox.policy.name)
        timings?.mark("probe and make control groups")
        let scratch = try scratch.map { parent throws(LaunchError) in
            try ScratchDirectory.make(in: FilePath(parent), name: name, identity)
        }
        let terminal =
            sandbox.terminal.isEmpty
            ? nil
            : try LaunchError.during("look at the terminal") { () throws(SyscallError) in try TerminalRelay() }
        let privileged = try PrivilegedMounts.open(stage, for: identity)
        let keeper = try Confinement.enter(
            identity, connected: stage.outbound != nil, supervisorsOwn: privileged.descriptors
        ) { supervisor, _ in
            let kept = ControlGroups.keep(supervisor, group)
            // A supervisor that was killed did not.
            terminal?.restore()
            scratch?.remove()
            if case .signalled(let signal)? = kept.end {
                let text = "cloche: the supervisor of the command was killed by \(SignalName.of(signal))\n"
                // The exit code says it as well.
                try? Syscall.writeAll(2, Array(text.utf8))
            }
            // A name that is kept leads the next command to the groups that are left.
            if kept.isClean { afterwards() }
            return kept.status
        }
        timings?.mark("enter the user namespace")
        let code: Int32
        do throws(LaunchError) {
            code = try supervise(program, group, keeper, privileged, scratch, terminal, prepared, timings, finish)
        } catch {
            let report = SandboxReport(setup: error)
            let verdict = report.verdict(of: "the command", under: sandbox.policy)
            code = finish(Result(verdict: verdict, exitCode: 125, report: report))
        }
        exit(code)
    }

    /// Refuses a directory as standard input: the command, which gets a pipe, could not tell that from an empty file.
    private func checkInput() throws(LaunchError) {
        // One that is closed is as empty to the command.
        guard (try? Syscall.fstat(0).isDirectory) == true else { return }
        var error = LaunchError(
            step: "read standard input", reason: "it is a directory", errno: .isDirectory,
            remedy: "redirect it from a file")
        error.isRequestWrong = true
        throw error
    }

    private func supervise(
        _ program: consuming OwnedFileDescriptor, _ group: borrowing RunCgroup, _ keeper: Int32,
        _ privileged: PrivilegedMounts, _ scratch: ScratchDirectory?, _ terminal: TerminalRelay?,
        _ prepared: PreparedFilters?,
        _ timings: LaunchTimings?, _ finish: (Result) -> Int32
    ) throws(LaunchError) -> Int32 {
        var stage = stage
        stage.scratch = scratch?.path.string
        let counters = group.reader()
        let supervisor = try SandboxSupervisor(
            stage, identity: identity, skeleton: skeleton, view: view, privileged: privileged, initProgram: program,
            keeper: keeper,
            groups: group.stepsEntry, enforcement: group.enforcement, counters: counters,
            network: sandbox.policy.network, filters: CompiledFilters(prepared), timings: timings)
        let streams = try SandboxStreams(sandbox.terminal, loop: supervisor.loop)
        var report: SandboxReport?
        let running = try supervisor.launch(
            sandbox, streams: streams.inside, outputs: streams.outputs,
            onOutput: { number, bytes in streams.pass(number, bytes) },
            onEnd: { ended in
                report = ended
                supervisor.loop.stop()
            })
        timings?.mark("set up the sandbox")
        supervisor.launchNoMore()
        running.onStart = { timings?.mark("give up privileges, load filters, execute") }
        streams.serve(running, terminal)
        let signals = try LaunchError.during("watch for signals") { () throws(SyscallError) in
            signal(SIGPIPE, SIG_IGN)
            return try Syscall.signalDescriptor(
                [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH] + Confinement.plainSignals)
        }
        var interruptions = 0
        var hasHungUp = false
        supervisor.loop.watch(signals.number) {
            while let number = Syscall.nextSignal(signals.number) {
                guard number != SIGWINCH else {
                    // Programs that could not be told the new size draw for the old one.
                    try? terminal?.passSize()
                    continue
                }
                guard !Confinement.plainSignals.contains(number) else {
                    running.signal(number)
                    continue
                }
                // The end of a terminal may be told by the terminal and by the keeper.
                if number == SIGHUP {
                    guard !hasHungUp else { continue }
                    hasHungUp = true
                }
                interruptions += 1
                // The first goes to the command, which may end in its own way; a second one ends the sandbox.
                if interruptions == 1 { running.signal(number) } else { running.end(.cancelled, grace: 0) }
            }
        }
        try LaunchError.during("wait for the sandbox") { () throws(SyscallError) in try supervisor.loop.run() }
        timings?.mark("the command, and the end of its sandbox")
        terminal?.restore()
        supervisor.finish()
        guard var report else { throw LaunchError(step: "wait for the sandbox", reason: "it ended without a report") }
        report.throwsProjectAway = !sandbox.mounts.contains { $0.source == .project }
        let verdict = report.verdict(of: "the command", under: sandbox.policy)
        return finish(
            Result(
                verdict: verdict, exitCode: report.exitCode, report: report, lostOutput: streams.failure))
    }

    /// What the command is told of the machine.
    var view: ResourceView {
        let limits = sandbox.policy.limits
        return ResourceView(limits: limits, host: .probe(for: limits), seed: name)
    }

    var skeleton: Skeleton {
        let targets = sandbox.mounts.map { mount in
            var directory = true
            if case .bind(let index) = mount.source, stage.binds.indices.contains(index) {
                directory = Self.isDirectory(stage.binds[index].source)
            }
            return (path: mount.target, directory: directory)
        }
        return Skeleton.standard(
            targets: targets, hostName: sandbox.hostName, network: sandbox.policy.network)
    }

    private static func isDirectory(_ path: String) -> Bool {
        guard let location = try? Syscall.openLocation(FilePath(path)) else { return true }
        return (try? Syscall.fstat(location.number).isDirectory) ?? true
    }
}

extension SandboxReport {
    /// A report of a sandbox that could not be set up.
    package init(setup error: LaunchError) {
        self.init(
            ending: .setup(error), intervention: nil, usage: nil, seconds: 0, outputBytes: 0, denials: [],
            unrecordedDenials: 0, unroutedDatagrams: 0, outOfMemoryKills: 0, pidsLimitHits: 0, peakMemory: nil)
    }

    /// The exit code that stands for it, as shells and container tools use them.
    package var exitCode: Int32 {
        if intervention == .timeLimit { return 124 }
        switch ending {
        case .ended(.exited(let code)): return code
        case .ended(.signalled(let signal)): return 128 + signal
        case .setup: return 125
        case .notExecuted(let missing, _): return missing ? 127 : 126
        case .lost: return outOfMemoryKills > 0 ? 128 + SIGKILL : 125
        }
    }
}

/// The control groups around a supervisor, as keeper and supervisor share them.
package enum ControlGroups {
    /// Makes the groups of a run, or none where the host has none to give.
    package static func make(run: String, limits: ResourceLimits) throws(LaunchError) -> RunCgroup {
        do throws(CgroupError) {
            return try RunCgroup.create(run: run, limits: limits)
        } catch {
            throw LaunchError(step: "make the control groups", reason: "\(error)", errno: error.errno)
        }
    }

    /// Leaves the group in which groups of runs are made, where processes in it keep it from being divided.
    ///
    /// To be called by a process before it starts others that make groups: these could not move it out of their way.
    package static func makeRoom() { _ = CgroupHost.probe() }

    /// What came of a supervisor and its groups.
    package struct Kept: Sendable {
        package var end: ProcessEnd?
        /// Whether the groups are gone; what is left is found by its name and removed by the next command.
        package var isClean: Bool

        /// The exit status of the supervisor, as a shell gives it.
        package var status: Int32 {
            switch end {
            case .exited(let status): status
            case .signalled(let signal): 128 + signal
            case nil: 125
            }
        }
    }

    /// The keeper's part: waits for the supervisor, ends what it left, and removes the groups.
    package static func keep(_ supervisor: borrowing ProcessHandle, _ group: borrowing RunCgroup) -> Kept {
        let end = (try? supervisor.wait())?.end
        do throws(CgroupError) {
            try group.end()
            return Kept(end: end, isClean: true)
        } catch {
            return Kept(end: end, isClean: false)
        }
    }
}

extension RunCgroup {
    /// A closure that reads the run's numbers, or nil where there is no group.
    package borrowing func reader() -> () -> CgroupUsage? {
        guard exists else { return { nil } }
        let copy = accounting
        return { copy.usage() }
    }
}
