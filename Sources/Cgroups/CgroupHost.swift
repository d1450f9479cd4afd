package import Isolation
import LinuxSystem
import SystemPackage

/// What control groups this process may use: facts that were found by using them.
package struct CgroupHost: Sendable, Hashable {
    /// The trees of control groups; version 2 first.
    package let hierarchies: [CgroupHierarchy]
    /// Why nothing is known, where the kernel's tables could not be read.
    package let obstacle: CgroupObstacle?

    /// A host with these trees.
    init(hierarchies: [CgroupHierarchy], obstacle: CgroupObstacle? = nil) {
        self.hierarchies = hierarchies.sorted { $0.generation.rawValue > $1.generation.rawValue }
        self.obstacle = obstacle
    }

    /// The name of the leaf that this process goes into where its own group must not hold processes.
    ///
    /// A service manager may be told to start the service in it (`DelegateSubgroup=`): it is then recognised.
    package static let homeName = "cloche-host"

    /// The tree that gives groups of runs this controller, or nil where none does.
    package func hierarchy(for controller: CgroupController) -> CgroupHierarchy? {
        hierarchies.first { $0.usable.contains(controller) }
    }

    /// The tree of version 2, where groups can be made in it: with controllers or, on a hybrid host, without.
    package var unified: CgroupHierarchy? {
        hierarchies.first { $0.generation == .v2 && !$0.usable.isEmpty }
    }

    /// Why no group of a run can have this controller; nil where it can.
    package func obstacle(to controller: CgroupController) -> CgroupObstacle? {
        guard hierarchy(for: controller) == nil else { return nil }
        // Where a tree of version 1 has the controller, the one of version 2 cannot: the first is what to mend.
        let known = hierarchies.reversed().lazy.compactMap { $0.obstacles[controller] }.first
        return known ?? obstacle
            ?? CgroupObstacle(
                reason: "no mounted tree of control groups has the controller \(controller.rawValue)",
                remedy: "mount the control group file system of version 2 at /sys/fs/cgroup")
    }

    /// Finds out which control groups this process may use, by making a group in each tree and removing it.
    ///
    /// Where version 2 has controllers that are not yet given to child groups, they are enabled. If that needs the
    /// group that this process is in to be empty, and it alone is in it, it moves into a leaf named `cloche-host`.
    /// With `limits`, trees that a run with those limits needs no group in are left out.
    package static func probe(for limits: ResourceLimits? = nil) -> CgroupHost {
        do throws(SyscallError) {
            let tables = try tables()
            return probe(mountInfo: tables.mountInfo, membership: tables.membership, limits: limits)
        } catch {
            return CgroupHost(
                hierarchies: [], obstacle: CgroupObstacle(reason: "\(error)", remedy: "mount /proc"))
        }
    }

    /// The texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    static func tables() throws(SyscallError) -> (mountInfo: String, membership: String) {
        // Machines full of containers have mount tables of some hundred kilobytes.
        let mountInfo = try Syscall.readFile("/proc/self/mountinfo", limit: 16 << 20)
        let membership = try Syscall.readFile("/proc/self/cgroup", limit: 1 << 20)
        return (String(decoding: mountInfo, as: UTF8.self), String(decoding: membership, as: UTF8.self))
    }

    /// The same for the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    package static func probe(
        mountInfo: String, membership: String, limits: ResourceLimits? = nil, fileSystem: CgroupFileSystem = .kernel
    ) -> CgroupHost {
        let trees = CgroupMembership(mountInfo: mountInfo, membership: membership).trees
        let tried = trees.filter { $0.generation == .v2 }.map { CgroupTrial(of: $0, fileSystem: fileSystem).run() }
        let others = needed(trees, beside: tried, for: limits).map { CgroupTrial(of: $0, fileSystem: fileSystem).run() }
        return CgroupHost(hierarchies: tried + others)
    }

    /// The trees of version 1 that have what a run with these limits, or any run, does not get from `unified`.
    private static func needed(
        _ trees: [CgroupMembership.Tree], beside unified: [CgroupHierarchy], for limits: ResourceLimits?
    ) -> [CgroupMembership.Tree] {
        let needed =
            limits.map { CgroupHost(hierarchies: unified).controllers(for: $0) } ?? CgroupController.allCases
        return trees.filter { $0.generation == .v1 && !$0.controllers.isDisjoint(with: needed) }
    }

    /// What the texts of `/proc/self/mountinfo` and `/proc/self/cgroup` promise to a run with these limits, untried.
    ///
    /// A group that is made by it can still fail to be made, or to hold a limit.
    static func promised(
        mountInfo: String, membership: String, limits: ResourceLimits, fileSystem: CgroupFileSystem
    ) throws(SyscallError) -> CgroupHost {
        let trees = CgroupMembership(mountInfo: mountInfo, membership: membership).trees
        var unified: [CgroupHierarchy] = []
        for tree in trees where tree.generation == .v2 {
            guard let parent = tree.parent else { continue }
            let directory = try CgroupDirectory(opening: parent, fileSystem: fileSystem)
            let lacking = Set(CgroupEnabling.enable(in: directory).obstacles.keys)
            unified.append(
                CgroupHierarchy(
                    generation: .v2, parent: parent, usable: Set(CgroupController.allCases).subtracting(lacking),
                    obstacles: [:], canKill: true))
        }
        let others = needed(trees, beside: unified, for: limits).compactMap { tree in
            tree.parent.map {
                CgroupHierarchy(
                    generation: .v1, parent: $0, usable: tree.controllers, obstacles: [:], canKill: false)
            }
        }
        return CgroupHost(hierarchies: unified + others)
    }
}

extension CgroupMembership.Tree {
    /// The group below which groups of runs are made: the one that this process is in, or that it has left for a leaf.
    var parent: FilePath? {
        group.map { $0.lastComponent?.string == CgroupHost.homeName ? $0.removingLastComponent() : $0 }
    }
}
