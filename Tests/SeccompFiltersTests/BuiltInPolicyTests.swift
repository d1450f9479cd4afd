import Isolation
import SeccompFilters
import SystemPackage
import Testing

/// One call and what becomes of it: nil where it is allowed, else the error's number.
struct Expectation: Sendable, CustomStringConvertible {
    let call: String
    let arguments: [UInt64]
    let errno: CInt?

    init(_ call: String, _ arguments: UInt64..., errno: CInt? = nil) {
        self.call = call
        self.arguments = arguments
        self.errno = errno
    }

    var description: String { "\(call)\(arguments)" }
}

@Suite struct BuiltInPolicyTests {
    static let perm: CInt = 1
    static let nosys: CInt = 38
    static let family: CInt = 97
    static let noProtocol: CInt = 93

    static let steps: [Expectation] = [
        // Set-user-ID bits, each way of making them.
        Expectation("chmod", 0, 0o755), Expectation("chmod", 0, 0o1777), Expectation("chmod", 0, 0o4755, errno: perm),
        Expectation("fchmod", 3, 0o2755, errno: perm), Expectation("fchmodat", 0, 0, 0o6755, errno: perm),
        Expectation("fchmodat2", 0, 0, 0o4000, errno: perm), Expectation("creat", 0, 0o4644, errno: perm),
        Expectation("mkdir", 0, 0o2755, errno: perm), Expectation("mkdirat", 0, 0, 0o2755, errno: perm),
        Expectation("open", 0, 0o101, 0o4755, errno: perm), Expectation("open", 0, 0, 0o4755),
        Expectation("openat", 0, 0, 0o100, 0o2755, errno: perm), Expectation("openat", 0, 0, 0o100, 0o644),
        Expectation("openat", 0, 0, 0o20_200_002, 0o4755, errno: perm), Expectation("openat2", errno: nosys),
        Expectation("mknod", 0, 0o100_644), Expectation("mknod", 0, 0o644), Expectation("mknod", 0, 0o010_644),
        Expectation("mknodat", 0, 0, 0o140_644), Expectation("mknod", 0, 0o020_000, errno: perm),
        Expectation("mknodat", 0, 0, 0o060_644, errno: perm), Expectation("mknod", 0, 0o104_755, errno: perm),
        // Namespaces.
        Expectation("clone", 0x1200011), Expectation("clone", 0x3D0F00), Expectation("clone", 0x1000_0011, errno: perm),
        Expectation("clone", 0x0002_0000, errno: perm), Expectation("clone", 0x4000_0000, errno: perm),
        Expectation("clone3", errno: nosys), Expectation("unshare", 0, errno: perm),
        Expectation("setns", 3, 0, errno: perm),
        // Sockets.
        Expectation("socket", 1, 1, 0), Expectation("socket", 1, 5, 0), Expectation("socket", 2, 0x80801, 6),
        Expectation("socket", 10, 2, 17), Expectation("socket", 2, 2, 1), Expectation("socket", 10, 2, 58),
        Expectation("socket", 16, 0x80003, 0), Expectation("socket", 16, 3, 9, errno: family),
        Expectation("socket", 16, 3, 12, errno: family), Expectation("socket", 40, 1, 0, errno: family),
        Expectation("socket", 38, 5, 0, errno: family), Expectation("socket", 17, 3, 0, errno: family),
        Expectation("socket", 2, 3, 1, errno: perm), Expectation("socket", 2, 1, 262, errno: noProtocol),
        Expectation("socket", 2, 2, 136, errno: noProtocol), Expectation("socket", 2, 5, 0, errno: noProtocol),
        Expectation("socket", 2, 1, 132, errno: noProtocol), Expectation("socket", 2, 10, 0, errno: noProtocol),
        Expectation("socketpair", 1, 1, 0), Expectation("socketpair", 30, 1, 0, errno: family),
        Expectation("setsockopt", 3, 6, 31, errno: 92), Expectation("setsockopt", 3, 6, 1),
        // Requests and limits.
        Expectation("ioctl", 0, 0x5412, errno: perm), Expectation("ioctl", 0, 0x541C, errno: perm),
        Expectation("ioctl", 0, 0x541D, errno: perm), Expectation("ioctl", 0, 0x5423, errno: perm),
        Expectation("ioctl", 0, 0x5401), Expectation("fcntl", 3, 1024, errno: perm),
        Expectation("fcntl", 3, 1026, errno: perm), Expectation("fcntl", 3, 6), Expectation("prlimit64", 0, 4, 0, 1),
        Expectation("prlimit64", 0, 4, 1 << 32, 0, errno: perm), Expectation("prlimit64", 0, 7, 1),
        Expectation("setrlimit", 4, 1, errno: perm), Expectation("setrlimit", 7, 1), Expectation("personality", 0),
        Expectation("personality", 0xFFFF_FFFF), Expectation("personality", 0x40000, errno: perm),
        // Whole calls.
        Expectation("mount", errno: perm), Expectation("chroot", errno: perm), Expectation("fsopen", errno: nosys),
        Expectation("bpf", errno: perm), Expectation("io_uring_setup", errno: nosys),
        Expectation("keyctl", errno: nosys), Expectation("userfaultfd", errno: nosys),
        Expectation("splice", errno: nosys), Expectation("vmsplice", errno: nosys),
        Expectation("mbind", errno: perm), Expectation("ptrace", 16, errno: perm),
        Expectation("open_by_handle_at", errno: perm), Expectation("seccomp", 1), Expectation("prctl", 22, 2),
        Expectation("flock", 3, 2), Expectation("execve"), Expectation("memfd_create"), Expectation("sendfile"),
    ]

