import LinuxSystem
import SystemPackage

/// What a launch must know of the kernel that it runs on; found by trying, never by version.
package struct HostFacts: Sendable, Hashable {
    /// Files of procfs that are not their owner's alone here, and directories that exist, all of which are covered in every
    /// sandbox.
    package var maskedFiles: [String]
    package var maskedDirectories: [String]
    /// Paths of procfs that exist here and become read-only.
    package var readOnlyPaths: [String]
    /// How many open files a process may have at most; only a privileged one could raise it.
    package var openFiles: UInt64
    /// Whether Landlock can keep a command from making sockets, and leaves it the moving of files (landlock(7)).
    package var canForbidSockets: Bool
    /// Whether a program of the host gets the memory of commands that crash: one behind a pipe, which no limit holds off.
    package var startsCoreHandler = false

    // The lists that container engines agree on, as far as they lie in procfs; and what tells of the work of others on the
    // same host. Programs take these files for those of a kernel that has nothing to tell.
    private static let files = [
        "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "interrupts", "kallsyms",
        "kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo", "slabinfo", "modules", "diskstats", "partitions",
        "softirqs", "schedstat", "zoneinfo", "buddyinfo", "pagetypeinfo", "cgroups",
    ]
    private static let directories = [
        "acpi", "asound", "scsi", "driver", "tty", "dynamic_debug", "fs", "irq", "pressure",
    ]
    private static let readOnly = ["bus", "sys", "sysrq-trigger"]

    /// Looks at the host's procfs, before it is left behind.
    static func probe() -> HostFacts {
        HostFacts(
            maskedFiles: files.filter { isForOthers(FilePath("/proc/\($0)")) },
            maskedDirectories: directories.filter { Syscall.exists(FilePath("/proc/\($0)")) },
            readOnlyPaths: readOnly.filter { Syscall.exists(FilePath("/proc/\($0)")) },
            openFiles: Syscall.hardLimitOfOpenFiles(), canForbidSockets: Syscall.landlockVersion() >= 2,
            startsCoreHandler: !CallerSettings.forbidCoreHandlers() && hasCoreHandler())
    }

    private static func hasCoreHandler() -> Bool {
        // A program behind a pipe, or behind a socket (core(5)). Who hides the setting hides which of them it is.
        guard let pattern = try? Syscall.readFile("/proc/sys/kernel/core_pattern", limit: 256) else { return true }
        return pattern.first == UInt8(ascii: "|") || pattern.first == UInt8(ascii: "@")
    }

    /// Whether somebody else than its owner may open a file of procfs.
    ///
    /// The owner is root of the host, whose id no sandbox has: nobody in one may open what is root's alone, with whatever
    /// capabilities (user_namespaces(7)). It needs no mask, and a mount costs a launch more than most of its calls.
    private static func isForOthers(_ path: FilePath) -> Bool {
        do throws(SyscallError) {
            return try Syscall.lstat(path).permissions & 0o077 != 0
        } catch {
            return error.errno != .noSuchFileOrDirectory && error.errno != .notDirectory
        }
    }
}
