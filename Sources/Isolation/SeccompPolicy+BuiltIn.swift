import SystemPackage

/// Changes of a built-in policy that are made by name.
package struct SeccompOptions: OptionSet, Sendable, Hashable, Codable {
    /// One bit for each option.
    package let rawValue: UInt8

    /// The options whose bits are set.
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Opens the group `debug` and layouts without randomisation: for py-spy, gdb, strace.
    package static let debug = SeccompOptions(rawValue: 1)

    /// Refuses file locks, by which runs that share files can signal each other.
    package static let withoutFileLocks = SeccompOptions(rawValue: 2)
}

extension SeccompPolicy {
    /// What steps may call unless their policy says otherwise.
    package static func steps(_ options: SeccompOptions = []) -> SeccompPolicy {
        var policy = SeccompPolicy(
            name: "steps", unlisted: SeccompRefusal(.noFunction, .silent, group: "unknown"),
            groups: [
                SeccompGroup(
                    "unknown", because: "the call is newer than this program, or does not exist", opening: .none)
            ])
        for area in SeccompArea.all {
            for group in area.groups { policy.add(group: group) }
            policy.set(area.rules)
        }
        policy.apply(options)
        return policy
    }

    /// What builds of environments may call: as `steps`, and modes are their own, since what they make is kept below a
    /// directory that nobody else can enter and is mounted without set-user-ID.
    package static func build(_ options: SeccompOptions = []) -> SeccompPolicy {
        var policy = steps(options)
        policy.name = "build"
        policy.open(group: "setuid-bits")
        return policy
    }

    /// What steps may call where nothing is known of them: as `steps`, without filters of their own, behind which
    /// refusals could hide.
    package static func strict(_ options: SeccompOptions = []) -> SeccompPolicy {
        var policy = steps(options)
        policy.name = "strict"
        policy.add(
            group: SeccompGroup(
                "filters", because: "a filter of the command's own could hide what was refused", opening: .group))
        // EINVAL is what a kernel without filters answers, and programs that would sandbox themselves expect it.
        let refusal = SeccompRefusal(.invalidArgument, .notify, group: "filters")
        policy.set(SeccompRule.refuse("seccomp", refusal))
        // PR_SET_SECCOMP.
        policy.set([SeccompRule("prctl", [.refuse(refusal, .int(0, 22))], otherwise: .allow)])
        return policy
    }

    /// What the first process of a sandbox may call once the command has been started: wait, pass on signals, report.
    package static func initProcess() -> SeccompPolicy {
        var policy = SeccompPolicy(
            name: "init", unlisted: SeccompRefusal(.notPermitted, .silent, group: "init"),
            groups: [
                SeccompGroup("init", because: "the first process only waits and passes on signals", opening: .none)
            ])
        policy.set(
            SeccompRule.allow(
                """
                read write pread64 close close_range poll ppoll sendmsg signalfd4 wait4 waitid kill
                rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait clock_gettime futex restart_syscall
                exit exit_group
                """))
        return policy
    }

    /// What the proxy of a filtered network may call: connect, wait, and move bytes between descriptors that it has.
    package static func proxy() -> SeccompPolicy {
        var policy = SeccompPolicy(
            name: "proxy", unlisted: SeccompRefusal(.notPermitted, .silent, group: "proxy"),
            groups: [
                SeccompGroup("proxy", because: "the proxy only moves bytes between connections", opening: .none)
            ])
        policy.set(
            SeccompRule.allow(
                """
                read write close epoll_create1 epoll_wait epoll_pwait epoll_ctl accept4 connect getsockopt setsockopt
                getsockname shutdown recvfrom recvmsg sendto sendmsg splice pipe2 fcntl clock_gettime gettimeofday
                getrandom mmap munmap mremap madvise brk futex rt_sigreturn rt_sigprocmask restart_syscall
                exit exit_group
                """))
        // AF_INET and AF_INET6.
        policy.set([
            SeccompRule(
                "socket", [.allow(.int(0, 2, 10))], otherwise: .refuse(policy.unlisted))
        ])
        return policy
    }

    private mutating func apply(_ options: SeccompOptions) {
        if options.contains(.debug) {
            open(group: "debug")
            // ADDR_NO_RANDOMIZE.
            set([SeccompArea.personality(extra: 0x4_0000)])
        }
        if options.contains(.withoutFileLocks) { refuseFileLocks() }
    }

    /// Refuses flock, and adds F_GETLK, F_SETLK, F_SETLKW and the F_OFD_ ones to what fcntl refuses.
    private mutating func refuseFileLocks() {
        add(
            group: SeccompGroup(
                "file-locks", because: "locks on shared files let runs signal each other", opening: .group))
        let refusal = SeccompRefusal(.noLocks, .notify, group: "file-locks")
        set(SeccompRule.refuse("flock", refusal))
        var fcntl = rules["fcntl"] ?? SeccompRule("fcntl", otherwise: .allow)
        fcntl.cases.append(.refuse(refusal, .int(1, 5, 6, 7, 36, 37, 38)))
        set([fcntl])
    }
}
