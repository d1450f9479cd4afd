/// Names of the values that one argument of a call can have.
struct SystemCallSymbols: Sendable {
    /// The values and their names, in the order in which flags are written.
    let entries: [(value: UInt32, name: String)]

    private init(_ entries: KeyValuePairs<UInt32, String>) { self.entries = entries.map { ($0.key, $0.value) } }

    /// The name of exactly `value`.
    func name(of value: UInt32) -> String? { entries.first { $0.value == value }?.name }

    static let families = SystemCallSymbols([
        0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 3: "AF_AX25", 4: "AF_IPX", 5: "AF_APPLETALK", 9: "AF_X25",
        10: "AF_INET6", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 21: "AF_RDS", 24: "AF_PPPOX", 26: "AF_LLC",
        27: "AF_IB", 28: "AF_MPLS", 29: "AF_CAN", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 33: "AF_RXRPC",
        36: "AF_IEEE802154",
        38: "AF_ALG", 39: "AF_NFC", 40: "AF_VSOCK", 41: "AF_KCM", 42: "AF_QIPCRTR", 43: "AF_SMC", 44: "AF_XDP",
        45: "AF_MCTP",
    ])

    static let socketTypes = SystemCallSymbols([
        1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET", 6: "SOCK_DCCP",
        10: "SOCK_PACKET",
    ])

    static let socketFlags = SystemCallSymbols([0x800: "SOCK_NONBLOCK", 0x8_0000: "SOCK_CLOEXEC"])

    static let protocols = SystemCallSymbols([
        1: "IPPROTO_ICMP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 33: "IPPROTO_DCCP", 58: "IPPROTO_ICMPV6",
        132: "IPPROTO_SCTP", 136: "IPPROTO_UDPLITE", 255: "IPPROTO_RAW", 262: "IPPROTO_MPTCP",
    ])

    static let socketLevels = SystemCallSymbols([
        0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6",
    ])

    static let namespaces = SystemCallSymbols([
        0x2_0000: "CLONE_NEWNS", 0x200_0000: "CLONE_NEWCGROUP", 0x400_0000: "CLONE_NEWUTS", 0x800_0000: "CLONE_NEWIPC",
        0x1000_0000: "CLONE_NEWUSER", 0x2000_0000: "CLONE_NEWPID", 0x4000_0000: "CLONE_NEWNET", 0x80: "CLONE_NEWTIME",
        0x200: "CLONE_FS", 0x400: "CLONE_FILES", 0x800: "CLONE_SIGHAND", 0x1_0000: "CLONE_THREAD",
        0x4_0000: "CLONE_SYSVSEM",
    ])

    static let cloneFlags = SystemCallSymbols([
        0x100: "CLONE_VM", 0x200: "CLONE_FS", 0x400: "CLONE_FILES", 0x800: "CLONE_SIGHAND", 0x1000: "CLONE_PIDFD",
        0x2000: "CLONE_PTRACE", 0x4000: "CLONE_VFORK", 0x8000: "CLONE_PARENT", 0x1_0000: "CLONE_THREAD",
        0x2_0000: "CLONE_NEWNS", 0x4_0000: "CLONE_SYSVSEM", 0x8_0000: "CLONE_SETTLS", 0x10_0000: "CLONE_PARENT_SETTID",
        0x20_0000: "CLONE_CHILD_CLEARTID", 0x100_0000: "CLONE_CHILD_SETTID", 0x200_0000: "CLONE_NEWCGROUP",
        0x400_0000: "CLONE_NEWUTS", 0x800_0000: "CLONE_NEWIPC", 0x1000_0000: "CLONE_NEWUSER",
        0x2000_0000: "CLONE_NEWPID", 0x4000_0000: "CLONE_NEWNET", 17: "SIGCHLD",
    ])

    static let openFlags = SystemCallSymbols([
        0o20_200_000: "O_TMPFILE", 1: "O_WRONLY", 2: "O_RDWR", 0o100: "O_CREAT", 0o200: "O_EXCL", 0o1000: "O_TRUNC",
        0o2000: "O_APPEND", 0o4000: "O_NONBLOCK", 0o2_000_000: "O_CLOEXEC",
    ])

    static let fileControls = SystemCallSymbols([
        5: "F_GETLK", 6: "F_SETLK", 7: "F_SETLKW", 36: "F_OFD_GETLK", 37: "F_OFD_SETLK", 38: "F_OFD_SETLKW",
        1024: "F_SETLEASE", 1025: "F_GETLEASE", 1026: "F_NOTIFY",
    ])

    static let lockOperations = SystemCallSymbols([1: "LOCK_SH", 2: "LOCK_EX", 4: "LOCK_NB", 8: "LOCK_UN"])

    static let deviceRequests = SystemCallSymbols([
        0x5412: "TIOCSTI", 0x541C: "TIOCLINUX", 0x541D: "TIOCCONS", 0x5423: "TIOCSETD",
    ])

    static let resources = SystemCallSymbols([
        0: "RLIMIT_CPU", 1: "RLIMIT_FSIZE", 2: "RLIMIT_DATA", 3: "RLIMIT_STACK", 4: "RLIMIT_CORE", 5: "RLIMIT_RSS",
        6: "RLIMIT_NPROC", 7: "RLIMIT_NOFILE", 8: "RLIMIT_MEMLOCK", 9: "RLIMIT_AS",
    ])

    static let traceRequests = SystemCallSymbols([
        0: "PTRACE_TRACEME", 1: "PTRACE_PEEKTEXT", 2: "PTRACE_PEEKDATA", 4: "PTRACE_POKETEXT", 5: "PTRACE_POKEDATA",
        7: "PTRACE_CONT", 16: "PTRACE_ATTACH", 17: "PTRACE_DETACH", 0x4206: "PTRACE_SEIZE",
    ])

    static let processControls = SystemCallSymbols([22: "PR_SET_SECCOMP"])

    static let seccompOperations = SystemCallSymbols([
        0: "SECCOMP_SET_MODE_STRICT", 1: "SECCOMP_SET_MODE_FILTER", 2: "SECCOMP_GET_ACTION_AVAIL",
        3: "SECCOMP_GET_NOTIF_SIZES",
    ])
}
