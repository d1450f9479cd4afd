package import Environments
package import Isolation
import Jobs
import LinuxSystem
package import Policies
import Runs
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Carries out the commands of builds in sandboxes, each in a supervisor's process of its own.
package struct SandboxBuildExecutor: BuildExecutor {
    /// The ids of builds, and those of other sandboxes.
    let identity: IdentityMap, stepIdentity: IdentityMap
    /// Whose ids the files of projects have.
    private let authors: IdentityMap
    let scratch: String?
    let ceiling: PolicyCeiling?
    let python: FilePath?
    /// The store in which sandboxes are registered; nil is nowhere.
    private let store: FilePath?

    /// An executor for a store's identity, that of its authors where that is another one, its directory for throw-away
    /// changes where they are on the disk, the administrator's ceiling, the Python modules of steps, which set-up
    /// scripts can use as well, and the path of the store whose next command removes what killed sandboxes left.
    package init(
        identity: IdentityMap, authors: IdentityMap? = nil, scratch: String? = nil, ceiling: PolicyCeiling? = nil,
        python: FilePath? = nil, registeredIn store: FilePath? = nil
    ) {
        self.store = store
        self.scratch = scratch
        self.ceiling = ceiling
        self.python = python
        stepIdentity = identity
        self.authors = authors ?? identity
        // Without a range a build is root of a namespace that has only one id.
        self.identity = identity.hasRange ? identity : .single(user: geteuid(), group: getegid(), inside: 0)
    }

    package func run(
        _ command: NamespaceCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome {
        try give(command.directory)
        let request = NamespaceProgram(
            identity: identity, arguments: command.arguments, variables: command.variables,
            directory: .init(source: command.directory.string, target: NamespaceCommand.mountPoint),
            binds: command.binds.map { .init(source: $0.source.string, target: $0.target.string) })
        return try execute("namespace", request, limit: command.timeLimit, isCancelled, output)
    }

    package func run(
        _ command: SandboxCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome {
        let (lowers, upper, work) = try root(command.root)
        // Root of the namespace reaches both through the directory that they lie in.
        try give(upper.removingLastComponent())
        var stage = StageSpec(environments: [.init(layers: lowers)])
        stage.persistentRoot = .init(
            directory: upper.removingLastComponent().string, upper: try name(upper), work: try name(work))
        var policy = policy(of: command)
        policy.limits.wallTime = command.timeLimit
        var reachable: [String] = []
        if case .outbound(let hosts) = command.network { reachable = HostAddresses.resolve(hosts) }
        stage.connect(policy.network, reachable: reachable)
        var sandbox = SandboxSpec(policy: policy, arguments: command.arguments, variables: command.variables)
        sandbox.keepsRoot = true
        sandbox.directory = command.workingDirectory.string
        for (mounts, scratch) in [(command.binds, false), (command.scratch, true)] {
            for mount in mounts {
                let index = stage.binds.count
                // What is thrown away again is the project.
                let owner = scratch && authors != stepIdentity ? authors : nil
                stage.binds.append(.init(source: mount.source.string, readOnly: true, owner: owner))
                sandbox.mounts.append(.init(scratch ? .scratchOver(index) : .bind(index), at: mount.target.string))
            }
        }
        // In Orchest's images the package `orchest` is installed, and set-up scripts try whether it can be imported.
        if let python, case .layers = command.root {
            sandbox.mounts.append(.init(.bind(stage.binds.count), at: StepCommand.pythonDirectory))
            stage.binds.append(.init(source: python.string, readOnly: true))
            StepCommand.addPython(to: &sandbox.variables)
        }
        ControlGroups.makeRoom()
        return try registered { name in
            let request = OneSandbox(
                identity: identity, stage: stage, sandbox: sandbox, name: name, scratch: scratch)
            return try execute("command", request, limit: command.timeLimit + .seconds(30), isCancelled, output)
        }
    }

    /// Gives `body` the name of a new sandbox, by which the next command finds what it left if it is killed.
    func registered(_ body: (String) throws -> CommandOutcome) throws -> CommandOutcome {
        let name = JobID.random().description
        guard let register = store.map({ SandboxRegister($0) }) else { return try body(name) }
        try register.clear()
        try register.add(name)
        defer { register.abandon(name) }
        return try body(name)
    }

    package func obstacle(to command: SandboxCommand) -> String? {
        guard geteuid() != 0, case .outbound = policy(of: command).network else { return nil }
        return OutboundNetwork.deviceTrouble().map { "it reaches the network through a tun device: \($0)" }
    }

    package func isOnline(_ command: SandboxCommand) -> Bool {
        if case .outbound = policy(of: command).network { true } else { false }
    }

    /// What a command of a build may do.
    private func policy(of command: SandboxCommand) -> SandboxPolicy {
        var policy = BuiltInPolicies.build
        if case .none = command.network { policy.network = .none }
        ceiling?.clip(&policy)
        return policy
    }

    private func name(_ path: FilePath) throws -> String {
        guard let name = path.lastComponent else { throw SyscallError("open", path.string, errno: .invalidArgument) }
        return name.string
    }

    private func root(_ root: SandboxCommand.Root) throws -> (lowers: [String], upper: FilePath, work: FilePath) {
        switch root {
        case .tree(let tree):
            let work = tree.removingLastComponent().appending(BuildPaths.workName)
            try make(work)
            return ([], tree, work)
        case .layers(let layers, let upper, let work):
            try make(upper)
            try make(work)
            return (layers.map(\.string), upper, work)
        }
    }

    private func make(_ directory: FilePath) throws {
        try Syscall.makeDirectories(directory, mode: 0o755)
        try give(directory)
    }

    /// Gives a directory to root of the namespace, where the caller may; else the namespace takes it.
    func give(_ directory: FilePath) throws {
        guard geteuid() == 0, let user = identity.outsideUser(0), let group = identity.outsideGroup(0) else { return }
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let owner = try Syscall.fstat(opened.number).user
        if identity.users.contains(where: { owner &- $0.outside < $0.count }) { return }
        try Syscall.changeOwner(of: opened.number, user: user, group: group)
    }

    private func execute(
        _ mode: String, _ request: some Encodable, limit: Duration, _ isCancelled: () -> Bool,
        _ output: ([UInt8]) -> Void
    ) throws -> CommandOutcome {
        guard let bytes = JSONFile.encode(request) else { throw SyscallError("encode", mode, errno: .invalidArgument) }
        let memory = try Syscall.sealedMemory(name: "request", bytes: bytes, executable: false)
        _ = lseek(memory.number, 0, SEEK_SET)
        let pipe = try Syscall.pipe()
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(
            own.removingLastComponent().appending("cloche-supervisor"), ["cloche-supervisor", mode, String(getpid())],
            descriptors: [
                (memory.number, SupervisorMain.requestDescriptor), (pipe.writing.number, 1), (pipe.writing.number, 2),
            ])
        let process = try ProcessHandle(opening: number)
        let reading = pipe.takeReading()
        let deadline = Syscall.monotonicSeconds() + Double(limit.components.seconds)
        var stopping: Double?
        var late = false
        while true {
            let ready = try Syscall.poll([reading.number], milliseconds: 200)
            if !ready.isEmpty {
                let bytes = try Syscall.read(reading.number, upTo: 65536)
                if bytes.isEmpty { break }
                // What is cancelled says nothing of the build any more.
                if stopping == nil || late { output(bytes) }
            }
            let now = Syscall.monotonicSeconds()
            if stopping == nil, isCancelled() || now > deadline {
                late = now > deadline
                stopping = now
                // What unpacks packages has children that would go on without it; a sandbox ends with its supervisor.
                try Self.end(mode == "namespace" ? -number : number, SIGTERM)
            } else if let since = stopping, now > since + 2 {
                try Self.end(-number, SIGKILL)
            }
        }
        let end = try process.wait()?.end
        let verdict = late ? "it took longer than \(limit.components.seconds) seconds" : nil
        switch end {
        case .exited(let status): return CommandOutcome(status: status, verdict: verdict)
        case .signalled(let signal): return CommandOutcome(status: 128 + signal, verdict: verdict)
        case nil: return CommandOutcome(status: 125, verdict: verdict)
        }
    }
}

extension SandboxBuildExecutor {
    /// Signals a process, or a group by its negative number; one that has ended by itself is no fault.
    private static func end(_ process: Int32, _ signal: Int32) throws(SyscallError) {
        do throws(SyscallError) {
            try Syscall.kill(process, signal)
        } catch {
            if error.errno != .noSuchProcess { throw error }
        }
    }
}

/// Addresses of hosts, asked of the host's own resolver: this program is linked without name services.
enum HostAddresses {
    /// IPv4 addresses of the names; one that cannot be resolved is left out.
    static func resolve(_ hosts: Set<String>) -> [String] {
        var addresses: Set<String> = []
        for host in hosts.sorted().prefix(64) where !host.hasPrefix("-") {
            for line in ((try? ask(host)) ?? "").split(separator: "\n") {
                if let address = line.split(separator: " ").first { addresses.insert(String(address)) }
            }
        }
        return addresses.sorted()
    }

    private static func ask(_ host: String) throws(SyscallError) -> String {
        let pipe = try Syscall.pipe()
        let process = try HostProcess.spawn(
            "/usr/bin/getent", ["getent", "ahostsv4", host], descriptors: [(pipe.writing.number, 1)])
        let handle = try ProcessHandle(opening: process)
        let reading = pipe.takeReading()
        let bytes = try Syscall.readAll(reading.number, limit: 65536)
        _ = try handle.wait()
        return String(decoding: bytes, as: UTF8.self)
    }
}
