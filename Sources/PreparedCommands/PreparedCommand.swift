import Isolation
import LinuxSystem
package import SandboxRuntime
import SeccompFilters
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A sandbox for single commands that has been worked out from a policy and an environment, kept for the next command
/// that asks for the same: reading the documents and compiling the filters takes longer than the sandbox itself.
///
/// It says nothing about the host: what that can do is found out each time. Only what needs no more than a policy without a
/// way out, and paths, is kept; `init` refuses the rest.
package struct PreparedCommand: Sendable, Hashable {
    /// What it was worked out from; the records of the builds that it uses are among them.
    let witnesses: [FileWitness]
    /// The records of the builds, which are locked as long as these are used.
    let builds: [String]
    /// The sandbox, without command and name, and with `policyText` for the rules of its system calls.
    let request: OneSandbox
    let policyText: String
    let command: FilterCode, initProcess: FilterCode

    init(
        witnesses: [FileWitness], builds: [String], request: OneSandbox, policyText: String, command: FilterCode,
        initProcess: FilterCode
    ) {
        self.witnesses = witnesses
        self.builds = builds
        self.request = request
        self.policyText = policyText
        self.command = command
        self.initProcess = initProcess
    }

    /// Takes what was worked out; nil where something of it cannot be kept, or may have changed since.
    ///
    /// - Parameters:
    ///   - sources: The paths of all that was read, and of what would have been read, with the directories that they are in.
    ///   - builds: The records of the builds that are used.
    ///   - since: The time before the first of it was read: what has changed later, or just before, is not relied on.
    package init?(
        _ request: OneSandbox, _ filters: PreparedFilters, sources: [String], builds: [String], since: Double
    ) {
        let (policy, stage) = (request.sandbox.policy, request.stage)
        guard policy.egress == nil, policy.devices == nil, policy.clipped == nil, stage.outbound == nil,
            !stage.hasProxy, stage.devices == nil, stage.project == nil, stage.writable == nil,
            stage.persistentRoot == nil, request.scratch == nil
        else { return nil }
        var witnesses: [FileWitness] = []
        for path in sources + builds {
            guard let (witness, changed) = FileWitness.look(at: path) else { return nil }
            // Times of files are only as fine as the kernel's tick.
            if let changed, Double(changed.seconds) + Double(changed.nanoseconds) / 1e9 > since - 0.1 { return nil }
            witnesses.append(witness)
        }
        var request = request
        request.name = ""
        request.sandbox.arguments = []
        request.sandbox.terminal = []
        request.sandbox.policy.seccomp = Self.placeholder(for: policy.seccomp.name)
        self.init(
            witnesses: witnesses, builds: builds, request: request, policyText: policy.seccomp.text,
            command: filters.command, initProcess: filters.initProcess)
    }

    /// The sandbox of a command, its filters, and what was asked for beside; nil where something is not as it was.
    ///
    /// The builds are held until this process and all that it forks have ended.
    package func take(_ command: [String]) -> (request: OneSandbox, filters: PreparedFilters)? {
        for build in builds {
            // Whoever has locked a record alone is about to remove the build.
            guard let file = try? Syscall.open(FilePath(build), O_RDONLY | O_NOFOLLOW),
                (try? Syscall.flock(file.number, LOCK_SH | LOCK_NB)) != nil
            else { return nil }
            _ = file.release()
        }
        // After the locks: a build whose record is still there cannot go any more.
        guard witnesses.allSatisfy(\.holds), request.stage.binds.allSatisfy(\.isAsItWas) else { return nil }
        var request = request
        request.sandbox.arguments = command
        let name = request.sandbox.policy.seccomp.name
        let filters = PreparedFilters(
            command: self.command, initProcess: initProcess,
            refusals: { [policyText] in
                // Without its rules everything that the filter asks about is still refused.
                RefusalTable(
                    policy: SeccompPolicy(name: name, text: policyText) ?? Self.placeholder(for: name),
                    architecture: .native)
            })
        return (request, filters)
    }

    /// A policy in the place of one that is kept as text: should it ever be carried out, it refuses everything.
    static func placeholder(for name: String) -> SeccompPolicy {
        SeccompPolicy(
            name: name, unlisted: SeccompRefusal(.noFunction, .silent, group: .init(rawValue: "unlisted")), groups: [])
    }
}

extension StageSpec.Bind {
    /// Whether its source is there, and whose it was, if that matters.
    fileprivate var isAsItWas: Bool {
        guard let place = try? Syscall.openLocation(FilePath(source)) else { return false }
        guard let owner else { return true }
        guard let status = try? Syscall.fstat(place.number) else { return false }
        return owner == .author(user: status.user, group: status.group)
    }
}
