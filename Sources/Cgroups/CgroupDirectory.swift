import Glibc
import LinuxSystem
import SystemPackage

/// A control group, held open: whatever becomes of its path, this is the same group.
final class CgroupDirectory: Sendable {
    /// The descriptor for CLONE_INTO_CGROUP and for calls relative to the group.
    let descriptor: OwnedFileDescriptor
    /// Where the group was when it was opened: for messages only.
    let path: FilePath
    let fileSystem: CgroupFileSystem

    init(opening path: FilePath, fileSystem: CgroupFileSystem) throws(SyscallError) {
        descriptor = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        self.path = path
        self.fileSystem = fileSystem
    }

    private init(opening name: FilePath, in parent: CgroupDirectory) throws(SyscallError) {
        path = parent.path.appending(name.components)
        fileSystem = parent.fileSystem
        descriptor = try SyscallError.naming(path) { () throws(SyscallError) in
            try Syscall.open(
                name, at: parent.descriptor.number, O_RDONLY | O_DIRECTORY, resolve: [.beneath, .noSymlinks])
        }
    }

    /// Opens a group directly below this one.
    func child(_ name: String) throws(SyscallError) -> CgroupDirectory {
        try CgroupDirectory(opening: FilePath(name), in: self)
    }

    /// Makes a group directly below this one.
    func makeChild(_ name: String) throws(SyscallError) -> CgroupDirectory {
        try SyscallError.naming(path.appending(name)) { () throws(SyscallError) in
            try fileSystem.makeDirectory(FilePath(name), descriptor.number).get()
        }
        do throws(SyscallError) {
            return try child(name)
        } catch {
            try removeChild(name)
            throw error
        }
    }

    /// Removes a group directly below this one; it is no error when there is none.
    func removeChild(_ name: String) throws(SyscallError) {
        do throws(SyscallError) {
            try fileSystem.removeDirectory(FilePath(name), descriptor.number).get()
        } catch let error where error.isOfMissingGroup {
            // It went with a parent that somebody else removed.
        } catch {
            throw SyscallError("rmdir", path.appending(name).string, errno: error.errno)
        }
    }

    /// Opens one of the group's files.
    func file(_ name: String, _ flags: CInt) throws(SyscallError) -> CgroupFile {
        let path = path.appending(name)
        let file = try SyscallError.naming(path) { () throws(SyscallError) in
            try Syscall.open(
                FilePath(name), at: descriptor.number, flags | O_NONBLOCK, resolve: [.beneath, .noSymlinks])
        }
        return CgroupFile(adopting: file, path: path)
    }

    /// Reads one of the group's files.
    func read(_ name: String) throws(SyscallError) -> String {
        try file(name, O_RDONLY).read()
    }

    /// Writes one of the group's files.
    func write(_ name: String, _ text: String) throws(SyscallError) {
        try file(name, O_WRONLY | O_TRUNC).write(text)
    }

    /// The processes in the group itself, a bounded number of them; 0 stands for one that this process cannot see.
    func processes() throws(SyscallError) -> [Int32] {
        // Opened anew each time: version 1 gives a descriptor that is read twice the same list for a second.
        try read("cgroup.procs").split(whereSeparator: \.isNewline).compactMap { Int32($0) }
    }
}
