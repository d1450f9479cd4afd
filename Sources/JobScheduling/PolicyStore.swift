package import LinuxSystem
package import Policies
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A directory of policy documents that is changed with a history: that of a store, or the system's.
package struct PolicyStore: Sendable {
    package let directory: FilePath
    package let layer: PolicyLayer

    private static let history: FilePath = ".history"

    /// The policies of a store; of one that a service keeps for a user, those of the service's.
    package init(ofStore store: FilePath) throws {
        directory = try StoreOwner.sharedStore(of: store).appending("policies")
        layer = .store
    }

    private init(system: FilePath) {
        directory = system
        layer = .system
    }

    /// The system's policies, which only root changes.
    package static let system = PolicyStore(system: PolicyCatalogue.systemDirectory)

    /// The bytes of a document; nil where there is none.
    package func content(_ name: String) throws(SyscallError) -> [UInt8]? {
        do throws(SyscallError) {
            return try Syscall.readFile(path(name), limit: PolicyDocument.sizeLimit + 1)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    /// Where a document is.
    package func path(_ name: String) -> FilePath { directory.appending(name + PolicyName.suffix) }

    /// SHA-256 of a document.
    package static func digest(_ bytes: [UInt8]) -> String { Digest.hexadecimal(bytes) }

    /// Every change so far.
    package func log() throws(SyscallError) -> PolicyLog {
        do throws(SyscallError) {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            return try PolicyLog(in: opened.number)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return PolicyLog()
        }
    }

    /// The document with that digest, of those that were in force once; nil where it is not kept.
    package func kept(_ digest: String, of name: String) throws(SyscallError) -> [UInt8]? {
        let file = directory.pushing(Self.history).appending(name).appending(digest + PolicyName.suffix)
        do throws(SyscallError) {
            let bytes = try Syscall.readFile(file, limit: PolicyDocument.sizeLimit + 1)
            // What lies under a digest is what has it, or it is not the document.
            return Self.digest(bytes) == digest ? bytes : nil
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    /// Puts a document into force, or removes it where `bytes` is nil; both versions are kept.
    ///
    /// `expected` is what was in force when this was decided: where somebody has changed it since, EBUSY is thrown.
    package func change(
        _ name: String, to bytes: [UInt8]?, from expected: [UInt8]?, as action: PolicyLogEntry.Action
    ) throws(SyscallError) {
        try Syscall.makeDirectories(directory, mode: layer == .system ? 0o755 : 0o700)
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        let lock = try Syscall.open(".lock", at: opened.number, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        try Syscall.flock(lock.number, LOCK_EX)
        let present = try content(name)
        guard present == expected else { throw SyscallError("change", path(name).string, errno: .resourceBusy) }
        for version in [present, bytes] { if let version { try keep(version, of: name) } }
        // First the log: a change without an entry is worse than an entry without its change.
        var log = try PolicyLog(in: opened.number)
        try log.append(
            action, name, digest: bytes.map(Self.digest), previous: present.map(Self.digest), in: opened.number)
        let file = FilePath(name + PolicyName.suffix)
        if let bytes {
            try Syscall.replaceFile(file, at: opened.number, bytes, mode: layer == .system ? 0o644 : 0o600)
        } else {
            try Syscall.unlink(file, at: opened.number)
            try Syscall.fsync(opened.number)
        }
    }

    private func keep(_ bytes: [UInt8], of name: String) throws(SyscallError) {
        let place = directory.pushing(Self.history).appending(name)
        try Syscall.makeLastingDirectories(place, mode: 0o700)
        let opened = try Syscall.open(place, O_RDONLY | O_DIRECTORY)
        let file = FilePath(Self.digest(bytes) + PolicyName.suffix)
        if Syscall.exists(file, at: opened.number) { return }
        try Syscall.replaceFile(file, at: opened.number, bytes, mode: 0o600)
    }
}
