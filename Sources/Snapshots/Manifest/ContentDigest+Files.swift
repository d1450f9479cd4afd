import LinuxSystem

extension ContentDigest {
    /// The digest of an open regular file at offset 0, with its size in bytes; holes are passed over.
    package init(ofFile descriptor: CInt) throws(SnapshotError) {
        var reader = ContentReader()
        let status: FileStatus
        do throws(SyscallError) { status = try Syscall.fstat(descriptor) } catch { throw .reading([], error) }
        do throws(ContentFailure) {
            self = try reader.read(descriptor, status: status, into: nil) { _ throws(SnapshotError) in }.digest
        } catch {
            throw error.naming([])
        }
    }
}
