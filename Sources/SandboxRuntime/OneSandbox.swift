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
    /// anything has been started.
    package func run(afterwards: () -> Void = {}, finish: (Result) -> Int32) throws(LaunchError) -> Never {
        let program = try SandboxSupervisor.loadInitProgram()
        let scratch = try scratch.map { parent throws(LaunchError) in
            try ScratchDirectory.make(in: FilePath(parent), name: name, identity)
        }
        try sandbox.check()
        let group = try ControlGroups.make(run: name, limits: sandbox.policy.limits)
        let enforcement = LimitEnforcement.complete(
            group.enforcement, for: sandbox.policy.limits, scratchInMemory: scratch == nil)
        try SandboxDemands(sandbox.policy, identity: identity).check(enforcement)
        let keeper = try Confinement.enter(identity, connected: stage.outbound != nil) { supervisor, _ in
            let status = ControlGroups.keep(supervisor, group)
            scratch?.remove()
            afterwards()
            return status
        }
        let code: Int32
        do throws(LaunchError) {
            code = try supervise(program, group, keeper, scratch, finish)
        } catch {
            let report = SandboxReport(setup: error)
            let verdict = report.verdict(of: "the command", under: sandbox.policy)
            code = finish(Result(verdict: verdict, exitCode: 125, report: report))
        }
        exit(code)
    }

    private func supervise(
        _ program: consuming OwnedFileDescriptor, _ group: borrowing RunCgroup, _ keeper: Int32,
        _ scratch: ScratchDirectory?, _ finish: (Result) -> Int32
    ) throws(LaunchError) -> Int32 {
        var stage = stage
        stage.scratch = scratch?.path.string
        let counters = group.reader()
        let supervisor = try SandboxSupervisor(
            stage, identity: identity, skeleton: skeleton, view: view, initProgram: program, keeper: keeper,
            controlGroupEntries: group.stepsEntry.allLists, enforcement: group.enforcement, counters: counters)
        let input = try pipe()
        let output = try pipe()
        let errors = try pipe()
        var report: SandboxReport?
        let inside = [input.reading.number, output.writing.number, errors.writing.number]
        let outputs = OutputRelay(output.reading.number, errors.reading.number)
        let running = try supervisor.launch(
            sandbox, streams: inside, outputs: outputs.sources,
            onOutput: { number, bytes in outputs.pass(number, bytes) },
            onEnd: { ended in
                report = ended
                supervisor.loop.stop()
            })
        outputs.take(output.takeReading(), errors.takeReading(), of: running)
        let relay = InputRelay(from: 0, to: input.takeWriting(), loop: supervisor.loop)
        relay.start()
        let signals = try LaunchError.during("watch for signals") { () throws(SyscallError) in
            signal(SIGPIPE, SIG_IGN)
            return try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP, SIGQUIT])
        }
        var interruptions = 0
        supervisor.loop.watch(signals.number) {
            while let number = Syscall.nextSignal(signals.number) {
                interruptions += 1
                // The first goes to the command, which may end in its own way; a second one ends the sandbox.
                if interruptions == 1 { running.signal(number) } else { running.end(.cancelled, grace: 0) }
            }
        }
        try LaunchError.during("wait for the sandbox") { () throws(SyscallError) in try supervisor.loop.run() }
        supervisor.finish()
        guard let report else { throw LaunchError(step: "wait for the sandbox", reason: "it ended without a report") }
        let verdict = report.verdict(of: "the command", under: sandbox.policy)
        return finish(
            Result(
                verdict: verdict, exitCode: report.exitCode, report: report, lostOutput: outputs.failure))
    }

    private func pipe() throws(LaunchError) -> Pipe {
        try LaunchError.during("make a pipe") { () throws(SyscallError) in try Syscall.pipe() }
    }

    /// What the command is told of the machine.
    var view: ResourceView {
        let limits = sandbox.policy.limits
        return ResourceView(limits: limits, host: .probe(for: limits), seed: name)
    }

    private var skeleton: Skeleton {
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
        let host = CgroupHost.probe(for: limits)
        do throws(CgroupError) {
            return try RunCgroup.create(host, run: run, limits: limits)
        } catch {
            throw LaunchError(step: "make the control groups", reason: "\(error)", errno: error.errno)
        }
    }

    /// Leaves the group in which groups of runs are made, where processes in it keep it from being divided.
    ///
    /// To be called by a process before it starts others that make groups: these could not move it out of their way.
    package static func makeRoom() { _ = CgroupHost.probe() }

    /// The keeper's part: waits for the supervisor, ends what it left, and removes the groups.
    ///
    /// Gives its exit status.
    package static func keep(_ supervisor: borrowing ProcessHandle, _ group: borrowing RunCgroup) -> Int32 {
        let end = (try? supervisor.wait())?.end
        // What cannot be removed now is found by its name and removed by the next command.
        try? group.kill(.everything)
        try? group.remove()
        switch end {
        case .exited(let status): return status
        case .signalled(let signal): return 128 + signal
        case nil: return 125
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

/// Carries what a command writes to the caller's standard output and error.
///
/// Where the caller's stream takes no more, the command's is closed, so that it learns of it as behind a plain pipe.
final class OutputRelay {
    /// The ends that are read from.
    let sources: [CInt]
    private(set) var failure: SyscallError?
    private var running: RunningSandbox?
    private var output: OwnedFileDescriptor?, errors: OwnedFileDescriptor?

    init(_ output: CInt, _ errors: CInt) { sources = [output, errors] }

    func take(
        _ output: consuming OwnedFileDescriptor, _ errors: consuming OwnedFileDescriptor, of running: RunningSandbox
    ) {
        self.output = consume output
        self.errors = consume errors
        self.running = running
    }

    func pass(_ source: CInt, _ bytes: [UInt8]) {
        let isOutput = source == sources[0]
        do throws(SyscallError) {
            try Syscall.writeAll(isOutput ? 1 : 2, bytes)
        } catch {
            if failure == nil { failure = error }
            running?.abandon(source)
            if isOutput { output = nil } else { errors = nil }
        }
    }
}

/// Carries bytes from a descriptor of the caller to the command's standard input, never faster than it reads.
final class InputRelay {
    private let source: CInt
    private var target: OwnedFileDescriptor?
    private let loop: EventLoop
    private var pending: [UInt8] = []

    init(from source: CInt, to target: consuming OwnedFileDescriptor, loop: EventLoop) {
        self.source = source
        self.target = consume target
        self.loop = loop
    }

    func start() {
        // A pipe of our own takes any flag.
        if let number = target?.number { _ = try? Syscall.fcntl(number, F_SETFL, Int(O_NONBLOCK)) }
        loop.watch(source) { self.read() }
    }

    private func read() {
        guard let bytes = try? Syscall.read(source, upTo: 65536), !bytes.isEmpty else { return finish() }
        pending = bytes
        loop.unwatch(source)
        write()
    }

    private func write() {
        guard let number = target?.number else { return }
        do throws(SyscallError) {
            let count = try Syscall.writeSome(number, pending)
            pending.removeFirst(count)
        } catch  where error.errno == .resourceTemporarilyUnavailable {
        } catch {
            return finish()
        }
        if pending.isEmpty {
            loop.unwatchWriting(number)
            loop.watch(source) { self.read() }
        } else {
            loop.watchWriting(number) { self.write() }
        }
    }

    private func finish() {
        loop.unwatch(source)
        if let number = target?.number { loop.unwatchWriting(number) }
        target = nil
    }
}
