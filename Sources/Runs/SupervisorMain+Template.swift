import Cgroups
import Isolation
import LinuxSystem
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What has been done for a run before it has a process.
package struct PreparedRun: Sendable {
    /// Its specification; nil where it was not read yet.
    var spec: RunSpec?
    /// Filters that its sandboxes need.
    var filters = CompiledFilters()

    /// Nothing.
    package init() {}
}

extension SupervisorMain {
    /// Where the template gets its requests: a socket of packets.
    package static let requests: CInt = 7

    /// How much room a template is started with for what `ps` shows of its forks; what does not fit is left out.
    package static let longestTitle = 512

    /// Forks a supervisor for each request of its engine, until that ends.
    ///
    /// What every supervisor does first, such as looking up types for JSON and compiling filters, has been done here
    /// once, and each begins with the memory that came of it. Supervisors are children of the engine and not of this
    /// process, which nothing depends on: an engine makes another one when it has gone. It reads nothing but what engines
    /// have written.
    package static func template() -> Never {
        // Only a name for people.
        try? Syscall.setName("cloche-template")
        let title = ProcessTitle()
        title?.show("cloche-supervisor template")
        var filters = CompiledFilters()
        var isCold = true
        while true {
            guard let packet = try? Syscall.receive(requests, upTo: SupervisorRequest.limit), !packet.bytes.isEmpty
            else {
                exit(0)
            }
            guard let request = SupervisorRequest(packet.bytes),
                packet.descriptors.count == SupervisorRequest.descriptors.count
            else { exit(125) }
            var prepared = PreparedRun()
            // The supervisor says what is wrong with one that cannot be read, or with its policy.
            prepared.spec = try? RunDirectory(request.directory).spec()
            if let spec = prepared.spec {
                if isCold { warmUp(spec) }
                isCold = false
                _ = try? filters.ofInit()
                _ = try? filters.ofCommand(under: spec.policy.seccomp, isRecorded: spec.isRecorded ?? false)
            }
            prepared.filters = filters
            let answer: SupervisorAnswer
            do throws(SyscallError) {
                let process = try Syscall.forkSibling()
                if process == 0 { begin(request, packet.descriptors, prepared, title) }
                answer = SupervisorAnswer(.success(process))
            } catch {
                answer = SupervisorAnswer(.failure(error))
            }
            for descriptor in packet.descriptors { _ = Glibc.close(descriptor) }
            // One that has gone is noticed above.
            try? Syscall.send(requests, answer.bytes)
        }
    }

    /// Becomes the supervisor of a run, as if it had been executed for that.
    private static func begin(
        _ request: SupervisorRequest, _ descriptors: [CInt], _ prepared: PreparedRun, _ title: ProcessTitle?
    ) -> Never {
        do throws(SyscallError) {
            _ = Glibc.close(requests)
            // In two steps by high numbers, so that none overwrites the source of another.
            var high: [CInt] = []
            for descriptor in descriptors {
                high.append(try Syscall.fcntl(descriptor, F_DUPFD_CLOEXEC, 200))
                _ = Glibc.close(descriptor)
            }
            for (here, there) in zip(high, SupervisorRequest.descriptors) {
                _ = try Syscall.duplicate(here, to: there)
                _ = Glibc.close(here)
            }
            try HostProcess.keepDescriptors()
            try HostProcess.leadGroup(ownSession: request.outlivesEngine)
            try Syscall.setName("cloche-supervisor")
            // As one that is executed for a run has it.
            title?.show((["cloche-supervisor"] + request.words).joined(separator: " "))
            // An engine that has died meanwhile does not know this process.
            guard try Syscall.read(SupervisorRequest.descriptors[0], upTo: 1) == [SupervisorRequest.begin] else {
                exit(0)
            }
        } catch {
            say("error: a supervisor cannot be started: \(error)\n")
            exit(125)
        }
        run(request.directory, attempt: request.attempt, outlivesEngine: request.outlivesEngine, prepared: prepared)
    }

    /// Makes the documents and plans of a run once, for nobody: the search for what their types conform to is long the
    /// first time.
    private static func warmUp(_ spec: RunSpec) {
        let verdict = Verdict(.exit, "a", detail: ["a": .integer(1), "b": .text("b")], remedy: "c")
        let time = Timestamp(seconds: Syscall.wallClockSeconds())
        let usage = RunEvent.Usage(wallSeconds: 1, cpuSeconds: 1, memoryPeakBytes: 1)
        let occurrences: [RunEvent.Occurrence] = [
            .runStarted(attempt: 1), .stepStarted(step: "a"), .stepEnded(step: "a", verdict: verdict, usage: usage),
            .keeping(.sealed(RunEvent.Seal(layer: "1", steps: ["a"], metricsBytes: 0, boot: "a"))),
            .runEnded(verdict: verdict),
        ]
        for occurrence in occurrences { _ = JSONFile.encode(RunEvent(occurrence, at: time)) }
        if let bytes = JSONFile.encode(verdict) { _ = JSONFile.decode(Verdict.self, bytes) }
        let group = JSONFile.decode(CgroupUsage.self, Array("{}".utf8))
        let limits = [LimitReport(.memory, 1, .cgroup)]
        _ = JSONFile.encode(RunUsage(limits: limits, weaknesses: ["a"], controlGroup: group))
        for step in spec.steps {
            guard let environment = spec.environments.first(where: { $0.uuid == step.environment }) else { continue }
            _ = try? StepCommand.arguments(file: step.file, environment: environment)
            _ = StepCommand.variables(spec, step: step, environment: environment, secrets: SecretValues([:]))
        }
        var sandbox = SandboxSpec(environment: 0, policy: spec.policy, arguments: ["a"], variables: ["a": "b"])
        sandbox.mounts = StepCommand.mounts(spec)
        _ = StepCommand.skeleton(spec)
        let stage = StepCommand.stage(spec, runDirectory: "/run", attempt: "/run/1", kept: [], devices: nil)
        SandboxSupervisor.warmUp(sandbox, on: stage, spec.identity)
    }
}
