import Glibc
import LinuxSystem
import SystemPackage

/// Gives the controllers of a group of version 2 to its child groups.
struct CgroupEnabling {
    /// The controllers that could not be enabled, and why.
    private(set) var obstacles: [CgroupController: CgroupObstacle] = [:]

    /// The controllers that groups of runs are given.
    static let wanted: [CgroupController] = [.memory, .pids, .cpu]

    /// How to be started in a group that may be divided.
    static var delegationRemedy: String {
        let command = geteuid() == 0 ? "systemd-run --scope" : "systemd-run --user --scope"
        return "start it with `\(command) -p Delegate=yes`"
    }

    /// Enables what is not enabled yet.
    static func enable(in group: CgroupDirectory) -> CgroupEnabling {
        var enabling = CgroupEnabling()
        do throws(SyscallError) {
            let available = try controllers("cgroup.controllers", of: group)
            let enabled = try controllers("cgroup.subtree_control", of: group)
            for controller in wanted where !available.contains(controller) {
                enabling.obstacles[controller] = CgroupObstacle(
                    reason: "the controller \(controller.rawValue) is not delegated to `\(group.path)`",
                    remedy: "add `Delegate=cpu memory pids` to the unit that it runs in, such as `user@.service`")
            }
            let missing = wanted.filter { available.contains($0) && !enabled.contains($0) }
            guard !missing.isEmpty else { return enabling }
            guard try makeRoom(in: group) else {
                let obstacle = CgroupObstacle(
                    reason: "the control group `\(group.path)` holds other processes and cannot be divided",
                    remedy: delegationRemedy)
                for controller in missing { enabling.obstacles[controller] = obstacle }
                return enabling
            }
            for controller in missing { enabling.enable(controller, in: group) }
        } catch {
            for controller in wanted { enabling.obstacles[controller] = CgroupObstacle(error, generation: .v2) }
        }
        return enabling
    }

    private static func controllers(
        _ file: String, of group: CgroupDirectory
    ) throws(SyscallError) -> Set<CgroupController> {
        let words = try group.read(file).split(whereSeparator: \.isWhitespace)
        return Set(words.compactMap { CgroupController(rawValue: String($0)) })
    }

    private mutating func enable(_ controller: CgroupController, in group: CgroupDirectory) {
        do throws(SyscallError) {
            try group.write("cgroup.subtree_control", "+\(controller.rawValue)")
        } catch {
            obstacles[controller] = CgroupObstacle(error, generation: .v2)
        }
    }

    /// Sees to it that the group itself holds no process; false when others are in it, and then nothing is changed.
    ///
    /// With processes in it, the group would refuse memory, and take processes and processors in a way that makes its
    /// child groups useless, so nothing is tried. Only the root of all may have both; it alone has no `cgroup.type`.
    private static func makeRoom(in group: CgroupDirectory) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            _ = try group.file("cgroup.type", O_RDONLY)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return true
        }
        let processes = try group.processes()
        guard !processes.isEmpty else { return true }
        guard processes == [getpid()] else { return false }
        do throws(SyscallError) {
            try group.makeChild(CgroupHost.homeName).write("cgroup.procs", "0")
        } catch let error where error.errno == .fileExists {
            try group.child(CgroupHost.homeName).write("cgroup.procs", "0")
        }
        return true
    }
}
