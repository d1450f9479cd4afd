import LinuxSystem
import SystemPackage

/// What a file was like when something was worked out from it: as long as it is like that, the same would come of it.
///
/// A file has changed unless all that the kernel tells of it is the same, the time of its last change of any kind
/// included (inode(7)), which no program can set.
package struct FileWitness: Sendable, Hashable {
    /// What was there.
    enum Finding: Sendable, Hashable {
        case nothing
        /// A file: its identity, who may change it, and when it was changed.
        case file(Place, size: Int64, modified: FileTime, changed: FileTime)
        /// A directory, whatever is in it.
        case directory(Place)
    }

    /// Which file, and who may change it.
    struct Place: Sendable, Hashable {
        var device: UInt64, inode: UInt64
        var mode: UInt32, user: UInt32, group: UInt32
    }

    let path: String
    let finding: Finding

    init(path: String, finding: Finding) {
        self.path = path
        self.finding = finding
    }

    /// Looks at what is at a path now; nil for what is neither a file nor a directory, or cannot be looked at.
    ///
    /// `changed` is when it last changed; nil where there is nothing.
    static func look(at path: String) -> (witness: FileWitness, changed: FileTime?)? {
        do throws(SyscallError) {
            let status = try Syscall.lstat(FilePath(path))
            guard let finding = Finding(status) else { return nil }
            return (FileWitness(path: path, finding: finding), status.changed)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { return nil }
            return (FileWitness(path: path, finding: .nothing), nil)
        }
    }

    /// Whether it is as it was.
    var holds: Bool { Self.look(at: path)?.witness == self }
}

extension FileWitness.Finding {
    init?(_ status: FileStatus) {
        let place = FileWitness.Place(
            device: status.device, inode: status.inode, mode: status.mode, user: status.user, group: status.group)
        if status.isRegular {
            self = .file(place, size: status.size, modified: status.modified, changed: status.changed)
        } else if status.isDirectory {
            self = .directory(place)
        } else {
            return nil
        }
    }
}
