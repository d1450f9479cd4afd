package import Isolation
import LinuxSystem
import SystemPackage

/// The control groups of one run: its limits, its accounting, and the one grip by which all its steps are ended.
///
/// A run has a group `cloche-<run>` in each tree that is needed, with its limits; its supervisor stays outside, so that no
/// limit ends the one who tells of it. Everything is held open, so that a process that gives up its privileges keeps its
/// grip; only `remove()` needs the privileges of who made the groups.
///
/// The end of a value removes the groups that it made, unless a process is in them; it ends no process.
package struct RunCgroup: ~Copyable, Sendable {
    /// How the limits on memory, processes and processors are enforced; one entry for each that was set.
    package let enforcement: [LimitReport]

    let hierarchies: [RunHierarchy]
    let counters: CgroupCounters

    private init(_ hierarchies: [RunHierarchy], enforcement: [LimitReport]) {
        self.hierarchies = hierarchies
        self.enforcement = enforcement
        counters = CgroupCounters(of: hierarchies)
    }

    /// No control group at all: nothing is limited or counted, and `enforcement` says why.
    package static func none(_ host: CgroupHost, limits: ResourceLimits) -> RunCgroup {
        RunCgroup([], enforcement: CgroupLimit.apply(limits, to: [], host: host))
    }

    /// Makes the groups of a run and sets their limits, before any process is in them.
    ///
    /// `run` is the run's lower-case UUID, possibly with a hyphen and a suffix of letters, digits and hyphens. A limit
    /// that cannot be set is no error: `enforcement` tells. Where the host has no usable tree, the result is `none`.
    /// When a group cannot be made, those made before are removed.
    package static func create(
        _ host: CgroupHost, run: String, limits: ResourceLimits, fileSystem: CgroupFileSystem = .kernel
    ) throws(CgroupError) -> RunCgroup {
        let trees = host.trees(for: limits)
        let hierarchies = try hierarchies(.make, of: run, in: trees, fileSystem: fileSystem)
        return RunCgroup(hierarchies, enforcement: CgroupLimit.apply(limits, to: hierarchies, host: host))
    }

    /// Makes the groups of a run, and finds out what the host has only where that does not hold every limit at once.
    package static func create(run: String, limits: ResourceLimits) throws(CgroupError) -> RunCgroup {
        // What goes wrong here goes wrong again in the probe, which tells why.
        if let tables = try? CgroupHost.tables(),
            let group = promised(
                run, limits, mountInfo: tables.mountInfo, membership: tables.membership, fileSystem: .kernel)
        {
            return group
        }
        return try create(.probe(for: limits), run: run, limits: limits)
    }

    /// The groups as the host's tables promise them; nil, and nothing is left, where something does not hold.
    static func promised(
        _ run: String, _ limits: ResourceLimits, mountInfo: String, membership: String, fileSystem: CgroupFileSystem
    ) -> RunCgroup? {
        // The caller probes the host then, and reports what is in the way.
        guard
            let host = try? CgroupHost.promised(
                mountInfo: mountInfo, membership: membership, limits: limits, fileSystem: fileSystem),
            let group = try? create(host, run: run, limits: limits, fileSystem: fileSystem), group.exists,
            group.enforcement.allSatisfy({ $0.enforcement == .cgroup })
        else { return nil }
        return group
    }

    /// Opens the groups of a run that another process made, to end what is left in them and to remove them.
    ///
    /// Trees that have no group of the run are left out. The end of the value removes nothing.
    package static func open(
        _ host: CgroupHost, run: String, fileSystem: CgroupFileSystem = .kernel
    ) throws(CgroupError) -> RunCgroup {
        RunCgroup(
            try hierarchies(.open, of: run, in: host.hierarchies.filter { !$0.usable.isEmpty }, fileSystem: fileSystem),
            enforcement: [])
    }

    private static func hierarchies(
        _ origin: RunHierarchy.Origin, of run: String, in trees: [CgroupHierarchy], fileSystem: CgroupFileSystem
    ) throws(CgroupError) -> [RunHierarchy] {
        guard let name = CgroupName.group(ofRun: run) else {
            throw CgroupError("name control group of", String(run.prefix(80)), reason: "the run's name is no UUID")
        }
        var hierarchies: [RunHierarchy] = []
        for tree in trees {
            do throws(SyscallError) {
                hierarchies.append(try RunHierarchy(origin, name, in: tree, fileSystem: fileSystem))
            } catch let error where origin == .open && error.errno == .noSuchFileOrDirectory {
                continue
            } catch {
                throw CgroupError(
                    "set up control group", tree.parent.appending(name).string, reason: "\(error)", errno: error.errno,
                    hint: error.errno == .fileExists
                        ? "the run has control groups already: it is running, or ended without removing them"
                        : CgroupObstacle(error, generation: tree.generation).remedy)
            }
        }
        return hierarchies
    }

    /// Whether the run has any control group.
    package var exists: Bool { !hierarchies.isEmpty }
}

extension CgroupHost {
    /// The trees in which a run with these limits gets groups: no more, since each costs time.
    func trees(for limits: ResourceLimits) -> [CgroupHierarchy] {
        let used = Set(controllers(for: limits).compactMap { hierarchy(for: $0) } + (unified.map { [$0] } ?? []))
        return hierarchies.filter(used.contains)
    }

    /// What a run with these limits needs of the trees of version 1, where the one of version 2 does not give it.
    func controllers(for limits: ResourceLimits) -> [CgroupController] {
        var needed: [CgroupController] = [.memory, .cpuacct]
        if limits.pids != nil { needed.append(.pids) }
        if limits.cpus != nil { needed.append(.cpu) }
        if unified?.canKill != true { needed.append(.freezer) }
        return needed
    }
}
