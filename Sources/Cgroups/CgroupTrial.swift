import Glibc
import LinuxSystem
import SystemPackage

/// Finds out what can be done in one tree of control groups, by doing it.
struct CgroupTrial {
    private let tree: CgroupMembership.Tree
    private let fileSystem: CgroupFileSystem

    init(of tree: CgroupMembership.Tree, fileSystem: CgroupFileSystem) {
        self.tree = tree
        self.fileSystem = fileSystem
    }

    /// What one group showed.
    private struct Findings {
        var usable: Set<CgroupController> = []
        var obstacles: [CgroupController: CgroupObstacle] = [:]
        var canKill = false
    }

    /// Makes a group, uses each of its controllers, and removes it.
    func run() -> CgroupHierarchy {
        guard let parent = tree.parent else {
            let remedy = "mount the control group file system inside the control group namespace of this process"
            let reason = "the control group of this process lies outside of the mounted tree"
            return failed(at: "/", CgroupObstacle(reason: reason, remedy: remedy))
        }
        do throws(SyscallError) {
            let directory = try CgroupDirectory(opening: parent, fileSystem: fileSystem)
            // Who may not move processes out of the common ancestor may not move them into a group below it either.
            _ = try directory.file("cgroup.procs", O_WRONLY)
            let enabling = tree.generation == .v2 ? CgroupEnabling.enable(in: directory) : CgroupEnabling()
            try CgroupHost.removeTrials(below: directory)
            let name = CgroupName.trial()
            let child = try directory.makeChild(name)
            let findings = attempt(in: child)
            try Self.remove(name, below: directory)
            return CgroupHierarchy(
                generation: tree.generation, parent: parent, usable: findings.usable,
                obstacles: findings.obstacles.merging(enabling.obstacles) { _, cause in cause }
                    .filter { !findings.usable.contains($0.key) },
                canKill: findings.canKill)
        } catch {
            return failed(at: parent, CgroupObstacle(error, generation: tree.generation))
        }
    }

    /// A group that has just been used may be busy for a moment.
    private static func remove(_ name: String, below directory: CgroupDirectory) throws(SyscallError) {
        do throws(SyscallError) {
            try directory.removeChild(name)
        } catch {
            Waiting.pause()
            try directory.removeChild(name)
        }
    }

    private func failed(at parent: FilePath, _ obstacle: CgroupObstacle) -> CgroupHierarchy {
        let controllers = tree.generation == .v2 ? Set(CgroupController.allCases) : tree.controllers
        return CgroupHierarchy(
            generation: tree.generation, parent: parent, usable: [],
            obstacles: Dictionary(uniqueKeysWithValues: controllers.map { ($0, obstacle) }), canKill: false)
    }

    /// Writes to each controller what holds anyway, so that nothing changes but the knowledge.
    private func attempt(in group: CgroupDirectory) -> Findings {
        var findings = Findings()
        // Where somebody gave controllers to child groups of a group with processes, those can hold none.
        if let type = try? group.read("cgroup.type"), type.hasPrefix("domain invalid") {
            let obstacle = CgroupObstacle(
                reason: "groups below `\(group.path.removingLastComponent())` cannot hold processes",
                remedy: CgroupEnabling.delegationRemedy)
            findings.obstacles = Dictionary(uniqueKeysWithValues: CgroupController.allCases.map { ($0, obstacle) })
            return findings
        }
        let controllers = tree.generation == .v2 ? Set(CgroupController.allCases) : tree.controllers
        for controller in controllers {
            do throws(SyscallError) {
                switch (tree.generation, controller) {
                case (.v1, .memory): try group.write("memory.limit_in_bytes", "-1")
                case (.v2, .memory): try group.write("memory.max", "max")
                case (_, .pids): try group.write("pids.max", "max")
                case (.v1, .cpu): try group.write("cpu.cfs_quota_us", "-1")
                case (.v2, .cpu): try group.write("cpu.max", "max")
                case (.v1, .cpuacct): _ = try group.read("cpuacct.usage_user")
                case (.v2, .cpuacct): _ = try group.read("cpu.stat")
                case (.v1, .freezer): try group.write("freezer.state", "THAWED")
                case (.v2, .freezer): try group.write("cgroup.freeze", "0")
                case (_, .cpuset): _ = try group.file("cpuset.cpus", O_WRONLY)
                }
                findings.usable.insert(controller)
            } catch {
                findings.obstacles[controller] = CgroupObstacle(error, generation: tree.generation)
            }
        }
        findings.canKill = tree.generation == .v2 && (try? group.file("cgroup.kill", O_WRONLY)) != nil
        return findings
    }
}
