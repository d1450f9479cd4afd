import CLinux
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Syscall {
    /// unshare(2): one or more of the `CLONE_NEW*` flags of `NamespaceFlags`.
    package static func unshare(_ flags: NamespaceFlags) throws(SyscallError) {
        _ = try check("unshare") { CLinux_unshare(flags.rawValue) }
    }

    /// setns(2).
    package static func joinNamespace(_ namespace: CInt, _ kind: NamespaceFlags) throws(SyscallError) {
        _ = try check("setns") { CLinux_setns(namespace, kind.rawValue) }
    }

    /// Brings the loopback device of this network namespace up (netdevice(7)).
    package static func bringLoopbackUp() throws(SyscallError) {
        _ = try check("bring up", "lo") { CLinux_loopback_up() }
    }

    /// setresuid(2) of this thread.
    package static func setUser(_ id: UInt32) throws(SyscallError) {
        _ = try check("setresuid", String(id)) { CLinux_setresuid(id, id, id) }
    }

    /// setresgid(2) of this thread.
    package static func setGroup(_ id: UInt32) throws(SyscallError) {
        _ = try check("setresgid", String(id)) { CLinux_setresgid(id, id, id) }
    }

    /// setfsuid(2) and setfsgid(2) of this thread: the ids with which it makes files.
    ///
    /// Both calls tell the former id and no failure; whether the change was made is asked for.
    package static func setFileIdentity(user: UInt32, group: UInt32) throws(SyscallError) {
        _ = CLinux_setfsgid(group)
        _ = CLinux_setfsuid(user)
        guard CLinux_setfsgid(.max) == Int32(bitPattern: group), CLinux_setfsuid(.max) == Int32(bitPattern: user) else {
            throw SyscallError("setfsuid", String(user), errno: .notPermitted)
        }
    }

    /// setgroups(2) with no group.
    package static func clearSupplementaryGroups() throws(SyscallError) {
        _ = try check("setgroups") { CLinux_setgroups(0, nil) }
    }

    /// getgroups(2); nothing where the kernel does not tell.
    package static func supplementaryGroups() -> [UInt32] {
        var groups = [gid_t](repeating: 0, count: 65536)
        let count = Glibc.getgroups(CInt(groups.count), &groups)
        return count > 0 ? Array(groups.prefix(Int(count))) : []
    }

    /// prctl(2), PR_SET_KEEPCAPS: whether permitted capabilities survive a change of the user id.
    package static func keepCapabilities(_ keep: Bool) throws(SyscallError) {
        _ = try check("prctl PR_SET_KEEPCAPS") { CLinux_prctl(CInt(CLinux_PR_SET_KEEPCAPS), keep ? 1 : 0, 0, 0, 0) }
    }

    /// prctl(2), PR_SET_NO_NEW_PRIVS.
    package static func setNoNewPrivileges() throws(SyscallError) {
        _ = try check("prctl PR_SET_NO_NEW_PRIVS") {
            CLinux_prctl(CInt(CLinux_PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0)
        }
    }

    /// prctl(2), PR_SET_DUMPABLE.
    package static func setDumpable(_ dumpable: Bool) throws(SyscallError) {
        _ = try check("prctl PR_SET_DUMPABLE") { CLinux_prctl(CInt(CLinux_PR_SET_DUMPABLE), dumpable ? 1 : 0, 0, 0, 0) }
    }

    /// prctl(2), PR_SET_PDEATHSIG: the signal that this process gets when its parent's thread ends.
    package static func setParentDeathSignal(_ signal: CInt) throws(SyscallError) {
        _ = try check("prctl PR_SET_PDEATHSIG") {
            CLinux_prctl(CInt(CLinux_PR_SET_PDEATHSIG), UInt(signal), 0, 0, 0)
        }
    }

    /// Ends this process with SIGKILL when `parent` ends, from now on or before now.
    ///
    /// A change of ids forgets the signal of the parent's death: it is asked for again after each.
    package static func endWithParent(_ parent: Int32) throws(SyscallError) {
        try setParentDeathSignal(SIGKILL)
        // A parent that ended before the line above sends no signal any more.
        if getppid() != parent { _exit(125) }
    }

    /// capset(2): permitted and effective become `set`, inheritable becomes empty.
    package static func setCapabilities(_ set: UInt64) throws(SyscallError) {
        _ = try check("capset") { CLinux_capset(set, set, 0) }
    }

    /// fork(2) for a process that has a single thread; returns 0 in the child.
    package static func fork() throws(SyscallError) -> Int32 {
        try check("fork") { CLinux_fork() }
    }

    /// As `fork`, but the new process is a child of the caller's parent (clone(2), CLONE_PARENT).
    package static func forkSibling() throws(SyscallError) -> Int32 {
        try check("clone") { CLinux_fork_sibling() }
    }

    /// prctl(2), PR_SET_NAME: the short name of this process, of which 15 bytes count.
    package static func setName(_ name: String) throws(SyscallError) {
        _ = try check("prctl PR_SET_NAME") {
            name.withCString { CLinux_prctl(CInt(CLinux_PR_SET_NAME), UInt(bitPattern: $0), 0, 0, 0) }
        }
    }

    /// kill(2): only for processes that the caller itself started and has not yet waited for.
    package static func kill(_ process: Int32, _ signal: CInt) throws(SyscallError) {
        _ = try check("kill") { Glibc.kill(process, signal) }
    }

    /// The user id that SO_PEERCRED gives for a connected UNIX socket.
    package static func peerUser(_ socket: CInt) throws(SyscallError) -> UInt32 {
        var process: Int32 = 0
        var user: uid_t = 0
        var group: gid_t = 0
        _ = try check("getsockopt SO_PEERCRED") { CLinux_peer_credentials(socket, &process, &user, &group) }
        return user
    }

    /// The hard limit of RLIMIT_NOFILE (getrlimit(2)).
    package static func hardLimitOfOpenFiles() -> UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return UInt64(limit.rlim_max)
    }

    /// The hard limit of a resource (getrlimit(2)); without any where it cannot be read.
    package static func hardLimit(of resource: Int32) -> UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(UInt32(bitPattern: resource)), &limit) == 0 else { return .max }
        return UInt64(limit.rlim_max)
    }

    /// Takes on the plain scheduling class, where this process has one of real time (sched(7)).
    package static func leaveRealTime() throws(SyscallError) {
        // That of deadlines is 6, which the header shows to no Swift.
        guard [SCHED_FIFO, SCHED_RR, 6].contains(sched_getscheduler(0) & 0xFF) else { return }
        var parameters = sched_param()
        parameters.sched_priority = 0
        _ = try check("sched_setscheduler") { sched_setscheduler(0, SCHED_OTHER, &parameters) }
    }

    /// Goes back to the plain nice value, where this process has a better one (getpriority(2)).
    package static func leaveRaisedPriority() throws(SyscallError) {
        let process = __priority_which_t(PRIO_PROCESS.rawValue)
        guard getpriority(process, 0) < 0 else { return }
        _ = try check("setpriority") { setpriority(process, 0, 0) }
    }

    /// The version of Landlock that the kernel has in force, 0 for none (landlock_create_ruleset(2)).
    package static func landlockVersion() -> Int { max(0, Int(CLinux_landlock_version())) }

    /// Numbers of the CPUs that this process may run on (sched_getaffinity(2)).
    package static func allowedProcessors() throws(SyscallError) -> [Int] {
        var mask = [UInt8](repeating: 0, count: 1024)
        let count = try check("sched_getaffinity") { CLinux_sched_getaffinity(&mask, mask.count) }
        return (0..<(Int(count) * 8)).filter { mask[$0 / 8] & (1 << UInt8($0 % 8)) != 0 }
    }
}

