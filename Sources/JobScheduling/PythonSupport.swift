import LinuxSystem
import Runs
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The Python module and the notebook runner, as every sandbox sees them.
///
/// They come beside the program. Each store gets a copy of its own, since the program's directory may be unreadable for
/// the ids of sandboxes; the copy is named by a digest of what it holds and never changes.
package enum PythonSupport {
    /// Where they came with the program; an error where its installation lacks them.
    package static func source() throws -> FilePath {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        return try source(beside: own)
    }

    static func source(beside program: FilePath) throws(StoreError) -> FilePath {
        let source = program.removingLastComponent().appending("cloche_Runs.resources").appending("python")
        if Syscall.exists(source) { return source }
        throw StoreError(
            message: "Cloche's installation is incomplete: `\(source)` is missing",
            hint: "install it again, with all that lies beside the program")
    }

    /// The directory with the copy for this program.
    static func install(in store: Store) throws -> FilePath {
        let source = try source()
        var files: [(path: String, bytes: [UInt8])] = []
        try collect(source, "", into: &files)
        let content = files.sorted { $0.path < $1.path }.flatMap { file in
            Array("\(file.path)\0\(file.bytes.count)\0".utf8) + file.bytes
        }
        let digest = Digest.hexadecimal(content)
        let parent = store.path.appending("support")
        let target = parent.appending("python-" + digest.prefix(16))
        if Syscall.exists(target) {
            // One that was made under a closed umask.
            if try Syscall.lstat(target).permissions & 0o005 != 0o005 { try open(target, files.map(\.path)) }
            return target
        }
        try Syscall.makeDirectories(parent, mode: 0o755)
        let staging = parent.appending("staging-\(getpid())")
        for file in files {
            let path = staging.appending(file.path)
            try Syscall.makeDirectories(path.removingLastComponent(), mode: 0o755)
            try Syscall.writeFile(path, file.bytes, mode: 0o644)
        }
        try open(staging, files.map(\.path))
        // Its name says what it holds, so it gets the name when that is on the disk.
        let place = try Syscall.open(parent, O_RDONLY | O_DIRECTORY)
        try Syscall.syncFileSystem(of: place.number)
        // Another process may have been faster; its copy is the same.
        if (try? Syscall.rename(staging, to: target, replacing: false)) == nil {
            try removeStaging(in: parent)
            guard Syscall.exists(target) else { throw SyscallError("rename", target.string, errno: .ioError) }
        }
        return target
    }

    /// Lets every user read files below a directory, whatever the umask was under which they were made.
    private static func open(_ directory: FilePath, _ files: [String]) throws(SyscallError) {
        for file in files {
            var path = directory.appending(file)
            try setMode(0o644, of: path)
            repeat {
                path.removeLastComponent()
                try setMode(0o755, of: path)
            } while path != directory
        }
    }

    private static func setMode(_ mode: UInt32, of path: FilePath) throws(SyscallError) {
        let opened = try Syscall.open(path, O_RDONLY | O_NOFOLLOW)
        try Syscall.changeMode(of: opened.number, mode)
    }

    private static func removeStaging(in parent: FilePath) throws(SyscallError) {
        let opened = try Syscall.open(parent, O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: opened.number, name: FilePath("staging-\(getpid())"))
    }

    private static func collect(
        _ directory: FilePath, _ prefix: String, into files: inout [(path: String, bytes: [UInt8])]
    ) throws(SyscallError) {
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        for entry in try Syscall.directoryEntries(opened.number) {
            let name = String(decoding: entry.name, as: UTF8.self)
            let status = try Syscall.lstat(FilePath(name), at: opened.number)
            if status.isDirectory, name != "__pycache__" {
                try collect(directory.appending(name), prefix + name + "/", into: &files)
            } else if status.isRegular, name.hasSuffix(".py") {
                files.append((prefix + name, try Syscall.readFile(FilePath(name), at: opened.number, limit: 1 << 20)))
            }
        }
    }
}
