package import LinuxSystem
package import SystemPackage

/// How directories of the control group file system come and go.
///
/// The kernel fills a new group with its files and removes them with it; a test's plain directory needs telling.
package struct CgroupFileSystem: Sendable {
    /// A call on the directory of a name below an open one.
    package typealias Call = @Sendable (_ name: FilePath, _ parent: CInt) -> Result<Void, SyscallError>

    let makeDirectory: Call
    let removeDirectory: Call

    /// Makes and removes directories by the functions given.
    package init(makeDirectory: @escaping Call, removeDirectory: @escaping Call) {
        self.makeDirectory = makeDirectory
        self.removeDirectory = removeDirectory
    }

    /// mkdir(2) and rmdir(2).
    package static let kernel = CgroupFileSystem(
        makeDirectory: { name, parent in
            Result { () throws(SyscallError) in try Syscall.makeDirectory(name, at: parent, mode: 0o755) }
        },
        removeDirectory: { name, parent in
            Result { () throws(SyscallError) in try Syscall.unlink(name, at: parent, directory: true) }
        }
    )
}
