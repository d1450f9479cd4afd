package import Isolation
import SandboxLaunch
package import SeccompFilters

#if canImport(Glibc)
    import Glibc
#endif

/// Turns a specification into the two plans of a launch.
///
/// Pure: everything that it decides, it decides from its values.
package struct SandboxPlanner: Sendable {
    package let stage: Stage
    package let identity: IdentityMap
    private let limitsProcesses: Bool

    /// Plans for sandboxes of one stage; `enforcement` is what control groups hold.
    package init(stage: Stage, identity: IdentityMap, enforcement: [LimitReport]) {
        self.stage = stage
        self.identity = identity
        limitsProcesses = LimitEnforcement.needsProcessLimit(enforcement)
    }

    private static let plainMount = UInt64(MS_NOSUID | MS_NODEV)

    /// The set-up between clone(2) and init, in the order in which each part needs the ones before it.
    ///
    /// `number` is one that no other sandbox of the stage has.
    package func launchPlan(_ spec: SandboxSpec, number: Int) -> LaunchPlan {
        var operations: [LaunchPlan.Operation] = [.parentDeath]
        // Everything is made by the namespace's root, where there is one.
        if identity.hasRange { operations.append(.becomeUser(user: 0, group: 0)) }
        operations.append(.setUmask(0o022))
        operations += scratch(spec, number) + root(spec)
        operations += processes()
        operations += devices(spec)
        for (number, mount) in spec.mounts.enumerated() { operations += self.mount(mount, number) }
        operations += deviceCompanions()
        operations.append(.setHostName(spec.hostName))
        if spec.policy.network == .none { operations.append(.loopbackUp) }
        operations.append(.pivotRoot(StagePath.newRoot))
        operations.append(.auditMounts(expectedMounts(operations)))
        if let processors = stage.view.processors { operations.append(.setAffinity(processors)) }
        operations += limits(spec.policy.limits)
        if identity.kind == .single { operations.append(.keepCapabilities) }
        // A change of ids forgets the first one.
        operations.append(.parentDeath)
        var namespaces = Self.namespaces
        if spec.policy.network == .host { namespaces &= ~Self.networkNamespace }
        if spec.policy.network == .outbound || spec.policy.network == .filtered {
            // A prepared network namespace, in which the loopback device is up already.
            namespaces &= ~Self.networkNamespace
            operations.insert(
                .joinNamespace(descriptor: LaunchPlan.firstExtraDescriptor, kind: Self.networkNamespace), at: 0)
        }
        return LaunchPlan(namespaces: namespaces, operations: operations)
    }

    /// Mount, process, network, IPC, host name and control group; the user namespace is the run's.
    private static let namespaces: UInt32 =
        0x0002_0000 | 0x2000_0000 | 0x4000_0000 | 0x0800_0000 | 0x0400_0000 | 0x0200_0000

    /// RLIMIT_NPROC, RLIMIT_SIGPENDING and RLIMIT_MSGQUEUE, which Glibc's module does not show.
    private static let processLimit: Int32 = 6, pendingSignals: Int32 = 11, messageQueues: Int32 = 12

    private static let networkNamespace: UInt32 = 0x4000_0000

    /// How many pseudo-terminals a sandbox may have.
    private static let terminals = 256

    private func root(_ spec: SandboxSpec) -> [LaunchPlan.Operation] {
        let layers = stage.spec.environments[spec.environment].layers.indices.map {
            StagePath.layer(spec.environment, $0)
        }
        let lowers = ([StagePath.skeleton] + layers).joined(separator: ":")
        if spec.keepsRoot, let kept = stage.spec.persistentRoot {
            let directory = StagePath.persistentRoot
            var operations = [
                overlay(
                    "lowerdir=\(lowers),upperdir=\(directory)/\(kept.upper),workdir=\(directory)/\(kept.work),userxattr"
                )
            ]
            // What programs leave in these two is not part of the result.
            for (path, mode) in [("/tmp", "1777"), ("/run", "0755")] {
                operations.append(
                    .mount(
                        source: "private", target: StagePath.newRoot + path, type: "tmpfs", flags: Self.plainMount,
                        data: "mode=\(mode)" + (spec.policy.limits.scratch.map { Self.room($0) } ?? "")))
                for target in spec.mounts.map(\.target).sorted() where target.hasPrefix(path + "/") {
                    operations += directories(target, below: path)
                }
            }
            if spec.policy.network == .outbound || spec.policy.network == .filtered {
                let file = "/etc/resolv.conf"
                operations.append(
                    .mount(
                        source: StagePath.skeleton + file, target: StagePath.newRoot + file, type: nil,
                        flags: UInt64(MS_BIND), data: nil))
            }
            return operations
        }
        return [
            .makeDirectory("\(StagePath.scratch)/upper", mode: 0o755),
            .makeDirectory("\(StagePath.scratch)/work", mode: 0o755), overlay(throwAway(over: lowers, "")),
        ]
    }

    /// The place of changes that are thrown away: a tmpfs of limited size, or a directory of the disk.
    private func scratch(_ spec: SandboxSpec, _ number: Int) -> [LaunchPlan.Operation] {
        if stage.spec.scratch != nil {
            let own = StagePath.scratchDirectory(number)
            return [
                .makeDirectory(own, mode: 0o755),
                .mount(source: own, target: StagePath.scratch, type: nil, flags: UInt64(MS_BIND), data: nil),
            ]
        }
        var size = "mode=0755"
        if let limit = spec.policy.limits.scratch {
            size += Self.room(limit)
        }
        return [
            .mount(
                source: "scratch", target: StagePath.scratch, type: "tmpfs", flags: Self.plainMount, data: size)
        ]
    }

    /// Options of a tmpfs of limited size: a file for each page at most, so that empty files do not fill the memory.
    private static func room(_ limit: ByteCount) -> String {
        ",size=\(limit.bytes),nr_inodes=\(max(limit.bytes / 4096, 4096))"
    }

    /// Options of an overlay whose changes are thrown away, so that none of them needs to reach the disk.
    private func throwAway(over lowers: String, _ prefix: String) -> String {
        let directory = StagePath.scratch + "/" + prefix
        return "lowerdir=\(lowers),upperdir=\(directory)upper,workdir=\(directory)work,userxattr"
            + (stage.spec.scratch == nil ? "" : ",volatile")
    }

    /// Mount points below a directory that has just become empty.
    private func directories(_ target: String, below path: String) -> [LaunchPlan.Operation] {
        var parent = StagePath.newRoot + path
        return target.dropFirst(path.count).split(separator: "/").map { name in
            parent += "/\(name)"
            return .makeDirectory(parent, mode: 0o755)
        }
    }

    private func overlay(_ data: String) -> LaunchPlan.Operation {
        .mount(source: "root", target: StagePath.newRoot, type: "overlay", flags: Self.plainMount, data: data)
    }

    private func processes() -> [LaunchPlan.Operation] {
        let proc = StagePath.newRoot + "/proc"
        var operations: [LaunchPlan.Operation] = [
            .mount(
                source: "proc", target: proc, type: "proc", flags: UInt64(MS_NOSUID | MS_NODEV | MS_NOEXEC), data: nil)
        ]
        func cover(_ path: String, with source: String) {
            operations.append(
                .mount(source: source, target: "\(proc)/\(path)", type: nil, flags: UInt64(MS_BIND), data: nil))
        }
        // Before the files that are covered: some of them lie in these.
        for path in stage.facts.readOnlyPaths {
            cover(path, with: "\(proc)/\(path)")
            operations.append(.remount(target: "\(proc)/\(path)", flags: UInt64(MS_RDONLY)))
        }
        for file in stage.facts.maskedFiles { cover(file, with: "\(StagePath.devices)/null") }
        // What covers these is read-only where it comes from.
        for directory in stage.facts.maskedDirectories { cover(directory, with: StagePath.emptyDirectory) }
        for name in stage.view.processFiles.keys.sorted() { cover(name, with: "\(StagePath.view)/\(name)") }
        return operations
    }

    private func devices(_ spec: SandboxSpec) -> [LaunchPlan.Operation] {
        let dev = StagePath.newRoot + "/dev"
        // The host has some thousand for all together.
        var terminals = "newinstance,ptmxmode=0666,mode=0620,max=\(Self.terminals)"
        if identity.hasRange { terminals += ",gid=5" }
        var shared = "mode=1777"
        if let limit = spec.policy.limits.scratch { shared += Self.room(limit) }
        return [
            .mount(source: StagePath.devices, target: dev, type: nil, flags: UInt64(MS_BIND | MS_REC), data: nil),
            .mount(
                source: "devpts", target: "\(dev)/pts", type: "devpts", flags: UInt64(MS_NOSUID | MS_NOEXEC),
                data: terminals),
            .mount(
                source: "shm", target: "\(dev)/shm", type: "tmpfs",
                flags: UInt64(MS_NOSUID | MS_NODEV), data: shared),
        ]
    }

    private func deviceCompanions() -> [LaunchPlan.Operation] {
        (stage.spec.devices?.companions ?? []).enumerated().map { index, companion in
            .mount(
                source: StagePath.deviceCompanion(index), target: StagePath.newRoot + companion.target, type: nil,
                flags: UInt64(MS_BIND | MS_REC), data: nil)
        }
    }

    private func limits(_ limits: ResourceLimits) -> [LaunchPlan.Operation] {
        // Of 1 byte, so that not even a handler behind a pipe is started; see core(5), and `CallerSettings`.
        var operations: [LaunchPlan.Operation] = [.setLimit(resource: Int32(RLIMIT_CORE.rawValue), soft: 1, hard: 1)]
        // The kernel counts both for root, or the author, as well: one run may not use up what all have together.
        for (resource, most) in [(Self.pendingSignals, UInt64(4096)), (Self.messageQueues, 819_200)] {
            operations.append(.setLimit(resource: resource, soft: most, hard: most))
        }
        if let limit = limits.openFiles {
            let files = min(UInt64(limit), stage.facts.openFiles)
            operations.append(.setLimit(resource: Int32(RLIMIT_NOFILE.rawValue), soft: files, hard: files))
        }
        if limitsProcesses, let count = limits.pids {
            let most = UInt64(count)
            operations.append(.setLimit(resource: Self.processLimit, soft: most, hard: most))
        }
        if let time = limits.cpuTime {
            let seconds = UInt64(max(1, time.components.seconds))
            operations.append(.setLimit(resource: Int32(RLIMIT_CPU.rawValue), soft: seconds, hard: seconds + 5))
        }
        return operations
    }

    /// Variables that a sandbox has unless it is given its own of that name.
    private func defaults(_ spec: SandboxSpec) -> [String: String] {
        guard spec.policy.network == .filtered else { return stage.view.variables }
        return stage.view.variables.merging(EgressSockets.variables) { view, _ in view }
    }

    /// The variables of the command.
    private func variables(_ spec: SandboxSpec) -> [String: String] {
        var variables = spec.variables.merging(defaults(spec)) { own, _ in own }
        // After those of the environment, which may bring a newer library along.
        for (name, directory) in [
            ("LD_LIBRARY_PATH", stage.spec.devices?.libraryDirectory), ("PATH", stage.spec.devices?.programDirectory),
        ] {
            guard let directory else { continue }
            variables[name] = variables[name].map { $0.isEmpty ? directory : "\($0):\(directory)" } ?? directory
        }
        return variables
    }

    private func mount(_ mount: SandboxSpec.Mount, _ number: Int) -> [LaunchPlan.Operation] {
        let target = StagePath.newRoot + mount.target
        guard case .scratchOver(let index) = mount.source else {
            let flags = UInt64(MS_BIND | MS_REC)
            return [.mount(source: source(mount.source), target: target, type: nil, flags: flags, data: nil)]
        }
        let prefix = "over-\(number)-"
        let upper = "\(StagePath.scratch)/\(prefix)upper"
        var operations: [LaunchPlan.Operation] = [.makeDirectory(upper, mode: 0o755)]
        // The upper directory's owner is the owner that is seen.
        if identity.hasRange {
            operations.append(.changeOwner(upper, user: IdentityMap.user, group: IdentityMap.user))
        }
        return operations + [
            .makeDirectory("\(StagePath.scratch)/\(prefix)work", mode: 0o755),
            .mount(
                source: "scratch", target: target, type: "overlay", flags: Self.plainMount,
                data: throwAway(over: StagePath.bind(index), prefix)),
        ]
    }

    private func source(_ source: SandboxSpec.Source) -> String {
        switch source {
        case .project: StagePath.project
        case .bind(let index), .scratchOver(let index): StagePath.bind(index)
        case .writable(let name): "\(StagePath.writable)/\(name)"
        }
    }

    /// What init makes of the command.
    package func commandPlan(
        _ spec: SandboxSpec, filter: FilterCode, initFilter: FilterCode
    ) -> CommandPlan {
        let name = spec.arguments.first ?? ""
        var plan = CommandPlan(
            arguments: spec.arguments,
            candidates: CommandPlan.candidates(for: name, path: spec.variables["PATH"]),
            variables: variables(spec)
                .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            directory: spec.directory)
        let inside: UInt32 = spec.policy.identity == .namespaceRoot ? 0 : IdentityMap.user
        plan.user = inside
        plan.group = inside
        plan.changesIdentity = identity.hasRange
        plan.capabilities = spec.policy.capabilities
        plan.filter = filter.bytes
        plan.filterListens = filter.needsListener
        plan.initFilter = initFilter.bytes
        plan.terminal = spec.terminal
        plan.socketless = socketless(spec)
        plan.umask = spec.umask
        return plan
    }
}
