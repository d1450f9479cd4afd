package import LinuxSystem
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Debian packages, and what pip fetched, kept for the next build.
///
/// The rule that keeps one build from poisoning another:
///
/// 1. Builds only read. Each sees a directory of its own, mounted read-only, of links to archives that were read again
///    and had the SHA-256 of their names a moment before (`PackageCache.show`); what is damaged is removed.
/// 2. An archive is taken only by programs of the host, when nothing of the build runs any more, and only where the
///    SHA-256 of the very bytes that are kept is one that the suite's signed metadata names (`PackageCache.take`). The
///    host's apt fetched and verified that metadata before any script of a package or of a project had run; what lies in
///    a build's own lists is not asked.
/// 3. Names do not count. apt, in the host's namespace as in the sandbox, compares what it gets from here with the
///    metadata that it has verified itself, as if it came from a mirror.
///
/// Nothing signed names what pip downloads, and pip's own cache has pages of an index and built wheels that pip would
/// believe. So nothing that a build wrote is kept of pip:
///
/// 1. What a build leaves is its pip's log, which says what to ask for and is not believed (`PipLog`). The host asks the
///    indexes that its own pip is set up for, over HTTPS and as nobody, which SHA-256 a project's page promises for the
///    file, fetches the file itself, and keeps it only where the bytes have that digest (`PackageCache.take`). Where
///    builds have no network, nobody is asked.
/// 2. A build sees the files where pip looks for answers that it has kept, under the address that answered (`PipForm`),
///    read-only. Pages of an index are never there: pip asks for them, takes the digest of a file from them, and compares
///    it with what it gets from here as if it came from the server. What an index does not offer any more is not used.
/// 3. The price is that a file is fetched twice, the first time that anybody uses it.
///
/// `archives/<sha256>` are the files; `index` lists them, and `known/<suite>` what the metadata names. All of it is
/// changed under one lock, and can be removed at any time.
package struct PackageCache: Sendable, Hashable {
    /// The most bytes that are kept; then those go that were not used for the longest time.
    package static let limit: Int64 = 2 << 30

    /// The directory, such as `<store>/environments/packages`.
    package let directory: FilePath
    private let lockPath: FilePath

    init(store: EnvironmentStore) {
        directory = store.directory.appending("packages")
        lockPath = store.directory.appending("locks").appending("packages.lock")
    }

    var archives: FilePath { directory.appending("archives") }

    private static let indexName: FilePath = "index"

    /// Does something while nobody else changes the cache.
    func locked<Value>(_ body: () throws(SyscallError) -> Value) throws(SyscallError) -> Value {
        let lock = try Syscall.open(lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        try Syscall.flock(lock.number, LOCK_EX)
        for path in [directory, archives, directory.appending("known")] {
            try Syscall.makeDirectories(path, mode: 0o700)
        }
        return try body()
    }

    /// The archives that are here, as far as the index knows.
    func index() throws(SyscallError) -> [KeptPackage] {
        let path = directory.appending("index")
        guard Syscall.exists(path) else { return [] }
        return KeptPackage.parse(index: try Syscall.readFile(path, limit: 64 << 20))
    }

    /// Replaces the index, and removes every archive that is not in it.
    func replaceIndex(_ packages: [KeptPackage]) throws(SyscallError) {
        let folder = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        let text = packages.map(\.line).joined()
        try Syscall.replaceFile(Self.indexName, at: folder.number, Array(text.utf8), mode: 0o600)
        let names = Set(packages.map { Array($0.digest.utf8) })
        let opened = try Syscall.open(archives, O_RDONLY | O_DIRECTORY)
        for entry in try Syscall.directoryEntries(opened.number) where !names.contains(entry.name) {
            try Syscall.unlink(entry.path, at: opened.number)
        }
    }

    /// Removes all archives; gives their number and size.
    package func removeAll() throws(SyscallError) -> (count: Int, bytes: Int64) {
        guard Syscall.exists(directory) else { return (0, 0) }
        return try locked { () throws(SyscallError) in
            let packages = try index()
            try replaceIndex([])
            let known = try Syscall.open(directory.appending("known"), O_RDONLY | O_DIRECTORY)
            for entry in try Syscall.directoryEntries(known.number) {
                try Syscall.unlink(entry.path, at: known.number)
            }
            return (packages.count, packages.reduce(0) { $0 + $1.size })
        }
    }

    /// The SHA-256 of the rest of an open file; `write` gets the bytes as they were read.
    static func digest(
        _ file: CInt, write: ([UInt8]) throws(SyscallError) -> Void = { _ in }
    ) throws(SyscallError) -> String {
        var hash = StreamDigest()
        while true {
            let part = try Syscall.read(file, upTo: 1 << 18)
            if part.isEmpty { return hash.hexadecimal }
            hash.add(part)
            try write(part)
        }
    }
}

extension EnvironmentStore {
    /// The packages that are kept for the next build.
    package var packages: PackageCache { PackageCache(store: self) }
}
