import Isolation

/// What a document may name in `seccomp`, beside the system calls.
enum SeccompNames {
    /// The group of calls that documents deny.
    static let denied = SeccompGroup("policy", because: "the policy denies the call", opening: .none)

    /// The groups of refusals that some built-in policy has, sorted.
    static let groups = Set(
        (BuiltInPolicies.standard.seccomp.groups.keys.map(\.rawValue))
            + BuiltInPolicies.strict.seccomp.groups.keys.map(\.rawValue)
    ).sorted()

    /// The calls without which no program starts, or ends: what the loader and the C library do in each of them.
    static let indispensable: Set<String> = [
        "execve", "exit", "exit_group", "read", "write", "close", "openat", "fstat", "newfstatat", "pread64",
        "mmap", "munmap", "mprotect", "brk", "arch_prctl", "set_tid_address", "futex",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall",
    ]
}
