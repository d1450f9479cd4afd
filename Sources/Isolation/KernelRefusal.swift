/// What the kernel itself refuses to sandboxes, whatever their filter lets through.
///
/// No policy gives a capability that these need, and no sandbox makes user namespaces, which would lend it one.
package struct KernelRefusal: Sendable, Hashable {
    /// Why: a fragment that stands for itself.
    package let reason: String

    /// Whether no setting of the host changes it.
    package let isCertain: Bool

    /// What the kernel says to a call with these registers; nil where it may carry it out.
    ///
    /// A use that hangs on an argument that is not given is none that it refuses.
    package init?(call: String, arguments: [UInt64]) {
        func low(_ index: Int) -> UInt64? { arguments.indices.contains(index) ? arguments[index] & 0xFFFF_FFFF : nil }
        isCertain = call != "syslog" || !(low(0).map { Self.readsOfLog.contains($0) } ?? true)
        switch call {
        case "unshare", "clone":
            guard let flags = low(0), flags & Self.namespaces != 0 else { return nil }
            reason =
                "the kernel gives a sandbox no namespaces: it has no privileges, and none of its own to get some in"
        case "socket":
            guard let family = low(0), let type = low(1).map({ $0 & 0xF }),
                family == Self.packet || (Self.internet.contains(family) && type == Self.raw)
            else { return nil }
            reason = Self.privileges
        case "syslog" where !isCertain:
            reason = "the kernel shows its log to a sandbox only where `kernel.dmesg_restrict` of the host is 0"
        default:
            guard Self.calls.contains(call) else { return nil }
            reason = Self.privileges
        }
    }

    private static let privileges = "the kernel wants privileges for it, and a sandbox has none"

    private static let calls: Set<String> = [
        "mount", "umount2", "pivot_root", "chroot", "move_mount", "fsopen", "fsmount", "fspick", "mount_setattr",
        "setns",
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
        "acct", "syslog", "settimeofday", "clock_settime", "iopl", "sethostname", "setdomainname", "vhangup",
    ]

    /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
    private static let namespaces: UInt64 = 0x7E02_0000
    /// AF_INET and AF_INET6; AF_PACKET; SOCK_RAW.
    private static let internet: Set<UInt64> = [2, 10]
    private static let packet: UInt64 = 17
    private static let raw: UInt64 = 3
    /// SYSLOG_ACTION_READ_ALL and SYSLOG_ACTION_SIZE_BUFFER.
    private static let readsOfLog: Set<UInt64> = [3, 10]
}
