import SystemPackage

extension SeccompArea {
    /// Processes, threads, their identity and their limits; what makes namespaces is in `namespaces`.
    static let processes = SeccompArea(
        groups: [
            SeccompGroup(
                "core-dumps", because: "a core limit other than the run's own can start the host's core handler",
                opening: .none),
            SeccompGroup(
                "execution-domains", because: "unusual execution domains switch off protections of a process",
                opening: .call),
            SeccompGroup(
                "first-process", because: "process 1 is not the command's to slow down or to limit", opening: .none),
        ],
        rules: [
            SeccompRule.allow(
                """
                fork vfork execve execveat exit exit_group wait4 waitid set_tid_address set_robust_list get_robust_list
                futex futex_waitv futex_wake futex_wait futex_requeue rseq rseq_slice_yield arch_prctl prctl seccomp
                landlock_create_ruleset landlock_add_rule landlock_restrict_self
                getpid getppid gettid getpgid getpgrp setpgid getsid setsid pidfd_open
                getuid geteuid getgid getegid getgroups getresuid getresgid
                setuid setgid setgroups setreuid setregid setresuid setresgid setfsuid setfsgid capget capset
                """),
            SeccompRule.allow(
                """
                sched_yield sched_getaffinity sched_getscheduler sched_getparam sched_getattr
                sched_get_priority_max sched_get_priority_min sched_rr_get_interval
                getpriority ioprio_get getrusage getrlimit
                getcpu getrandom uname sysinfo times restart_syscall
                """),
            // The kernel's own trampolines make these two; a program that does is stopped by a signal.
            SeccompRule.allow("uprobe uretprobe"),
            [
                SeccompRule("setrlimit", [.refuse(coreLimit, .int(0, coreResource))], otherwise: .allow),
                SeccompRule(
                    "prlimit64",
                    [
                        .allow(.null(2)), .refuse(coreLimit, .int(1, coreResource)),
                        .refuse(firstProcess, .int(0, 1)),
                    ], otherwise: .allow),
                // A process, a group of processes, all processes of a user: from 0 on here, from 1 on there.
                priority("setpriority", kinds: 0...2), priority("ioprio_set", kinds: 1...3),
                personality(extra: 0),
            ],
            ["sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"].map {
                SeccompRule($0, [.refuse(firstProcess, .int(0, 1))], otherwise: .allow)
            },
        ])

    /// Where there is a single id, process 1 has the command's, and the kernel would allow it.
    private static let firstProcess = SeccompRefusal(.notPermitted, .silent, group: "first-process")

    private static func priority(_ call: String, kinds: ClosedRange<UInt32>) -> SeccompRule {
        let processOrGroup = SeccompCondition(
            argument: 0, test: .low(mask: .max, oneOf: [kinds.lowerBound, kinds.lowerBound + 1]))
        return SeccompRule(
            call,
            [.refuse(firstProcess, processOrGroup, .int(1, 1)), .refuse(firstProcess, .int(0, kinds.upperBound))],
            otherwise: .allow)
    }

    private static let coreResource: UInt32 = 4
    private static let coreLimit = SeccompRefusal(.notPermitted, .notify, group: "core-dumps")

    /// Linux, Linux 32 bit, each with UNAME26, and the question for the present one; and each of the four with `extra`.
    static func personality(extra: UInt32) -> SeccompRule {
        let domains: [UInt32] = [0, 8, 0x2_0000, 0x2_0008]
        let values = domains + (extra == 0 ? [] : domains.map { $0 | extra }) + [0xFFFF_FFFF]
        let known = SeccompCondition(argument: 0, test: .low(mask: .max, oneOf: values))
        return SeccompRule(
            "personality", [.allow(known)],
            otherwise: .refuse(SeccompRefusal(.notPermitted, .notify, group: "execution-domains")))
    }
}
