import Glibc
import LinuxSystem
import SystemPackage

extension CgroupHost {
    /// Removes groups that runs left behind, as far as they hold no process; returns the runs whose groups went.
    ///
    /// Only groups with names of ours directly below the group that this process was found in are looked at. `alive`
    /// is asked for the name of each run and must be true from before its groups are made. What cannot be removed stays
    /// for the next time.
    @discardableResult
    package func removeStale(
        fileSystem: CgroupFileSystem = .kernel, alive: (_ run: String) -> Bool
    ) -> Set<String> {
        var removed: Set<String> = []
        for hierarchy in hierarchies where !hierarchy.usable.isEmpty {
            guard let parent = try? CgroupDirectory(opening: hierarchy.parent, fileSystem: fileSystem),
                let entries = try? Syscall.directoryEntries(parent.descriptor.number)
            else { continue }
            for entry in entries where entry.type == DT_DIR {
                let name = String(decoding: entry.name, as: UTF8.self)
                if let run = CgroupName.run(ofGroup: name) {
                    if !alive(run), Self.removeEmpty(name, below: parent) { removed.insert(run) }
                } else if let process = CgroupName.process(ofTrial: name) {
                    if !Syscall.exists(FilePath("/proc/\(process)")) { _ = try? parent.removeChild(name) }
                }
            }
        }
        return removed
    }

    private static func removeEmpty(_ name: String, below parent: CgroupDirectory) -> Bool {
        do throws(SyscallError) {
            let run = try parent.child(name)
            // All are looked at before one is removed, so that a run with a supervisor alone keeps its steps' group.
            for leaf in [CgroupName.steps, CgroupName.supervisor] {
                do throws(SyscallError) {
                    guard try run.child(leaf).processes().isEmpty else { return false }
                } catch let error where error.errno == .noSuchFileOrDirectory {
                    continue
                }
            }
            try run.removeChild(CgroupName.steps)
            try run.removeChild(CgroupName.supervisor)
            try parent.removeChild(name)
            return true
        } catch {
            return false
        }
    }
}
