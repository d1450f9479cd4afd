package import Cgroups
package import Isolation
package import LinuxSystem
import PlainText
package import SandboxLaunch
import SeccompFilters
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The heart of a supervisor: a stage, a launcher, an event loop, and the sandboxes that run.
///
/// Made in a process that has come through `Confinement.enter`, and used by its single thread.
package final class SandboxSupervisor {
    package let loop = EventLoop()
    package let identity: IdentityMap
    package let stage: Stage
    /// The project of the run, once it has been laid; nil where the stage has none.
    private var project: ProjectOverlay?
    private let keeper: Int32
    private let planner: SandboxPlanner
    private let launcher: Launcher
    private let initProgram: CInt
    private let initFilter: FilterCode
    private let counters: () -> CgroupUsage?
    private let timings: LaunchTimings?
    private let enforcement: [LimitReport]
    private var launches = 0
    private var ahead: SandboxAhead?
    private var running: [Int: RunningSandbox] = [:]
    private let proxy: EgressProxy?
    private let projectEnforcement: Enforcement
    private var projectWatch: RoomWatchdog?
    private var scratchWatches: [Int: RoomWatchdog] = [:]
    private let network: SandboxPolicy.Network
    private var filters: CompiledFilters

    /// Builds the stage, starts the launcher, and takes on the supervisor's own id.
    ///
    /// `keeper` is the number that `Confinement.enter` gave. `groups` are those of the steps, `enforcement` tells what the
    /// groups hold, `project` what holds the room of the project, and `counters` reads the run's accounting. `network` is
    /// that of every sandbox; `filters` are those that have been compiled before.
    package init(
        _ spec: StageSpec, identity: IdentityMap, skeleton: Skeleton, view: ResourceView, privileged: PrivilegedMounts,
        initProgram: consuming OwnedFileDescriptor, keeper: Int32,
        groups: StepsEntry = .none, enforcement: [LimitReport] = [],
        project projectEnforcement: Enforcement = .watchdog,
        counters: @escaping () -> CgroupUsage? = { nil }, network: SandboxPolicy.Network,
        filters: CompiledFilters = CompiledFilters(), timings: LaunchTimings? = nil
    ) throws(LaunchError) {
        var filters = filters
        self.identity = identity
        self.timings = timings
        self.enforcement = enforcement
        self.projectEnforcement = projectEnforcement
        self.counters = counters
        self.network = network
        self.keeper = keeper
        self.initProgram = initProgram.release()
        launcher = try Launcher(
            lists: groups.lists, unifiedDirectory: groups.unifiedDirectory, unifiedList: groups.unifiedList,
            user: identity.hasRange ? IdentityMap.supervisor : nil, makesNetwork: network == .none)
        proxy = spec.hasProxy ? try EgressProxy(identity, groups: groups.allLists, loop: loop) : nil
        stage = try Stage.build(spec, identity: identity, skeleton: skeleton, view: view, privileged: privileged)
        timings?.mark("start the launcher, build the stage")
        planner = SandboxPlanner(stage: stage, identity: identity, enforcement: enforcement)
        initFilter = try filters.ofInit()
        self.filters = filters
        if identity.hasRange {
            try LaunchError.during("take on the supervisor's own user") { () throws(SyscallError) in
                try Credentials.become(user: IdentityMap.supervisor, group: IdentityMap.supervisor)
            }
        }
        try LaunchError.during("protect the supervisor") { () throws(SyscallError) in
            try Syscall.endWithParent(keeper)
            try Syscall.setNoNewPrivileges()
            try Syscall.setDumpable(false)
        }
    }

    /// What this host leaves open of what the policy of a sandbox closes.
    package func weaknesses(of spec: SandboxSpec) -> [String] { planner.weaknesses(spec) }

    /// Mounts the project at its place on the stage; to be called before the first launch.
    package func layProject() throws(LaunchError) {
        guard let spec = stage.spec.project else { return }
        project = try ProjectOverlay(spec, identity: identity, keeper: keeper)
    }

    /// Sets aside what has been written to the project, while no step runs; nil where the stage has no project.
    package func sealProject() throws(LaunchError) -> ProjectOverlay.Sealing? {
        // While it is being made, it has a copy of all mounts of the stage.
        ahead?.finish(launcher)
        return try project?.seal()
    }

    /// Has a sandbox made for whichever command is launched next, while something else goes on.
    ///
    /// The next launch has the same `streams`: where it asks for this sandbox it has it, and else that is ended. Tells
    /// whether there will be one.
    package func makeAhead(_ spec: SandboxSpec, streams: [CInt]) -> Bool {
        guard ahead == nil, spec.policy.network == network,
            // The launch itself is told what is wrong with the policy.
            let filter = try? filters.ofCommand(under: spec.policy.seccomp, isRecorded: spec.isRecorded).code
        else { return false }
        ahead = SandboxAhead(
            spec, planner.commandPlan(spec, filter: filter, initFilter: initFilter), number: launches, planner: planner,
            launcher: launcher, initProgram: initProgram, streams: streams, network: stage.network)
        launches += 1
        return ahead != nil
    }

    private func leaveAhead() {
        guard let unused = ahead.take() else { return }
        unused.end(launcher)
        removeScratch(unused.number)
    }

    /// Has no further sandbox started: who starts them goes while the last one runs.
    package func launchNoMore() { launcher.dismiss() }

    /// Ends what serves the supervisor, when its last sandbox has been reported.
    package func finish() {
        leaveAhead()
        launcher.end()
        proxy?.end()
    }

    /// The program of process 1, in a sealed memory file: read from the directory of the running program.
    package static func loadInitProgram() throws(LaunchError) -> OwnedFileDescriptor {
        try LaunchError.during("read the program `cloche-init`") { () throws(SyscallError) in
            let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
            let path = own.removingLastComponent().appending("cloche-init")
            let file = try Syscall.open(path, O_RDONLY | O_NOFOLLOW)
            return try Syscall.sealedMemory(name: "cloche-init", copying: file, executable: true)
        }
    }

    /// Starts a sandbox.
    ///
    /// `streams` are lent for the time of the call; `outputs` are watched until they end.
    package func launch(
        _ spec: SandboxSpec, streams: [CInt], outputs: [CInt],
        onOutput: @escaping (CInt, [UInt8]) -> Void, onConnection: @escaping (EgressRecord) -> Void = { _ in },
        onEnd: @escaping (SandboxReport) -> Void
    ) throws(LaunchError) -> RunningSandbox {
        guard spec.policy.network == network else {
            throw LaunchError(step: "connect the sandbox", reason: "its supervisor has prepared another network")
        }
        guard spec.policy.network != .outbound || stage.network != nil else {
            throw LaunchError(step: "connect the sandbox", reason: "its supervisor has prepared no network")
        }
        guard !spec.keepsRoot || stage.spec.persistentRoot != nil else {
            throw LaunchError(step: "keep the root of the sandbox", reason: "its stage has no place for it")
        }
        let (filter, refusals) = try filters.ofCommand(under: spec.policy.seccomp, isRecorded: spec.isRecorded)
        timings?.mark("compile filters")
        let command = planner.commandPlan(spec, filter: filter, initFilter: initFilter)
        let recording = spec.isRecorded ? UseRecorder(of: spec, loop: loop) : nil
        let number: Int
        let launched: LaunchedSandbox
        if let made = ahead, made.fits(spec), let sandbox = made.start(command, launcher) {
            ahead = nil
            number = made.number
            launched = sandbox
        } else {
            leaveAhead()
            number = launches
            launches += 1
            launched = try launch(spec, number, command, streams) { record in
                recording?.note(record)
                onConnection(record)
            }
        }
        let sandbox = RunningSandbox(
            launched, loop: loop, limits: spec.policy.limits, refusals: refusals, answered: filter.answered,
            memory: planner.stage.view.memory,
            records: spec.isRecorded,
            outputs: outputs, watch: SandboxWatchdog.Limits(spec.policy.limits, groups: enforcement),
            hasRootInMemory: stage.spec.scratch == nil && !spec.keepsRoot, counters: counters,
            onOutput: onOutput,
            onEnd: { report in
                self.running[number] = nil
                self.stopWatchingRoom(number)
                self.removeScratch(number)
                var report = report
                if case .notExecuted(let missing, let reason) = report.ending, let program = spec.arguments.first {
                    report.ending = .notExecuted(
                        missing: missing, reason: "`\(printable(program, limit: 200))`: \(reason)")
                }
                if self.isProjectFull { report.fullPlaces.append(StagePath.projectInside) }
                report.egress = self.proxy?.close(number)
                recording?.finish(&report)
                onEnd(report)
            })
        running[number] = sandbox
        if running.count > 1 { for sandbox in running.values { sandbox.sharesGroup = true } }
        watchRoom(of: spec, number)
        return sandbox
    }

    private func launch(
        _ spec: SandboxSpec, _ number: Int, _ command: CommandPlan, _ streams: [CInt],
        _ onConnection: @escaping (EgressRecord) -> Void
    ) throws(LaunchError) -> LaunchedSandbox {
        let network = try spec.policy.network == .filtered ? connect(spec, number, onConnection) : nil
        defer { if let network { _ = Glibc.close(network) } }
        do throws(LaunchError) {
            return try launcher.launch(
                planner.launchPlan(spec, number: number), command: command, initProgram: initProgram, streams: streams,
                extra: (network ?? stage.network).map { [$0] } ?? [])
        } catch {
            _ = proxy?.close(number)
            throw error
        }
    }

    /// Looks after what is written to the disk, as far as no file system limits it.
    private func watchRoom(of spec: SandboxSpec, _ number: Int) {
        let limits = spec.policy.limits
        if let limit = limits.project, projectEnforcement == .watchdog {
            let trees = spec.writtenTrees(stage.spec)
            if projectWatch == nil, !trees.isEmpty {
                projectWatch = RoomWatchdog(
                    limit, trees, loop: loop,
                    nameless: { measure in
                        for one in self.running.values { one.addNameless(to: &measure, where: spec.isProject) }
                    },
                    exceeded: { written in
                        for one in self.running.values { one.end(.projectLimit, written: written) }
                    })
            }
            projectWatch?.start()
        }
        if let limit = limits.scratch, stage.spec.scratch != nil {
            let watch = RoomWatchdog(
                limit, spec.thrownAwayTrees(number), loop: loop,
                nameless: { measure in self.running[number]?.addNameless(to: &measure, where: spec.isThrownAway) },
                exceeded: { self.running[number]?.end(.scratchLimit, written: $0) })
            scratchWatches[number] = watch
            watch.start()
        }
    }

    private func stopWatchingRoom(_ number: Int) {
        scratchWatches.removeValue(forKey: number)?.stop()
        if running.isEmpty { projectWatch?.stop() }
    }

    /// Whether a quota of the file system leaves no room in the project.
    private var isProjectFull: Bool {
        guard projectEnforcement == .quota, let place = try? Syscall.openLocation(FilePath(StagePath.project)),
            let room = try? Syscall.fileSystem(of: place.number)
        else { return false }
        // Less than what one directory takes.
        return room.freeBytes < 16384 || (room.files > 0 && room.freeFiles == 0)
    }

    /// Makes the network of a sandbox and hands its sockets to the proxy; gives a descriptor of the namespace.
    private func connect(
        _ spec: SandboxSpec, _ number: Int, _ onConnection: @escaping (EgressRecord) -> Void
    ) throws(LaunchError) -> CInt {
        guard let proxy, let rules = spec.policy.egress else {
            throw LaunchError(step: "connect the sandbox", reason: "its supervisor has prepared no proxy")
        }
        let network = try FilteredNetwork.make(for: rules)
        try proxy.open(number, rules, network.sockets, onConnection)
        return network.namespace
    }

    /// Removes what a sandbox changed, where that is not in memory; what stays is removed with the directory.
    private func removeScratch(_ number: Int) {
        guard stage.spec.scratch != nil,
            let parent = try? Syscall.open(FilePath(StagePath.scratchDirectory), O_RDONLY | O_DIRECTORY)
        else { return }
        try? TreeRemoval.remove(directory: parent.number, name: FilePath(String(number)))
    }
    static func compile(
        _ policy: SeccompPolicy, mode: FilterCompiler.Mode
    ) throws(LaunchError) -> FilterProgram {
        do throws(FilterCompilerError) {
            return try FilterCompiler(mode: mode).compile(policy)
        } catch {
            throw LaunchError(step: "compile the seccomp policy `\(policy.name)`", reason: "\(error)")
        }
    }
}

extension Skeleton {
    /// What every sandbox needs: mount points for `targets` (a path and whether it is a directory), and the files that
    /// name the sandbox itself.
    package static func standard(
        targets: [(path: String, directory: Bool)], hostName: String, network: SandboxPolicy.Network
    ) -> Skeleton {
        let resolver =
            switch network {
            case .none: ""
            case .outbound: OutboundNetwork.resolverFile
            case .filtered: FilteredNetwork.resolverFile
            case .host:
                // Without the file there are no names on the host either.
                String(
                    decoding: (try? Syscall.readFile("/etc/resolv.conf", limit: 65536)) ?? [], as: UTF8.self)
            }
        var skeleton = Skeleton(
            directories: ["/proc": 0o755, "/dev": 0o755, "/tmp": 0o1777, "/run": 0o755, "/run/lock": 0o1777],
            files: [
                "/etc/hosts": "127.0.0.1 localhost \(hostName)\n::1 localhost \(hostName)\n",
                "/etc/hostname": hostName + "\n",
                "/etc/resolv.conf": resolver,
            ])
        for target in targets {
            if target.directory { skeleton.directories[target.path] = 0o755 } else { skeleton.files[target.path] = "" }
        }
        return skeleton
    }
}
