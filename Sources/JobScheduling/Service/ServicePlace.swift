import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Where the service of a store is found: a lock in the store, which tells of a socket in the run-time directory.
package struct ServicePlace: Sendable {
    private let store: FilePath
    /// The directory of the sockets of all stores.
    private let directory: FilePath

    /// The place for a store; `runtime` is the user's directory for such files, where there is one.
    ///
    /// A service of root's has its socket in `/run/cloche`, that of another user in `$XDG_RUNTIME_DIR/cloche`, or in the
    /// store where that is not set.
    package init(_ store: FilePath, runtime: FilePath?) {
        self.store = store
        directory =
            if geteuid() == 0 { "/run/cloche" } else { runtime?.appending("cloche") ?? store.appending("service") }
    }

    private static func lockFile(_ store: FilePath) -> FilePath { store.appending("service.lock") }
    private var lockFile: FilePath { Self.lockFile(store) }

    /// Whether a service of the store lives.
    package var isServed: Bool { Self.isServed(store) }

    /// Whether a service of the store at that path lives.
    package static func isServed(_ store: FilePath) -> Bool { JobLock.isLocked(lockFile(store)) }

    /// What the service has written into the lock's file: its process, for people, and its socket.
    ///
    /// Commands may have another run-time directory than the service, or none, such as those of cron.
    private func announcement() -> (process: Int?, socket: FilePath?) {
        let bytes = (try? Syscall.readFile(lockFile, limit: 4096)) ?? []
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        let process = lines.first.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
        // The last part is not a whole line.
        return (process, lines.count > 2 ? FilePath(bytes: lines[1]) : nil)
    }

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
        let process = announcement().process.map { ", process \($0)" } ?? ""
        return ServiceError(
            .occupied, "serve the store `\(store)`: a service serves it already\(process)",
            hint: "`cloche system status` tells of it; `cloche system stop` ends it")
    }

    /// Makes the socket and tells of it in the lock's file, which the caller holds; the caller owns the listener too.
    func listen(_ lock: CInt) throws -> (listener: CInt, path: FilePath) {
        do throws(SyscallError) {
            try Syscall.makeDirectories(directory, mode: 0o700)
        } catch {
            throw ServiceError(
                .unusable, "make the run-time directory `\(directory)`: \(error)",
                hint: "see whether the directory above it is there and yours")
        }
        try Self.check(directory)
        // However the store is named, its socket is the same.
        let opened = try Syscall.open(store, O_RDONLY | O_DIRECTORY)
        let path = try Syscall.readLink(FilePath("/proc/self/fd/\(opened.number)"))
        let socket = directory.appending("\(Digest.hexadecimal(path).prefix(16)).sock")
        do throws(SyscallError) {
            // One that was left by a service that was killed.
            if Syscall.exists(socket) { try Syscall.unlink(socket) }
            let listener = try Syscall.listen(at: socket)
            try Syscall.writeAll(lock, socket.bytes + [0x0A])
            return (listener.release(), socket)
        } catch {
            throw ServiceError(
                .unusable, "listen at `\(socket)`: \(error)",
                hint: "name a directory of your own with a shorter path in XDG_RUNTIME_DIR")
        }
    }

    /// Connects to the service's socket; nil while there is none.
    func connect() throws -> OwnedFileDescriptor? {
        guard let path = announcement().socket, Syscall.exists(path) else { return nil }
        try Self.check(path.removingLastComponent())
        guard let socket = try? Syscall.connect(to: path) else { return nil }
        guard [geteuid(), 0].contains(try Syscall.peerUser(socket.number)) else {
            throw ServiceError(
                .unusable, "ask the service: somebody else listens at `\(path)`",
                hint: "find out who; remove the socket")
        }
        return socket
    }

    /// Whoever else could write there could put himself in the place of the service.
    private static func check(_ directory: FilePath) throws {
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
