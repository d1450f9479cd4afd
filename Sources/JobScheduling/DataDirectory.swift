package import Isolation
package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Where what sandboxes see at `/data` is kept: `data/shared`, `data/projects/<uuid>` and `data/jobs/<uuid>`, siblings
/// below directories that no sandbox sees.
package struct DataDirectory {
    private let root: FilePath
    private let identity: IdentityMap

    /// The directories of a store.
    package init(store: FilePath, identity: IdentityMap) {
        root = store.appending("data")
        self.identity = identity
    }

    /// The directory that everything of the store shares.
    package func shared() throws(SyscallError) -> FilePath { try make(["shared"]) }

    /// The directory of a project, made if it is missing.
    package func project(_ uuid: String) throws(SyscallError) -> FilePath { try make(["projects", uuid]) }

    /// The directory of a job, made if it is missing.
    package func job(_ uuid: String) throws(SyscallError) -> FilePath { try make(["jobs", uuid]) }

    private func make(_ names: [String]) throws(SyscallError) -> FilePath {
        var path = root
        try Syscall.makeDirectories(path, mode: 0o700)
        for (index, name) in names.enumerated() {
            path.append(name)
            try Syscall.makeDirectories(path, mode: index == names.count - 1 ? 0o755 : 0o700)
        }
        if geteuid() == 0, let user = identity.outsideUser(IdentityMap.user),
            let group = identity.outsideGroup(IdentityMap.user)
        {
            let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try Syscall.changeOwner(of: directory.number, user: user, group: group)
        }
        return path
    }
}
