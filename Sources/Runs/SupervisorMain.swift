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
/// Descriptor 3, where it is open, is the engine's: its end or a byte `i` interrupts the run, `c` cancels it, `k` does so
/// at once. Descriptor 4, where it is open, gets every event as it is recorded.
package enum SupervisorMain {
    private static let lifeline: CInt = 3
    private static let mirror: CInt = 4

    /// Executes the run in that directory, and ends the process: with 0 when a verdict has been written.
    package static func run(_ path: FilePath) -> Never {
        signal(SIGPIPE, SIG_IGN)
        let directory = RunDirectory(path)
        do throws(SyscallError) {
            let spec = try directory.spec()
            let claim = try directory.claimAttempt()
            let owner = spec.identity.outsideUser(IdentityMap.user),
                group = spec.identity.outsideGroup(IdentityMap.user)
            if let owner, let group, geteuid() == 0 {
                try Syscall.changeOwner(claim.directory.path, user: owner, group: group)
            }
            execute(spec, directory, claim.directory, claim.number)
        } catch {
            Self.say("error: the run in `\(path)` cannot be executed: \(error)\n")
            exit(125)
        }
    }

    private static func execute(
        _ spec: RunSpec, _ directory: RunDirectory, _ attempt: AttemptDirectory, _ number: Int
    ) -> Never {
        let code: Int32
        do throws(LaunchError) {
            let program = try SandboxSupervisor.loadInitProgram()
            let group = try ControlGroups.make(run: spec.run, limits: spec.policy.limits)
            let limits = LimitEnforcement.complete(
                group.enforcement, for: spec.policy.limits, scratchInMemory: spec.scratch == nil)
            try SandboxDemands(spec.policy, identity: spec.identity).check(limits)
            let scratch = try spec.scratch.map { parent throws(LaunchError) in
                try ScratchDirectory.make(in: FilePath(parent), name: spec.run, spec.identity)
            }
            let trouble = try LaunchError.during("make a pipe") { () throws(SyscallError) in
                try Syscall.pipe(extra: O_NONBLOCK).release()
            }
            let keeper = try Confinement.enter(spec.identity, connected: spec.policy.network == .outbound) {
                supervisor, _ in
                // Only the supervisor listens to the engine.
                _ = Glibc.close(lifeline)
                let status = ControlGroups.keep(supervisor, group).status
                scratch?.remove()
                conclude(attempt, trouble: trouble.reading, status: status)
                return 0
            }
            var stage = StepCommand.stage(spec, runDirectory: directory.path.string, attempt: attempt.path.string)
            stage.scratch = scratch?.path.string
            code = supervise(spec, stage, number, program, group, limits, keeper, trouble: trouble.writing)
        } catch {
            let report = SandboxReport(setup: error)
            try? attempt.conclude(report.verdict(of: "the run", under: spec.policy))
            code = 0
        }
        exit(code)
    }

    /// The keeper's last word, for a supervisor that could not write its own: the first verdict stands.
    private static func conclude(_ attempt: AttemptDirectory, trouble: CInt, status: Int32) {
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
        _ spec: RunSpec, _ stage: StageSpec, _ number: Int, _ program: consuming OwnedFileDescriptor,
        _ group: borrowing RunCgroup, _ limits: [LimitReport], _ keeper: Int32, trouble: CInt
    ) -> Int32 {
        do throws(LaunchError) {
            let supervisor = try SandboxSupervisor(
                stage, identity: spec.identity, skeleton: StepCommand.skeleton(spec),
                view: ResourceView(
                    limits: spec.policy.limits, host: .probe(for: spec.policy.limits), seed: spec.run),
                initProgram: program, keeper: keeper,
                controlGroupEntries: group.stepsEntry.allLists, enforcement: group.enforcement, counters: group.reader()
            )
            let run = try RunSupervisor(
                spec, attempt: number, supervisor: supervisor,
                limits: limits, counters: group.reader(), mirror: isOpen(mirror) ? mirror : nil)
            try listen(run, supervisor.loop)
            _ = try run.run()
            return 0
        } catch {
            let verdict = SandboxReport(setup: error).verdict(of: "the run", under: spec.policy)
            if let bytes = JSONFile.encode(verdict) { try? Syscall.writeAll(trouble, bytes) }
            return 125
        }
    }

    private static func listen(_ run: RunSupervisor, _ loop: EventLoop) throws(LaunchError) {
        let signals = try LaunchError.during("watch for signals") { () throws(SyscallError) in
            try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP]).release()
        }
        loop.watch(signals) {
            while Syscall.nextSignal(signals) != nil { run.stop(.interrupted, grace: 2) }
        }
        guard isOpen(lifeline) else { return }
        loop.watch(lifeline) {
            let word = (try? Syscall.read(lifeline, upTo: 16)) ?? []
            if word.isEmpty { loop.unwatch(lifeline) }
            if word.isEmpty || word.contains(UInt8(ascii: "i")) {
                run.stop(.interrupted, grace: 2)
            } else {
                run.stop(.cancelled, grace: word.contains(UInt8(ascii: "k")) ? 0 : 5)
            }
        }
    }

    private static func isOpen(_ descriptor: CInt) -> Bool { (try? Syscall.fcntl(descriptor, F_GETFD)) != nil }

    fileprivate static func say(_ text: String) {
        // There is nobody else to tell that standard error is closed.
        try? Syscall.writeAll(2, Array(text.utf8))
    }
}

extension SupervisorMain {
    /// Where requests for single commands are read from.
    package static let requestDescriptor: CInt = 5
    private static let requestLimit = 16 << 20

    /// Runs the command of a `OneSandbox` that descriptor 5 carries.
    ///
    /// Standard error ends with the verdict's line, and one with the remedy, when the command did not end by itself.
    package static func command() -> Never {
        guard let request: OneSandbox = request() else { refuseRequest() }
        do throws(LaunchError) {
            try request.run { result in
                if result.verdict.cause != .succeeded, result.verdict.cause != .exit {
                    say("cloche: \(result.verdict.summary)\n")
                    if let remedy = result.verdict.remedy { say("hint: \(remedy)\n") }
                }
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
