import LinuxSystem
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Sends a project to a service: what a snapshot of it would hold, read with the rights of this process.
package struct ProjectSender {
    private static let resolution: PathResolution = [.beneath, .noSymlinks]

    private let cache: SnapshotStore

    /// Sends projects; `cache` is a directory of the user's where it is noted which files have not changed.
    package init(cache: FilePath) throws { self.cache = try SnapshotStore(store: cache) }

    /// Sends all of a project.
    package func send(_ project: FilePath, over channel: FrameChannel) throws {
        let directory = try SnapshotStore.open(project: project)
        let request = CaptureRequest(project: directory.number, source: "")
        for entry in try cache.manifest(ofProject: request).entries {
            let isRoot = entry.path.elementsEqual(".".utf8)
            guard entry.path.count <= ProjectEntry.longestPath else {
                throw SnapshotError(entry.path, .pathTooLong(limit: ProjectEntry.longestPath))
            }
            let kind: ProjectEntry.Kind =
                switch entry.kind {
                case .directory: .directory
                case .symbolicLink(let target): .link(target)
                case .file, .hardLink: .file
                }
            guard kind == .file else {
                let sent = ProjectEntry(
                    kind, mode: entry.mode, modified: entry.modified, path: isRoot ? [] : entry.path)
                try channel.send(ClientFrame(.entry, sent.encoded))
                continue
            }
            try send(file: entry.path, at: directory.number, over: channel)
        }
        try channel.send(ClientFrame(.projectEnd))
    }

    private func send(file path: [UInt8], at directory: CInt, over channel: FrameChannel) throws {
        do throws(SyscallError) {
            try sendContent(path, at: directory, over: channel)
        } catch {
            // The service has gone, or has had enough: it says why.
            if error.errno == .brokenPipe || error.errno == .connectionReset { throw error }
            throw SnapshotError(path, .unreadable(error))
        }
    }

    private func sendContent(
        _ path: [UInt8], at directory: CInt, over channel: FrameChannel
    ) throws(SyscallError) {
        let file = try Syscall.open(
            TerminatedName(path), at: directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: Self.resolution)
        let status = try Syscall.fstat(file.number)
        guard status.isRegular else { throw SyscallError("open", errno: .invalidArgument) }
        let entry = ProjectEntry(.file, mode: status.permissions & 0o777, modified: status.modified, path: path)
        try channel.send(ClientFrame(.entry, entry.encoded))
        // What grows while it is read is not read for ever.
        var left = status.size
        while left > 0 {
            let bytes = try Syscall.read(file.number, upTo: Int(min(left, Int64(ClientFrame.longest))))
            if bytes.isEmpty { break }
            left -= Int64(bytes.count)
            try channel.send(ClientFrame(.content, bytes))
        }
    }
}
