package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A file descriptor with exactly one owner, closed when its owner ends.
package struct OwnedFileDescriptor: ~Copyable, Sendable {
    private let raw: CInt

    /// Takes over `raw`; from here on nothing else may close it.
    package init(adopting raw: CInt) {
        precondition(raw >= 0, "a file descriptor is never negative")
        self.raw = raw
    }

    deinit { _ = Glibc.close(raw) }

    /// The number, lent: it is valid while this owner lives, and its borrower never closes it.
    package var number: CInt { raw }

    /// The descriptor for SystemPackage's reads and writes, lent under the same terms.
    package var descriptor: FileDescriptor { FileDescriptor(rawValue: raw) }

    /// Closes now, and reports what close(2) reports.
    package consuming func close() throws(SyscallError) {
        let raw = raw
        discard self
        // Linux releases the descriptor even when close(2) is interrupted: it is never retried.
        guard Glibc.close(raw) == 0 else { throw .last("close") }
    }

    /// Gives the number away; the receiver closes it.
    package consuming func release() -> CInt {
        let raw = raw
        discard self
        return raw
    }

    /// Makes a second, close-on-exec descriptor of the same open file (fcntl(2), F_DUPFD_CLOEXEC).
    package func duplicate() throws(SyscallError) -> OwnedFileDescriptor {
        OwnedFileDescriptor(adopting: try Syscall.fcntl(raw, F_DUPFD_CLOEXEC, 3))
    }
}

/// A descriptor with shared ownership: closed when the last of its owners ends.
package final class HeldDescriptor: Sendable {
    private let descriptor: OwnedFileDescriptor

    /// Takes over a descriptor.
    package init(_ descriptor: consuming OwnedFileDescriptor) { self.descriptor = descriptor }

    /// The number, valid as long as this object lives.
    package var number: CInt { descriptor.number }
}
