import Glibc
import LinuxSystem
import SystemPackage

extension RunCgroup {
    /// Kills all processes in the run's groups, however fast they multiply, and returns when none is left there.
    ///
    /// The caller is in none of them. Killed processes still have to be reaped by their parents. Fails when some are left
    /// after a few seconds, such as those that wait for a dead file server.
    package func kill() throws(CgroupError) {
        do throws(SyscallError) {
            for hierarchy in hierarchies where hierarchy.canKill {
                try Self.killAtOnce(hierarchy.group)
            }
            // Also where that worked: a process is in a tree of version 1 alone when its launcher died half-way.
            try CgroupSweep(hierarchies).run()
        } catch {
            throw CgroupError(
                "kill processes in control group", path, reason: "\(error)", errno: error.errno,
                hint: error.errno == .timedOut ? "look with `cat \(path)/cgroup.procs` at what is left" : nil)
        }
    }

    /// Kills all processes that are left in the groups, as `kill()`, and removes these.
    package func end() throws(CgroupError) {
        do throws(CgroupError) {
            // After a good end nobody is in them, which the kernel tells by letting them go.
            try remove(rounds: 1)
        } catch {
            try kill()
            try remove()
        }
    }

    /// Removes the groups; processes that are just ending are waited for, for a fraction of a second.
    ///
    /// Groups that are gone already are no error. Fails with EBUSY while processes are in them: `kill()` comes before.
    package func remove() throws(CgroupError) { try remove(rounds: 200) }

    private func remove(rounds: Int) throws(CgroupError) {
        for hierarchy in hierarchies {
            do throws(SyscallError) {
                try hierarchy.remove(rounds: rounds)
            } catch {
                throw CgroupError(
                    "remove control group", hierarchy.group.path.string, reason: "\(error)", errno: error.errno,
                    hint: error.errno == .resourceBusy ? "processes are still in it" : nil)
            }
        }
    }

    private var path: String { hierarchies.first?.group.path.string ?? "none" }

    private static func killAtOnce(_ group: CgroupDirectory) throws(SyscallError) {
        let events: CgroupFile
        do throws(SyscallError) {
            events = try group.file("cgroup.events", O_RDONLY)
            try group.write("cgroup.kill", "1")
        } catch let error where error.isOfMissingGroup {
            // Only an empty group can have been removed.
            return
        }
        for _ in 0..<50 {
            if CgroupMetric.Source("cgroup.events", "populated").value(in: try events.read()) == 0 { return }
            Waiting.change(of: events)
        }
        throw SyscallError("kill", group.path.string, errno: .timedOut)
    }
}
