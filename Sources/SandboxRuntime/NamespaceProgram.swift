package import Isolation
import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A program of the host as uid 0 of a mapped user namespace: what fetches and unpacks packages.
///
/// It sees the host's files with the rights of an unprivileged range, in a mount namespace of its own, and the host's
/// network. Nothing that comes from a package runs in it.
package struct NamespaceProgram: Sendable, Hashable, Codable {
    /// A path of the host, and where it appears.
    package struct Mount: Sendable, Hashable, Codable {
        package var source: String, target: String

        /// Names both ends.
        package init(source: String, target: String) {
            self.source = source
            self.target = target
        }
    }

    package var identity: IdentityMap
    package var arguments: [String]
    package var variables: [String: String]
    /// The writable directory, which is given to uid 0 of the namespace, and where it appears.
    package var directory: Mount
    package var binds: [Mount]

    /// Names a program and what it sees.
    package init(
        identity: IdentityMap, arguments: [String], variables: [String: String], directory: Mount, binds: [Mount]
    ) {
        self.identity = identity
        self.arguments = arguments
        self.variables = variables
        self.directory = directory
        self.binds = binds
    }

    /// Becomes the program; the calling process, which has a single thread, waits for it and ends as it ended.
    package func run() throws(LaunchError) -> Never {
        let keeper = try Confinement.enter(identity) { program, _ in
            switch (try? program.wait())?.end {
            case .exited(let status): return status
            case .signalled(let signal): return 128 + signal
            case nil: return 125
            }
        }
        try LaunchError.during("prepare the namespace") { () throws(SyscallError) in
            try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC | MS_PRIVATE))
            let owned = try clone(directory.source, [])
            let others = try binds.map { bind throws(SyscallError) in try clone(bind.source, .readOnly) }
            if identity.hasRange { try Credentials.become(user: 0, group: 0) }
            try attach(owned, directory.target)
            for (mount, bind) in zip(others, binds) { try attach(mount, bind.target) }
            if identity.kind == .userRange { try Syscall.changeOwner(FilePath(directory.target), user: 0, group: 0) }
            try Syscall.endWithParent(keeper)
        }
        let name = arguments.first ?? ""
        var failure = SyscallError("execute", name, errno: .noSuchFileOrDirectory)
        for path in CommandPlan.candidates(for: name, path: variables["PATH"]) {
            failure = SyscallError.execute(path, arguments, variables.map { "\($0.key)=\($0.value)" })
            if failure.errno != .noSuchFileOrDirectory { break }
        }
        throw LaunchError(step: "execute `\(name)`", failure)
    }

    private func clone(_ path: String, _ attributes: MountAttributes) throws(SyscallError) -> CInt {
        let location = try Syscall.openLocation(FilePath(path))
        let mount = try Syscall.cloneMount(of: location.number, recursive: true)
        if !attributes.isEmpty { try Syscall.setMountAttributes(mount.number, attributes, recursive: true) }
        return mount.release()
    }

    private func attach(_ mount: CInt, _ target: String) throws(SyscallError) {
        try Syscall.attachMount(mount, at: FilePath(target))
        _ = Glibc.close(mount)
    }
}
