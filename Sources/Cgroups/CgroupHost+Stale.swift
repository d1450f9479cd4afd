import Glibc
import LinuxSystem
import SystemPackage

extension CgroupHost {
    /// The runs that are not alive and had groups: those whose groups went, and those that have some left.
    package struct Stale: Sendable, Hashable {
        package var removed: Set<String> = [], left: Set<String> = []
        /// Why trees could not be looked through: runs that had groups there are in neither set.
        package var unseen: [CgroupObstacle] = []
    }

    /// Removes groups that runs left behind, as far as they hold no process.
    ///
    /// Only groups with names of ours directly below the group that this process was found in are looked at. `alive`
    /// is asked for the name of each run and must be true from before its groups are made. What cannot be removed stays
    /// for the next time.
    @discardableResult
    package func removeStale(
        fileSystem: CgroupFileSystem = .kernel, alive: (_ run: String) -> Bool
    ) -> Stale {
        var stale = Stale()
        // Also where no group can be made now: it may have been possible then.
        for hierarchy in hierarchies {
            let parent: CgroupDirectory
            let entries: [DirectoryEntry]
            do throws(SyscallError) {
                parent = try CgroupDirectory(opening: hierarchy.parent, fileSystem: fileSystem)
                entries = try Syscall.directoryEntries(parent.descriptor.number)
            } catch {
                // Without that group there is none below it.
                if error.errno != .noSuchFileOrDirectory {
                    stale.unseen.append(CgroupObstacle(error, generation: hierarchy.generation))
                }
                continue
            }
            for entry in entries where entry.type == DT_DIR {
                let name = String(decoding: entry.name, as: UTF8.self)
                if let run = CgroupName.run(ofGroup: name) {
                    guard !alive(run) else { continue }
                    if Self.removeEmpty(name, below: parent) {
                        stale.removed.insert(run)
                    } else {
                        stale.left.insert(run)
                    }
                }
            }
        }
        stale.removed.subtract(stale.left)
        return stale
    }

    /// Why groups that are left behind would not be found in some trees.
    package func unseen(fileSystem: CgroupFileSystem = .kernel) -> [CgroupObstacle] {
        removeStale(fileSystem: fileSystem, alive: { _ in true }).unseen
    }

    /// Removes groups of trials by processes that ended in the middle of them.
    static func removeTrials(below parent: CgroupDirectory) throws(SyscallError) {
        for entry in try Syscall.directoryEntries(parent.descriptor.number) where entry.type == DT_DIR {
            let name = String(decoding: entry.name, as: UTF8.self)
            guard let process = CgroupName.process(ofTrial: name), !Syscall.exists(FilePath("/proc/\(process)")) else {
                continue
            }
            // Another command may just be removing it.
            try? parent.removeChild(name)
        }
    }

    private static func removeEmpty(_ name: String, below parent: CgroupDirectory) -> Bool {
        do throws(SyscallError) {
            guard try parent.child(name).processes().isEmpty else { return false }
            try parent.removeChild(name)
            return true
        } catch {
            return false
        }
    }
}
