import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The process of the proxy: no file, no descriptor and no capability of its supervisor's, and a filter of its own.
///
/// It is made by a fork of the supervisor before that opens anything of the store, and stays in the host's network.
package enum ProxyProcess {
    /// Becomes the proxy, in a child that was just forked, and never returns.
    ///
    /// `control` is the socket to the supervisor, whose number is `parent`; `groups` are lists of processes of the
    /// steps, to whom its work is charged; `user` is the id to take on, nil for none; `filter` is an array of
    /// `struct sock_filter`. The supervisor is told twice that it is ready: when it has a view of the host's files of its
    /// own, and when it serves.
    package static func serve(
        control: CInt, parent: Int32, groups: [CInt], user: UInt32?, filter: [UInt8]
    ) -> Never {
        do throws(SyscallError) {
            try Syscall.endWithParent(parent)
            // Keys of a terminal are the supervisor's to act on; this process ends with it.
            for number in [SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
            let null = try Syscall.open("/dev/null", O_RDWR)
            for number in 0..<CInt(3) { try Syscall.duplicate(null.number, to: number) }
            _ = null.release()
            try Syscall.unshare(.mount)
            try Syscall.send(control, EgressMessage.ready.bytes)
            for group in groups { try Syscall.writeAll(group, [UInt8(ascii: "0")]) }
            let own = OwnedFileDescriptor(adopting: try Syscall.duplicate(control, to: 3))
            // Everything else, the other end of the socket included.
            try Syscall.closeDescriptors(from: 4)
            let tables = HostTables.read()
            try leaveFiles()
            try giveUp(user)
            // Again: a change of ids has forgotten it.
            try Syscall.endWithParent(parent)
            let server = try ProxyServer(control: own, tables: tables)
            try Syscall.loadFilter(filter)
            try Syscall.send(3, EgressMessage.ready.bytes)
            try server.run()
        } catch {
            let message = EgressMessage.failed(
                call: error.call, object: error.object ?? "", errno: error.errno.rawValue)
            // Nobody else could be told; it has the one number or the other.
            do throws(SyscallError) { try Syscall.send(control, message.bytes) } catch {
                try? Syscall.send(3, message.bytes)
            }
            _exit(1)
        }
        _exit(0)
    }

    /// Makes an empty directory the root, in a mount namespace of its own.
    private static func leaveFiles() throws(SyscallError) {
        try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC | MS_PRIVATE))
        try Syscall.mount(
            source: "empty", target: "/tmp", type: "tmpfs",
            flags: UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY), data: "size=4k,nr_inodes=2,mode=0555")
        try Syscall.changeDirectory("/tmp")
        try Syscall.pivotRoot(".", ".")
        try Syscall.detachMount(".")
        try Syscall.changeDirectory("/")
    }

    /// Descriptors for a few hundred connections; the memory of those is bounded by itself.
    private static let descriptors: UInt64 = 8192, memory: UInt64 = 512 << 20
    /// RLIMIT_NPROC, which Glibc's module does not show.
    private static let processes: Int32 = 6

    private static func giveUp(_ user: UInt32?) throws(SyscallError) {
        if let user {
            try Syscall.clearSupplementaryGroups()
            try Syscall.setGroup(user)
            try Syscall.setUser(user)
        }
        try Syscall.setCapabilities(0)
        try Syscall.setNoNewPrivileges()
        try Syscall.setDumpable(false)
        try Syscall.setLimit(
            Int32(RLIMIT_NOFILE.rawValue), min(descriptors, Syscall.hardLimitOfOpenFiles()))
        try Syscall.setLimit(Int32(RLIMIT_CORE.rawValue), 0)
        try Syscall.setLimit(Int32(RLIMIT_FSIZE.rawValue), 0)
        try Syscall.setLimit(Int32(RLIMIT_DATA.rawValue), memory)
        try Syscall.setLimit(processes, 0)
    }
}
