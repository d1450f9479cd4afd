import Environments
package import Isolation
import LinuxSystem
import Runs
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a service's user keeps on the disk, as it was when it was measured last: `disk.json` in his store.
///
/// That is his store, and what was built of his projects.
///
/// Nobody walks through a store to start a run: it is measured now and then, and this is asked in between.
package struct StoreSize: Sendable, Hashable, Codable {
    package private(set) var bytes: Int64
    /// How much it may be.
    package let limit: Int64
    package let measured: Timestamp
    /// How long that took.
    let seconds: Double

    /// What to do when it is too much.
    package static let remedy = DiskExcess.remedy

    private static let fileName: FilePath = "disk.json"

    /// What was known last; nil where there is no limit.
    package static func stored(in store: FilePath) -> StoreSize? {
        guard let bytes = try? Syscall.readFile(store.pushing(fileName), limit: 65536) else { return nil }
        return JSONFile.decode(StoreSize.self, bytes)
    }

    /// How much there is, and how much there may be.
    package var text: String { DiskExcess.text(bytes, of: limit) }

    /// Whether there is more than there may be.
    package var isExceeded: Bool { bytes > limit }

    /// What is too much, for its user.
    package var excess: String { "you keep \(text) on the disk of the service" }

    /// Measures the store, and notes it.
    @discardableResult
    package static func measure(_ store: FilePath, limit: Int64) throws -> StoreSize {
        let begun = Syscall.monotonicSeconds()
        var places = [store]
        if let owner = try StoreOwner.stored(in: store) {
            let environments = try EnvironmentStore(
                directory: StoreOwner.sharedStore(of: store).appending("environments"))
            places += try environments.builds(of: owner).map { environments.path(of: $0.id) }
        }
        let whole = try DiskUsage.measure(places)
        // What is just being received is no part of it yet, and has limits of its own.
        let incoming = try DiskUsage.measure([store.pushing(IncomingPlace.directory)])
        let nameless = try NamelessFiles.bytes(in: store)
        let size = StoreSize(
            bytes: max(0, whole.allocated - incoming.allocated) + nameless, limit: limit, measured: JobEngine.now(),
            seconds: Syscall.monotonicSeconds() - begun)
        try change(store) { _ in size }
        return size
    }

    /// Notes that the store has grown since it was measured.
    static func add(_ bytes: Int64, to store: FilePath) throws {
        try change(store) { size in
            size?.bytes += bytes
            return size
        }
    }

    /// Forgets it: there is no limit any more.
    static func forget(in store: FilePath) { try? Syscall.unlink(store.pushing(fileName)) }

    /// Several commands may have something to note at once.
    private static func change(_ store: FilePath, _ change: (inout StoreSize?) -> StoreSize?) throws {
        let opened = try Syscall.open(store, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let lock = try Syscall.open("disk.lock", at: opened.number, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        try Syscall.flock(lock.number, LOCK_EX)
        var size = stored(in: store)
        if let changed = change(&size) {
            try Syscall.replaceFile(fileName, at: opened.number, JSONFile.encode(changed) ?? [], mode: 0o600)
        }
        withExtendedLifetime(lock) {}
    }
}
