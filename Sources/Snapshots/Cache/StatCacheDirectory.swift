import Dispatch
import LinuxSystem
import PlainText
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The caches of a store, one a project, in the directory `caches` beside the snapshots.
///
/// Whatever goes wrong with them costs time only, so nothing here fails.
struct StatCacheDirectory: Sendable {
    private static let name: FilePath = "caches"
    /// The most caches that are kept; of more, those that were not used for longest go.
    private static let countLimit = 64
    /// How many of other projects are looked at for files to share, and of what size in bytes altogether.
    private static let otherLimit = 8
    private static let otherSizeLimit: Int64 = 64 << 20

    private let directory: HeldDescriptor

    /// Opens, and makes if need be, the caches beside the snapshots of an open directory.
    init?(snapshots: CInt) {
        do throws(SyscallError) {
            do throws(SyscallError) {
                try Syscall.makeDirectory(Self.name, at: snapshots, mode: 0o700)
            } catch  where error.errno == .fileExists {}
            directory = HeldDescriptor(
                try Syscall.open(
                    Self.name, at: snapshots, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: .withinTree))
        } catch {
            return nil
        }
    }

    /// The cache of a project.
    func load(_ key: StatCache.Key) -> StatCache? {
        guard let cache = load(FilePath(key.name)), cache.key == key else { return nil }
        return cache
    }

    /// Begins to load the cache of a project, while its caller does something else.
    func beginLoading(_ key: StatCache.Key) -> StatCacheLoading { StatCacheLoading { load(key) } }

    private func load(_ name: FilePath) -> StatCache? {
        guard
            let file = try? Syscall.open(
                name, at: directory.number, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: .withinTree),
            let status = try? Syscall.fstat(file.number), status.isRegular, status.size <= StatCache.sizeLimit
        else { return nil }
        // In one piece: an array that grows takes twice the memory.
        var bytes = [UInt8](repeating: 0, count: Int(status.size))
        guard (try? Syscall.read(file.number, into: &bytes, upTo: bytes.count)) == bytes.count else { return nil }
        return StatCache(encoded: bytes)
    }

    /// Caches of other projects, the latest first.
    func others(than key: StatCache.Key) -> [StatCache] {
        var size: Int64 = 0
        return files().filter { $0.name != FilePath(key.name) }.prefix(Self.otherLimit).compactMap { file in
            size += file.status.size
            return size <= Self.otherSizeLimit ? load(file.name) : nil
        }
    }

    /// Writes a cache in one step.
    func save(_ writer: StatCacheWriter, entries: some Sequence<StatCache.Entry>) {
        guard let random = try? Syscall.randomBytes(8) else { return }
        let temporary = FilePath("new-" + hexadecimal(random))
        do throws(SyscallError) {
            // Nothing waits for the disk: after a loss of power a cache that is not whole is none.
            let file = try Syscall.open(
                temporary, at: directory.number, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            let number = file.number
            let start = Int64(StatCache.header.count)
            _ = try Syscall.seek(number, to: start + Int64(StatCache.digestSize))
            let digest = try writer.write(entries) { (part: [UInt8]) throws(SyscallError) in
                try Syscall.writeAll(number, part, 0..<part.count)
            }
            _ = try Syscall.seek(number, to: 0)
            try Syscall.writeAll(number, StatCache.header + digest)
            try Syscall.rename(
                temporary, at: directory.number, to: FilePath(writer.key.name), at: directory.number)
        } catch {
            forget(temporary)
        }
        for file in files().dropFirst(Self.countLimit) { forget(file.name) }
    }

    /// Drops all caches: what they say of stored files is no longer to be believed.
    func clear() {
        for file in files() { forget(file.name) }
    }

    private func forget(_ name: FilePath) { try? Syscall.unlink(name, at: directory.number) }

    /// All files, the last written first.
    private func files() -> [(name: FilePath, status: FileStatus)] {
        guard (try? Syscall.seek(directory.number, to: 0)) != nil,
            let entries = try? Syscall.directoryEntries(directory.number)
        else { return [] }
        let files = entries.compactMap { entry in
            (try? Syscall.lstat(entry.path, at: directory.number)).map { (name: entry.path, status: $0) }
        }
        return files.sorted { $0.status.modified > $1.status.modified }
    }
}

/// The directories of a project as its last capture read them.
struct KnownDirectories: Sendable {
    private let cache: StatCache
    private let places: [TreeSurvey.FileKey: Int32]

    init(_ cache: StatCache) {
        self.cache = cache
        var places: [TreeSurvey.FileKey: Int32] = [:]
        places.reserveCapacity(cache.survey.directories.count)
        for (index, directory) in cache.survey.directories.enumerated() where directory.isSettled {
            places[directory.key] = Int32(index)
        }
        self.places = places
    }

    /// The names in a directory, each with NUL behind it, when its status proves them; such a directory has no
    /// attributes.
    func names(_ status: FileStatus) -> [UInt8]? {
        guard let place = places[.init(device: status.device, inode: status.inode)] else { return nil }
        let directory = cache.survey.directories[Int(place)]
        guard directory.changed == status.changed, directory.modified == status.modified else { return nil }
        return directory.names
    }
}

/// A cache that is being loaded.
final class StatCacheLoading: Sendable {
    private let result = Mutex<(cache: StatCache?, directories: KnownDirectories?)>((nil, nil))
    private let group = DispatchGroup()

    /// Starts `load` on another thread.
    init(_ load: @escaping @Sendable () -> StatCache?) {
        DispatchQueue.global().async(group: group) {
            var cache = load()
            cache?.prepareMatching()
            let (loaded, directories) = (cache, cache.map { KnownDirectories($0) })
            self.result.withLock { $0 = (loaded, directories) }
        }
    }

    /// Waits for it; nil when there is no cache.
    var cache: StatCache? {
        group.wait()
        return result.withLock { $0.cache }
    }

    /// Its directories; nil as long as it is not loaded, and when there is no cache.
    var directories: KnownDirectories? { result.withLock { $0.directories } }
}
