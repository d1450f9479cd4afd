import JobStorage
package import Jobs
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Store {
    /// Changes a job: reads its document, lets `body` change it and the database, and writes it when it is another one.
    ///
    /// One change at a time, over all processes: none overwrites the wish of another. `body` makes its change of the
    /// database itself; when it throws, the document stays as it was. Changes of one job do not nest. What an earlier
    /// change that was interrupted had written of the job's settings is brought to the database first.
    ///
    /// `follow` changes the database by what has been written; when it throws, the document is what it was before.
    package func change<Result>(
        _ job: JobID, _ body: (inout JobDocument) throws -> Result,
        then follow: (JobDocument) throws -> Void = { _ in }
    ) throws -> Result {
        let lock = try lockDocument(job)
        defer { withExtendedLifetime(lock) {} }
        let old = try document(job)
        try database.align(old)
        var document = old
        let result = try body(&document)
        guard document != old else { return result }
        try write(document)
        do {
            try follow(document)
        } catch {
            try write(old)
            throw error
        }
        return result
    }

    /// The lock of whoever changes a job; it ends with the descriptor.
    package func lockDocument(_ job: JobID) throws -> DocumentLock {
        let directory = jobDirectory(job)
        let opened: OwnedFileDescriptor
        do throws(SyscallError) { opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY) } catch {
            throw StoreError(
                message: "change the job: \(error)", hint: "it was removed meanwhile, or its directory is damaged")
        }
        let deadline = Syscall.monotonicSeconds() + Self.patience
        while true {
            do throws(SyscallError) {
                try Syscall.flock(opened.number, LOCK_EX | LOCK_NB)
                return DocumentLock(descriptor: opened)
            } catch {
                guard error.errno == .resourceTemporarilyUnavailable || error.errno == .interrupted else { throw error }
                guard Syscall.monotonicSeconds() < deadline else {
                    throw StoreError(
                        message: "change the job: another process has been changing it for \(Int(Self.patience)) s",
                        hint: "see which one has `\(directory)` open, then try again")
                }
            }
            _ = try Syscall.poll([], milliseconds: 2)
        }
    }

    private static let patience: Double = 20
}

/// The right to change a job; it ends with the value.
package struct DocumentLock: ~Copyable {
    fileprivate let descriptor: OwnedFileDescriptor
}
