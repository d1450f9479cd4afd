package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Where the service of a store is found: a lock in the store, and a socket in the run-time directory.
package struct ServicePlace: Sendable {
    private let store: FilePath
    /// The directory of the sockets of all stores.
    package let directory: FilePath
    /// The socket of this store.
    package let socket: FilePath

    /// The place for a store; `runtime` is the user's directory for such files, where there is one.
    ///
    /// Root's is `/run/cloche`, that of others `$XDG_RUNTIME_DIR/cloche`, or the store where that is not set.
    package init(_ store: FilePath, runtime: FilePath?) throws(SyscallError) {
        // However the store is named, its service is the same.
        let opened = try Syscall.open(store, O_RDONLY | O_DIRECTORY)
        let path = try Syscall.readLink(FilePath("/proc/self/fd/\(opened.number)"))
        self.store = store
        directory =
            if geteuid() == 0 { "/run/cloche" } else { runtime?.appending("cloche") ?? store.appending("service") }
        socket = directory.appending("\(Digest.hexadecimal(path).prefix(16)).sock")
    }

    private static func lockFile(_ store: FilePath) -> FilePath { store.appending("service.lock") }
    private var lockFile: FilePath { Self.lockFile(store) }

    /// Whether a service of the store lives.
    package var isServed: Bool { Self.isServed(store) }

    /// Whether a service of the store at that path lives.
    package static func isServed(_ store: FilePath) -> Bool { JobLock.isLocked(lockFile(store)) }

    /// Makes this process the store's service.
    func take() throws -> OwnedFileDescriptor {
        let lock = try Syscall.open(lockFile, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        var tries = 50
        while (try? Syscall.flock(lock.number, LOCK_EX | LOCK_NB)) == nil {
            tries -= 1
            guard tries > 0 else { throw occupied() }
            _ = try Syscall.poll([], milliseconds: 2)
        }
        try Syscall.truncate(lock.number, to: 0)
        try Syscall.writeAll(lock.number, Array("\(getpid())\n".utf8))
        return lock
    }

    private func occupied() -> ServiceError {
        let text = (try? Syscall.readFile(lockFile, limit: 64)) ?? []
        let process = Int(String(decoding: text.prefix { $0 != 0x0A }, as: UTF8.self))
        return ServiceError(
            .occupied,
            "serve the store `\(store)`: a service serves it already" + (process.map { ", process \($0)" } ?? ""),
            hint: "`cloche system status` tells of it; `cloche system stop` ends it")
    }

    /// Makes the socket; only the holder of the lock does so.
    func listen() throws -> OwnedFileDescriptor {
        do throws(SyscallError) {
            try Syscall.makeDirectories(directory, mode: 0o700)
        } catch {
            throw ServiceError(
                .unusable, "make the run-time directory `\(directory)`: \(error)",
                hint: "see whether the directory above it is there and yours")
        }
        try checkDirectory()
        // One that was left by a service that was killed.
        if Syscall.exists(socket) { try Syscall.unlink(socket) }
        return try Syscall.listen(at: socket)
    }

    /// Removes the socket.
    func removeSocket() { try? Syscall.unlink(socket) }

    /// Whoever else could write there could put himself in the place of the service.
    func checkDirectory() throws {
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let status = try Syscall.fstat(opened.number)
        guard status.user == geteuid(), status.permissions & 0o077 == 0 else {
            throw ServiceError(
                .unusable, "use the run-time directory `\(directory)`: others may use it too",
                hint: "make it yours alone: `chown \(geteuid()) \(directory) && chmod 700 \(directory)`")
        }
    }
}

/// Why the service cannot be had, or cannot serve.
package struct ServiceError: Error, Sendable, CustomStringConvertible {
    /// The kind, for an exit code.
    package enum Kind: Sendable {
        /// No service lives, or it has gone.
        case absent
        /// Another one serves the store.
        case occupied
        /// It does not answer.
        case silent
        /// The place for its socket is not safe, or cannot be made.
        case unusable
        /// It said that something failed.
        case failed
    }

    package let kind: Kind
    package let message: String
    package let hint: String?

    init(_ kind: Kind, _ message: String, hint: String?) {
        self.kind = kind
        self.message = message
        self.hint = hint
    }

    package var description: String { message }
}