    @Test(arguments: steps)
    func `steps may do this much`(expected: Expectation) throws {
        try check(expected, .steps())
    }

    @Test(arguments: [
        Expectation("chmod", 0, 0o4755), Expectation("openat", 0, 0, 0o100, 0o2755), Expectation("openat2"),
        Expectation("fchmodat2", 0, 0, 0o6755), Expectation("mkdir", 0, 0o2775), Expectation("chown"),
        Expectation("mknod", 0, 0o020_000, errno: perm), Expectation("mount", errno: perm),
        Expectation("unshare", 0, errno: perm), Expectation("clone", 0x1000_0000, errno: perm),
        Expectation("init_module", errno: perm), Expectation("socket", 40, 1, 0, errno: family),
        Expectation("chroot", errno: perm),
    ])
    func `builds may set modes besides, and no more`(expected: Expectation) throws {
        try check(expected, .build())
    }

    @Test(arguments: [
        Expectation("seccomp", 1, errno: 22), Expectation("prctl", 22, 2, errno: 22), Expectation("prctl", 15),
        Expectation("flock", 3, 2, errno: 37), Expectation("fcntl", 3, 6, errno: 37),
        Expectation("fcntl", 3, 38, errno: 37), Expectation("fcntl", 3, 1024, errno: perm), Expectation("fcntl", 3, 3),
        Expectation("chmod", 0, 0o4755, errno: perm),
    ])
    func `strict steps have no filters of their own, and no locks where that is asked`(expected: Expectation) throws {
        try check(expected, .strict(.withoutFileLocks))
    }

    @Test(arguments: [
        Expectation("ptrace", 16), Expectation("process_vm_readv"), Expectation("process_vm_writev"),
        Expectation("kcmp"), Expectation("personality", 0x40000), Expectation("personality", 0x1, errno: perm),
        Expectation("pidfd_getfd", errno: nosys), Expectation("unshare", 0, errno: perm),
    ])
    func `debugging opens what debuggers need`(expected: Expectation) throws {
        try check(expected, .steps(.debug))
    }

    @Test func `the first process may call what it needs and nothing else`() throws {
        let needed: Set<String> = [
            "read", "write", "close", "wait4", "waitid", "kill", "exit", "exit_group", "rt_sigaction", "rt_sigprocmask",
            "rt_sigreturn", "rt_sigtimedwait", "ppoll", "poll", "signalfd4", "pread64", "clock_gettime", "futex",
            "restart_syscall", "sendmsg", "close_range",
        ]
        for name in SystemCallTable.x86_64.names {
            try check(Expectation(name, errno: needed.contains(name) ? nil : Self.perm), .initProcess())
        }
    }

    /// Compares plainly, then with garbage in the high half of each 32-bit argument.
    private func check(_ expected: Expectation, _ policy: SeccompPolicy) throws {
        let program = try FilterCompiler(architecture: .x86_64, mode: .silent).compile(policy)
        let simulator = try FilterSimulator(bytes: program.bytes)
        let number = try #require(SystemCallTable.x86_64.number(of: expected.call))
        let action: FilterAction = expected.errno.map { .errno(.init(rawValue: $0)) } ?? .allow
        let pointers: Set<Int> = expected.call == "prlimit64" ? [2] : []
        for high in [0, 1 << 32, 0xFFFF_FFFF << 32] as [UInt64] {
            let arguments = expected.arguments.enumerated().map { place, value in
                pointers.contains(place) ? value : value | high
            }
            let call = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
            #expect(try simulator.run(call).action == action, "high bits \(high)")
        }
    }
}
