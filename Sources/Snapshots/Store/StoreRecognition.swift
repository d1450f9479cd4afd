package import LinuxSystem
package import SystemPackage

/// Tells stores of this program from other directories: secrets lie in them in clear text, so no snapshot holds one.
///
/// The store in use is known by device and inode, every other one by the files that all stores have.
package struct StoreRecognition: Sendable {
    /// The store in use, and its snapshots, which may lie on another disk.
    private let own: [TreeSurvey.FileKey]

    /// Knows the store at a path, if there is one.
    package init(store: FilePath?) {
        let paths = store.map { [$0, $0.appending("snapshots")] } ?? []
        own = paths.compactMap { path in
            guard let location = try? Syscall.openLocation(path), let status = try? Syscall.fstat(location.number)
            else { return nil }
            return TreeSurvey.FileKey(device: status.device, inode: status.inode)
        }
    }

    /// Whether an open directory is a store.
    package func isStore(_ directory: CInt) throws(SyscallError) -> Bool {
        isStore(try Syscall.fstat(directory), name: [], at: directory)
    }

    /// Whether a directory is a store.
    ///
    /// - Parameters:
    ///   - status: Its own.
    ///   - name: Its path from `parent`; empty for that itself.
    ///   - parent: An open directory.
    package func isStore(_ status: FileStatus, name: some Collection<UInt8>, at parent: CInt) -> Bool {
        if own.contains(.init(device: status.device, inode: status.inode)) { return true }
        let base = name.isEmpty ? [] : Array(name) + [UInt8(ascii: "/")]
        // The first is missing from almost every directory, and then that is all there is to ask.
        guard Self.isFile(base + Array("identity.json".utf8), at: parent) else { return false }
        return ["cloche.db", "snapshots/lock"].contains { Self.isFile(base + Array($0.utf8), at: parent) }
    }

    private static func isFile(_ path: [UInt8], at parent: CInt) -> Bool {
        guard
            let file = try? Syscall.openLocation(
                FilePath(bytes: path), at: parent, following: false, resolve: .withinTree)
        else { return false }
        return (try? Syscall.fstat(file.number))?.isRegular == true
    }
}
