import ArgumentParser
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import PlainText
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

/// What a single command's sandbox is to be like, as its user says it.
struct SandboxWishes: Hashable {
    var policy = "default"
    var environment = "python"
    var project: String?
    var binds: [String] = []
    var variables: [String] = []
    var secrets: [String] = []
}

/// The options for it.
struct SandboxOptions: ParsableArguments {
    @Option(help: "What the sandbox may do: the name of a policy.", completion: Completion.policies) var policy =
        SandboxWishes().policy
    @Option(help: "The environment: a base, or the uuid of one of the project's.", completion: Completion.environments)
    var environment = SandboxWishes().environment
    @Option(help: "A directory that is shown, with throw-away changes, at /project-dir.") var project: String?
    @Option(
        name: .customLong("bind-ro"),
        help:
            "Show a file or directory of the host, read-only: PATH or PATH:INSIDE. Sockets and pipes in it lead to whoever listens there."
    )
    var binds: [String] = []
    @Option(name: .customLong("env-var"), help: "Set a variable: NAME=VALUE.") var variables: [String] = []
    @Option(
        name: .customLong("secret"),
        help:
            "Give it a secret of `cloche secret`, as a variable of its name, or NAME=VARIABLE; not masked in its output."
    )
    var secrets: [String] = []

    var wishes: SandboxWishes {
        SandboxWishes(
            policy: policy, environment: environment, project: project, binds: binds, variables: variables,
            secrets: secrets)
    }
}

extension SandboxWishes {
    /// The sandbox of a command; one that is only shown gets `***` for the values of secrets.
    func request(
        _ command: [String], under policy: SandboxPolicy, in environment: SandboxStore.Environment,
        of store: SandboxStore, isOnlyShown: Bool = false
    ) throws -> OneSandbox {
        var sandbox = SandboxSpec(policy: policy, arguments: command, variables: environment.variables)
        sandbox.umask = 0o002
        if let directory = environment.directory { sandbox.directory = directory }
        // Nothing of the output is kept here: how much there may be is the caller's affair.
        sandbox.policy.limits.output = nil
        for (name, value) in [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/jovyan",
            "TERM": environmentVariable("TERM") ?? "dumb",
        ] where sandbox.variables[name] == nil {
            sandbox.variables[name] = value
        }
        sandbox.variables.merge(try JobSettings.parsed(variables)) { $1 }
        let given = try SecretOption.names(secrets, beside: Set(variables.map { String($0.prefix { $0 != "=" }) }))
        for (variable, value) in try SecretStore(store: store.path).values(given).byVariable {
            sandbox.variables[variable] = isOnlyShown ? "***" : value
        }
        var stage = StageSpec(environments: [.init(layers: environment.layers, owner: environment.owner)])
        stage.connect(policy.network)
        stage.devices = DeviceSearch(policy.devices, for: store.identity).found
        if policy.data != .none {
            sandbox.mounts.append(.init(.bind(stage.binds.count), at: "/data"))
            stage.binds.append(.init(source: try data(policy, store), readOnly: policy.data == .readOnly))
        }
        if let project {
            let location = try Syscall.openLocation(FilePath(project))
            let status = try Syscall.fstat(location.number)
            guard status.isDirectory else {
                throw CommandFailure(
                    .usage, "show the project `\(project)`: it is no directory", hint: "`--bind-ro` shows a file")
            }
            sandbox.mounts.append(.init(.scratchOver(stage.binds.count), at: "/project-dir"))
            // Root has an id that is nobody's inside. Not every file system can show its files as another's.
            let isOthers = PrivilegedMounts.isPossible(in: FilePath(project), store.identity)
            stage.binds.append(
                .init(
                    source: project, readOnly: true,
                    owner: isOthers ? .author(user: status.user, group: status.group) : nil))
            sandbox.directory = "/project-dir"
        }
        for text in binds { try add(bind: text, to: &sandbox, &stage) }
        return OneSandbox(
            identity: store.identity, stage: stage, sandbox: sandbox, name: JobID.random().description,
            scratch: store.scratch)
    }

    /// The directory to show at `/data`.
    private func data(_ policy: SandboxPolicy, _ store: SandboxStore) throws -> String {
        switch policy.dataScope {
        case .shared: return try store.data.shared().string
        case .project:
            guard let project else {
                throw CommandFailure(
                    .usage, "show the data of a project, as policy `\(policy.name)` wants: no project was named",
                    hint: "name it with `--project DIR`")
            }
            let path = try absolute(project)
            return try store.data.project(ProjectIdentity.uuid(ofPath: path)).string
        case .job:
            throw CommandFailure(
                .invalidConfiguration,
                "show the data of a job, as policy `\(policy.name)` wants: a single command is none",
                hint: "use a policy with `data: {scope: shared}` or `data: none`")
        }
    }

    /// A directory's path without links, as jobs know their projects.
    private func absolute(_ path: String) throws -> String {
        let directory = try Syscall.openLocation(FilePath(path))
        return String(decoding: try Syscall.readLink(FilePath("/proc/self/fd/\(directory.number)")), as: UTF8.self)
    }

    /// A path of the host, and where it appears: under its own name unless another one is given.
    private func add(bind text: String, to sandbox: inout SandboxSpec, _ stage: inout StageSpec) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let source = parts.first, !source.isEmpty else {
            throw ValidationError("--bind-ro needs PATH or PATH:INSIDE, not `\(printable(text))`")
        }
        guard Syscall.exists(FilePath(source)) else {
            throw CommandFailure(
                .notFound, "show `\(source)`: there is no such file or directory", hint: "check the name")
        }
        guard Self.canBeShown(source) else {
            throw CommandFailure(
                .usage, "show `\(source)`: it is neither a file nor a directory",
                hint: "devices of its own are in /dev of the sandbox; what a pipe has, it can read from standard input")
        }
        let target = FilePath(parts.count > 1 ? parts[1] : source)
        guard target.isAbsolute, !target.components.contains(where: { $0.kind == .parentDirectory }) else {
            let name = FilePath(source).lastComponent.flatMap { $0.kind == .regular ? $0.string : nil } ?? "NAME"
            throw ValidationError(
                "--bind-ro needs an absolute path inside, without `..`, as in "
                    + "`--bind-ro \(printable(source)):/mnt/\(printable(name))`")
        }
        sandbox.mounts.append(.init(.bind(stage.binds.count), at: target.lexicallyNormalized().string))
        stage.binds.append(.init(source: source, readOnly: true))
    }

    /// Whether it is a file or a directory; what cannot be looked at is told of when it is opened.
    private static func canBeShown(_ path: String) -> Bool {
        guard let location = try? Syscall.openLocation(FilePath(path)),
            let status = try? Syscall.fstat(location.number)
        else { return true }
        return status.isDirectory || status.isRegular
    }
}
