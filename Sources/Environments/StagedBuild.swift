import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A build that is being made: a staging directory that is locked while its maker lives.
struct StagedBuild: ~Copyable {
    let directory: FilePath
    let paths: BuildPaths
    private let lock: OwnedFileDescriptor

    fileprivate init(directory: FilePath, lock: consuming OwnedFileDescriptor) {
        self.directory = directory
        paths = BuildPaths(staging: directory)
        self.lock = lock
    }

    var log: FilePath { directory.appending("build.log") }

    static let lockName = "lock"
}

extension EnvironmentStore {
    /// Makes a staging directory with its empty tree.
    func stage() throws(StoreError) -> StagedBuild {
        try system { () throws(SyscallError) in
            // While this lock is held, nobody takes a directory that is not locked yet for an abandoned one.
            let guardian = try lockFile("staging.lock")
            try Syscall.flock(guardian.number, LOCK_EX)
            let name = try Syscall.randomBytes(12).map { hexadecimal($0) }.joined()
            let path = directory.appending("staging").appending(name)
            try Syscall.makeDirectory(path, mode: 0o700)
            let lock = try Syscall.open(path.appending(StagedBuild.lockName), O_RDWR | O_CREAT, mode: 0o600)
            try Syscall.flock(lock.number, LOCK_EX)
            let staged = StagedBuild(directory: path, lock: lock)
            for folder in [staged.paths.tree, staged.paths.work, staged.paths.configuration, staged.paths.recipe] {
                try makeReadable(folder)
            }
            return staged
        }
    }

    /// Writes files below a directory of a staged build, readable for the namespace's ids.
    func write(_ files: [String: [UInt8]], below folder: FilePath, mode: UInt32) throws(StoreError) {
        try system { () throws(SyscallError) in
            for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
                let path = folder.pushing(FilePath(name))
                let parent = path.removingLastComponent()
                if !Syscall.exists(parent) { try makeReadable(parent) }
                let file = try Syscall.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
                try Syscall.writeAll(file.number, bytes)
                try Syscall.changeMode(of: file.number, mode)
            }
        }
    }

    /// Makes a staged build permanent under the record's id; it is held, so that nobody removes it before it is in force.
    @discardableResult
    func publish(_ staged: consuming StagedBuild, _ record: BuildRecord) throws(StoreError) -> OpenedFile {
        let bytes = try encode(record)
        let from = staged.directory
        let to = path(of: record.id)
        return try system { () throws(SyscallError) in
            let folder = try Syscall.open(from, O_RDONLY | O_DIRECTORY)
            // The record is about files that are on the disk.
            try Syscall.syncFileSystem(of: folder.number)
            try Syscall.replaceFile("build.json", at: folder.number, bytes, mode: 0o600)
            let held = OpenedFile(try Syscall.open("build.json", at: folder.number, O_RDONLY | O_NOFOLLOW))
            try Syscall.flock(held.number, LOCK_SH)
            try Syscall.unlink(FilePath(StagedBuild.lockName), at: folder.number)
            try Syscall.fsync(folder.number)
            try Syscall.rename(from, to: to, replacing: false)
            let builds = try Syscall.open(directory.appending("builds"), O_RDONLY | O_DIRECTORY)
            try Syscall.fsync(builds.number)
            return held
        }
    }

    /// Keeps a failed build's log, in place of an earlier one.
    func keepLog(of name: EnvironmentName, _ log: FilePath) throws(StoreError) -> FilePath {
        try system { () throws(SyscallError) in
            let folder = directory.appending("failed").appending(name.text)
            try Syscall.makeDirectories(folder, mode: 0o700)
            let kept = folder.appending("build.log")
            try Syscall.rename(log, to: kept)
            return kept
        }
    }

    /// Forgets an earlier failure.
    func clearFailure(of name: EnvironmentName) throws(StoreError) {
        try system { () throws(SyscallError) in
            if let log = failedLog(of: name) { try Syscall.unlink(log) }
        }
    }

    /// Staging directories whose makers are gone.
    package func abandoned() throws(StoreError) -> [FilePath] {
        let names = try list("staging")
        return try system { () throws(SyscallError) in
            let guardian = try lockFile("staging.lock")
            try Syscall.flock(guardian.number, LOCK_EX)
            var result: [FilePath] = []
            for name in names {
                let path = directory.appending("staging").appending(name)
                do throws(SyscallError) {
                    let lock = try Syscall.open(path.appending(StagedBuild.lockName), O_RDWR)
                    try Syscall.flock(lock.number, LOCK_EX | LOCK_NB)
                    result.append(path)
                } catch  where error.errno == .noSuchFileOrDirectory {
                    result.append(path)
                } catch  where error.errno == .wouldBlock {}
            }
            return result
        }
    }

    /// Takes the lock of a name; waits while another build of it runs, and gives up with nil when cancelled.
    func lock(
        _ name: EnvironmentName, isCancelled: () -> Bool, waiting: () -> Void
    ) throws(StoreError) -> OwnedFileDescriptor? {
        let file = try system { () throws(SyscallError) in try lockFile("build-\(name).lock") }
        var told = false
        while true {
            do throws(SyscallError) {
                try Syscall.flock(file.number, LOCK_EX | LOCK_NB)
                return file
            } catch  where error.errno == .wouldBlock {
                if isCancelled() { return nil }
                if !told { waiting() }
                told = true
                usleep(100_000)
            } catch {
                throw .system(error)
            }
        }
    }

    private func lockFile(_ name: String) throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(directory.appending("locks").appending(name), O_RDWR | O_CREAT, mode: 0o600)
    }

    private func makeReadable(_ folder: FilePath) throws(SyscallError) {
        try Syscall.makeDirectory(folder, mode: 0o755)
        let opened = try Syscall.open(folder, O_RDONLY | O_DIRECTORY)
        try Syscall.changeMode(of: opened.number, 0o755)
    }
}

func hexadecimal(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
}
