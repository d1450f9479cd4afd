import Glibc
import LinuxSystem
import SystemPackage

/// The group of one run in one tree, held open.
///
/// Its end removes the group if it made it, as far as no process is in it.
final class RunHierarchy: Sendable {
    let generation: CgroupGeneration
    /// The controllers that the group has in this tree.
    let controllers: Set<CgroupController>
    let canKill: Bool
    let group: CgroupDirectory
    /// Where a process writes 0 to enter the group.
    let entry: CgroupFile
    private let parent: CgroupDirectory
    private let name: String
    private let isMaker: Bool

    /// Whether the group is made or is there already.
    enum Origin {
        case make
        case open
    }

    /// Makes or opens the group of a run; when that fails, one that was made is removed.
    init(
        _ origin: Origin, _ name: String, in tree: CgroupHierarchy, fileSystem: CgroupFileSystem
    ) throws(SyscallError) {
        let parent = try CgroupDirectory(opening: tree.parent, fileSystem: fileSystem)
        group = origin == .make ? try parent.makeChild(name) : try parent.child(name)
        do throws(SyscallError) {
            // Where somebody gave controllers to child groups of a group with processes, those can hold none.
            if origin == .make, tree.generation == .v2, try group.read("cgroup.type").hasPrefix("domain invalid") {
                throw SyscallError("enter", group.path.string, errno: .notSupportedOnSocket)
            }
            if origin == .make, tree.canKill { _ = try group.file("cgroup.kill", O_WRONLY) }
            entry = try group.file(tree.generation.entryFile, O_WRONLY)
        } catch {
            // The failure that led here is what is reported.
            if origin == .make { try? Self.remove(name, below: parent, rounds: 5) }
            throw error
        }
        generation = tree.generation
        controllers = tree.usable
        canKill = tree.canKill
        self.parent = parent
        self.name = name
        isMaker = origin == .make
    }

    deinit {
        // What still holds processes stays, and `CgroupHost.removeStale` finds it when they are gone.
        if isMaker { try? remove(rounds: 5) }
    }

    /// Removes the group; fails with EBUSY while a process is in it.
    ///
    /// One that has just been used may be busy for a moment: it is tried `rounds` times, with pauses.
    func remove(rounds: Int) throws(SyscallError) { try Self.remove(name, below: parent, rounds: rounds) }

    private static func remove(
        _ name: String, below parent: CgroupDirectory, rounds: Int
    ) throws(SyscallError) {
        var round = 1
        while true {
            do throws(SyscallError) {
                return try parent.removeChild(name)
            } catch let error where error.errno == .resourceBusy && round < rounds {
                round += 1
                Waiting.pause()
            }
        }
    }
}

extension CgroupGeneration {
    /// The file to which a process with a single thread writes 0 to enter a group.
    ///
    /// That of a whole process waits in version 1 until all processors have passed a quiet state, which takes
    /// milliseconds; a thread that moves itself waits for nothing. Version 2 knows no threads of their own in a group
    /// with limits: there CLONE_INTO_CGROUP saves the wait.
    var entryFile: String { self == .v1 ? "tasks" : "cgroup.procs" }
}