/// Kinds of namespaces, as clone(2) numbers them.
package struct NamespaceFlags: OptionSet, Sendable, Hashable {
    package let rawValue: CInt
    package init(rawValue: CInt) { self.rawValue = rawValue }
    /// User ids and capabilities.
    package static let user = NamespaceFlags(rawValue: 0x1000_0000)
    /// The mount table.
    package static let mount = NamespaceFlags(rawValue: 0x0002_0000)
    /// Process ids.
    package static let process = NamespaceFlags(rawValue: 0x2000_0000)
    /// Network devices, addresses, ports, abstract sockets.
    package static let network = NamespaceFlags(rawValue: 0x4000_0000)
    /// System V IPC and POSIX message queues.
    package static let ipc = NamespaceFlags(rawValue: 0x0800_0000)
    /// Host and domain name.
    package static let hostName = NamespaceFlags(rawValue: 0x0400_0000)
    /// The view of control groups.
    package static let controlGroup = NamespaceFlags(rawValue: 0x0200_0000)
}

/// How a process ended.
package enum ProcessEnd: Sendable, Hashable {
    /// It exited with this status.
    case exited(Int32)
    /// This signal ended it.
    case signalled(Int32)
}

/// What a process and its waited-for children used, as getrusage(2) tells it.
package struct ProcessUsage: Sendable, Hashable {
    /// Seconds of user and system time.
    package let userSeconds: Double, systemSeconds: Double
    /// Largest resident size of one process, in bytes.
    package let peakResident: Int64

    init(_ usage: Glibc.rusage) {
        userSeconds = Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
        systemSeconds = Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
        peakResident = Int64(usage.ru_maxrss) * 1024
    }

    private init(userSeconds: Double, systemSeconds: Double, peakResident: Int64) {
        self.userSeconds = userSeconds
        self.systemSeconds = systemSeconds
        self.peakResident = peakResident
    }

    /// The same with other times, in seconds, which who counted them knows better.
    package func with(user: Double, system: Double) -> ProcessUsage {
        ProcessUsage(userSeconds: user, systemSeconds: system, peakResident: peakResident)
    }
}

