import Glibc
import LinuxSystem
import SystemPackage

/// The groups of one run in one tree, held open.
///
/// Its end removes the groups that it made, as far as no process is in them.
final class RunHierarchy: Sendable {
    let generation: CgroupGeneration
    /// The controllers that the run's groups have in this tree.
    let controllers: Set<CgroupController>
    let canKill: Bool
    /// The run's group, and its leaves.
    let run: CgroupDirectory, steps: CgroupDirectory, supervisor: CgroupDirectory
    /// Where a process writes 0 to enter the leaf, or to go back to where the run's maker was.
    let stepsList: CgroupFile, supervisorList: CgroupFile, homeList: CgroupFile
    private let parent: CgroupDirectory
    private let name: String
    private let isMaker: Bool

    /// Whether the groups are made or are there already.
    enum Origin {
        case make
        case open
    }

    /// Makes or opens the groups of a run; when that fails, those made so far are removed.
    init(
        _ origin: Origin, _ name: String, in tree: CgroupHierarchy, fileSystem: CgroupFileSystem
    ) throws(SyscallError) {
        let parent = try CgroupDirectory(opening: tree.parent, fileSystem: fileSystem)
        let groups = Groups(parent: parent, name: name, isMaker: origin == .make)
        let run = try groups.enter(parent, name)
        // Leaves have a controller only if it is given to them before a process comes in.
        let limiting = tree.usable.intersection([.memory, .pids])
        if tree.generation == .v2, origin == .make, !limiting.isEmpty {
            let text = limiting.map { "+\($0.rawValue)" }.sorted().joined(separator: " ")
            try run.write("cgroup.subtree_control", text)
        }
        self.run = run
        steps = try groups.enter(run, CgroupName.steps)
        supervisor = try groups.enter(run, CgroupName.supervisor)
        stepsList = try steps.file("cgroup.procs", O_WRONLY)
        supervisorList = try supervisor.file("cgroup.procs", O_WRONLY)
        homeList = try CgroupDirectory(opening: tree.home, fileSystem: fileSystem).file("cgroup.procs", O_WRONLY)
        generation = tree.generation
        controllers = tree.usable
        canKill = tree.canKill
        self.parent = parent
        self.name = name
        isMaker = origin == .make
        groups.isComplete = true
    }

    deinit {
        // What still holds processes stays, and `CgroupHost.removeStale` finds it when they are gone.
        if isMaker { try? remove() }
    }

    /// Both leaves.
    var leaves: [CgroupDirectory] { [steps, supervisor] }

    /// Removes the groups; fails with EBUSY while a process is in one of them.
    func remove() throws(SyscallError) {
        try Self.remove(name, below: parent, run: run)
    }

    fileprivate static func remove(
        _ name: String, below parent: CgroupDirectory, run: CgroupDirectory
    ) throws(SyscallError) {
        try run.removeChild(CgroupName.steps)
        try run.removeChild(CgroupName.supervisor)
        try parent.removeChild(name)
    }
}

/// The groups that are being made; unless they become complete, its end removes them.
private final class Groups {
    private let parent: CgroupDirectory
    private let name: String
    private let isMaker: Bool
    private var run: CgroupDirectory?
    var isComplete = false

    init(parent: CgroupDirectory, name: String, isMaker: Bool) {
        self.parent = parent
        self.name = name
        self.isMaker = isMaker
    }

    deinit {
        guard isMaker, !isComplete, let run else { return }
        // The failure that led here is what is reported; nothing is in the groups that could keep them.
        try? RunHierarchy.remove(name, below: parent, run: run)
    }

    func enter(_ directory: CgroupDirectory, _ name: String) throws(SyscallError) -> CgroupDirectory {
        let group = isMaker ? try directory.makeChild(name) : try directory.child(name)
        if run == nil { run = group }
        return group
    }
}
