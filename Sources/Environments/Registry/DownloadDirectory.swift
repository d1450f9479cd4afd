import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The directory of an image that is being pulled: an OCI layout that grows, in `downloads/<digest of its manifest>`.
///
/// It outlives a pull that was cut off, so that the next one goes on; whoever holds its lock may write. What lies in it
/// is verified when it is unpacked, whoever wrote it.
final class DownloadDirectory {
    static let lockName = "lock"
    private static let parts = "parts", blobs = "blobs/sha256"

    /// The open directory, the root of the layout.
    let root: OpenedFile
    private let store: EnvironmentStore
    private let name: String
    private let lock: OpenedFile

    fileprivate init(_ store: EnvironmentStore, _ name: String, root: OpenedFile, lock: OpenedFile) {
        self.store = store
        self.name = name
        self.root = root
        self.lock = lock
    }

    /// Writes a document under its digest, or under a name of the layout's own.
    func write(_ name: String, _ bytes: [UInt8]) throws(SyscallError) {
        try Syscall.replaceFile(FilePath(name), at: root.number, bytes, mode: 0o600)
    }

    /// Whether a whole blob of that size is here.
    func has(_ digest: ImageDigest, size: Int64) -> Bool {
        guard let status = try? Syscall.lstat(FilePath(digest.path), at: root.number) else { return false }
        return status.isRegular && status.size == size
    }

    /// The file in which a blob grows.
    func part(_ digest: ImageDigest) throws(SyscallError) -> OpenedFile {
        let path = FilePath(Self.parts).appending(digest.hexadecimal)
        return OpenedFile(
            try Syscall.open(path, at: root.number, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, resolve: .beneath))
    }

    /// The blob in that file is whole.
    func finish(_ digest: ImageDigest) throws(SyscallError) {
        try Syscall.rename(
            store.downloads.appending(name).appending(Self.parts).appending(digest.hexadecimal),
            to: store.downloads.appending(name).pushing(FilePath(digest.path)))
    }

    /// Removes all of it.
    func remove() throws(SyscallError) {
        let parent = try Syscall.open(store.downloads, O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: parent.number, name: FilePath(name))
    }

    fileprivate static func prepare(_ root: CInt, _ path: FilePath) throws(SyscallError) {
        for name in [parts, blobs] { try Syscall.makeDirectories(path.pushing(FilePath(name)), mode: 0o700) }
    }
}

extension EnvironmentStore {
    /// Where images are that are being pulled.
    var downloads: FilePath { directory.appending("downloads") }

    /// Opens the download of a manifest's digest; waits while somebody else holds it, and gives up with nil when cancelled.
    func download(
        _ digest: ImageDigest, isCancelled: () -> Bool, waiting: () -> Void
    ) throws(StoreError) -> DownloadDirectory? {
        var isTold = false
        while true {
            if let directory = try open(download: digest.hexadecimal, isNew: true) { return directory }
            if isCancelled() { return nil }
            if !isTold { waiting() }
            isTold = true
            usleep(100_000)
        }
    }

    /// Removes downloads that nobody holds and that nobody has gone on with for a while; gives their number, and with
    /// `dryRun` no more than that.
    package func removeDownloads(olderThan seconds: Int64, dryRun: Bool = false) throws(StoreError) -> Int {
        guard Syscall.exists(downloads) else { return 0 }
        var count = 0
        for name in try list("downloads") {
            let age = try system { () throws(SyscallError) in
                Int64(Syscall.wallClockSeconds())
                    - (try Syscall.lstat(downloads.appending(name).appending("parts")).modified.seconds)
            }
            guard age >= seconds, let directory = try open(download: name, isNew: false) else { continue }
            if !dryRun { try system { () throws(SyscallError) in try directory.remove() } }
            count += 1
        }
        return count
    }

    /// Takes the lock of a download; nil while somebody else has it, or where it is just being removed.
    private func open(download name: String, isNew: Bool) throws(StoreError) -> DownloadDirectory? {
        try system { () throws(SyscallError) in
            let path = downloads.appending(name)
            do throws(SyscallError) {
                if isNew { try Syscall.makeDirectories(path, mode: 0o700) }
                let root = OpenedFile(try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
                let lock = OpenedFile(
                    try Syscall.open(
                        FilePath(DownloadDirectory.lockName), at: root.number, O_RDWR | O_CREAT | O_NOFOLLOW,
                        mode: 0o600))
                try Syscall.flock(lock.number, LOCK_EX | LOCK_NB)
                // Whoever had it may have removed it meanwhile.
                guard try Syscall.fstat(lock.number).links > 0 else { return nil }
                if isNew { try DownloadDirectory.prepare(root.number, path) }
                return DownloadDirectory(self, name, root: root, lock: lock)
            } catch  where [.wouldBlock, .noSuchFileOrDirectory].contains(error.errno) {
                return nil
            }
        }
    }
}