/// A process by its pidfd: signals and waits can never hit another process that took over the number.
package struct ProcessHandle: ~Copyable, Sendable {
    private let pidfd: OwnedFileDescriptor

    /// Takes over a pidfd.
    package init(adopting pidfd: consuming OwnedFileDescriptor) { self.pidfd = pidfd }

    /// Opens a child of the caller, or another process whose number cannot be reused meanwhile (pidfd_open(2)).
    package init(opening process: Int32) throws(SyscallError) {
        pidfd = OwnedFileDescriptor(adopting: try Syscall.check("pidfd_open") { CLinux_pidfd_open(process, 0) })
    }

    /// The descriptor for epoll(7): readable when the process has ended.
    package var number: CInt { pidfd.number }

    /// pidfd_send_signal(2); a process that has already ended is no error.
    package func signal(_ signal: CInt) throws(SyscallError) {
        do throws(SyscallError) {
            _ = try Syscall.check("pidfd_send_signal") { CLinux_pidfd_send_signal(pidfd.number, signal, 0) }
        } catch  where error.errno == .noSuchProcess {}
    }

    /// Sends a signal to the whole process group that the process leads, as a terminal does; to the process alone on
    /// kernels before 6.9, which know no groups here.
    package func signalGroup(_ signal: CInt) throws(SyscallError) {
        // PIDFD_SIGNAL_PROCESS_GROUP
        if CLinux_pidfd_send_signal(pidfd.number, signal, 4) == 0 { return }
        try self.signal(signal)
    }

    /// Reaps the process (waitid(2), P_PIDFD); nil when it still runs and `block` is false.
    ///
    /// For its parent only.
    package func wait(block: Bool = true) throws(SyscallError) -> (end: ProcessEnd, usage: ProcessUsage)? {
        var pid: CInt = 0
        var code: CInt = 0
        var status: CInt = 0
        var usage = Glibc.rusage()
        let options = WEXITED | (block ? 0 : WNOHANG)
        _ = try Syscall.check("waitid") {
            CLinux_waitid_pidfd(pidfd.number, options, &pid, &code, &status, &usage)
        }
        guard pid != 0 else { return nil }
        // CLD_EXITED is 1; CLD_KILLED and CLD_DUMPED are 2 and 3.
        return (code == 1 ? .exited(status) : .signalled(status), ProcessUsage(usage))
    }
}
