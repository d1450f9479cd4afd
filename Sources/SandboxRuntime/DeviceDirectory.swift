import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The `/dev` of sandboxes.
enum DeviceDirectory {
    /// Names and numbers of what every sandbox has (devices.txt of the kernel: major 1 and 5).
    static let nodes: [(name: String, major: UInt32, minor: UInt32)] = [
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
    ]

    private static let links = [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
    ]
    private static let directories = ["pts", "shm", "mqueue"]

    /// Whether the caller may be able to make nodes for sandboxes of this identity.
    static func isPossible(for identity: IdentityMap) -> Bool { geteuid() == 0 && identity.hasRange }

    /// A file system with nodes of its own, attached nowhere; nil where the caller may make none.
    ///
    /// Without it each of the host's nodes is a mount, which every sandbox copies twice. It cannot be changed by anybody.
    static func make(_ plan: DevicePlan?, for identity: IdentityMap) -> CInt? {
        guard isPossible(for: identity), let user = identity.outsideUser(0), let group = identity.outsideGroup(0) else {
            return nil
        }
        do throws(SyscallError) {
            let mount = try Syscall.newMemory(size: "64k", mode: "0755")
            let root = "/proc/self/fd/\(mount.number)"
            for (name, major, minor) in nodes {
                try Syscall.makeDevice(FilePath("\(root)/\(name)"), major: major, minor: minor, mode: 0o666)
            }
            try fill(root, places: plan?.nodes ?? [])
            for name in ["."] + nodes.map(\.name) + links.map(\.0) + directories {
                try Syscall.changeOwner(FilePath("\(root)/\(name)"), user: user, group: group)
            }
            try Syscall.setMountAttributes(
                mount.number, [.readOnly, .noSetuid, .noExecute], recursive: false)
            return mount.release()
        } catch {
            // As in a container: the host's nodes are mounted then, and what is in the way of that is told.
            return nil
        }
    }

    /// Makes what is no node; `places` are names of nodes that are to be mounted there.
    static func fill(_ root: String, places: [String]) throws(SyscallError) {
        // The caller's own would close them to the command.
        let mask = umask(0o022)
        defer { _ = umask(mask) }
        for name in places {
            let path = FilePath("\(root)/\(name)")
            if name.contains("/") { try Syscall.makeDirectories(path.removingLastComponent(), mode: 0o755) }
            try Syscall.writeFile(path, [], mode: 0o666)
        }
        for (name, target) in links { try Syscall.symlink(FilePath(target), FilePath("\(root)/\(name)")) }
        for name in directories { try Syscall.makeDirectory(FilePath("\(root)/\(name)"), mode: 0o755) }
    }
}
