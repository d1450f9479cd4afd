import Isolation
import LinuxSystem
package import SandboxLaunch
import SystemPackage

/// What to do about a sandbox that could not be set up: the remedy of each obstacle that hosts are known to have.
package enum SetupRemedy {
    /// Settings of the host that decide over user namespaces, read when a failure points at them.
    package struct Settings: Sendable {
        /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`, Debian's `kernel.unprivileged_userns_clone`.
        var isRestrictedByAppArmor: Bool
        var isForbiddenByDebian: Bool
        /// Whether no program that this process starts gets rights by its owner (PR_SET_NO_NEW_PRIVS).
        var hasNoNewPrivileges = false

        /// Reads them from `/proc`.
        package static func probe() -> Settings {
            func value(_ name: String) -> String? {
                // Kernels without the setting have no such restriction.
                (try? Syscall.readFile(FilePath("/proc/sys/kernel/\(name)"), limit: 64)).map {
                    String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace }
                }
            }
            let status = (try? Syscall.readFile("/proc/self/status", limit: 65536)) ?? []
            return Settings(
                isRestrictedByAppArmor: value("apparmor_restrict_unprivileged_userns") == "1",
                isForbiddenByDebian: value("unprivileged_userns_clone") == "0",
                hasNoNewPrivileges: String(decoding: status, as: UTF8.self).contains("\nNoNewPrivs:\t1\n"))
        }
    }

    private static let doctor = "run `cloche system doctor`"

    /// One sentence, without full stop.
    package static func of(_ error: LaunchError, _ settings: Settings = .probe()) -> String {
        if let remedy = error.remedy { return remedy }
        guard let errno = error.errno else { return doctor }
        switch (error.call ?? "", errno) {
        case (_, .noSpace) where error.call == "unshare" || error.call == "clone":
            return "let users make more namespaces: `sudo sysctl user.max_user_namespaces=15000`, and the like for the "
                + "other kinds in /proc/sys/user"
        // Of a terminal's making.
        case ("ioctl", .noSpace):
            return "close terminals, of which this host has no more to give, or let it have more: "
                + "`sudo sysctl kernel.pty.max=8192`"
        case (_, .noSpace): return "make room on the disk, or in the memory that /tmp and /run use"
        case (_, .diskQuotaExceeded): return "make room within the user's quota"
        case (_, .fileTooLarge): return "raise the limit of the size of files: `ulimit -f`"
        case (_, .tooManyOpenFiles), (_, .tooManyOpenFilesInSystem): return "raise the limit of open files: `ulimit -n`"
        case (_, .resourceTemporarilyUnavailable):
            return "raise `limits.pids` of the policy where that is but a few, or else this user's limit of processes: "
                + "`ulimit -u`"
        case (_, .noMemory): return "make memory free on this host"
        case ("unshare", _), ("clone", _), ("write", .notPermitted), ("write", .permissionDenied):
            return namespaces(settings)
        // Ubuntu lets users make the namespace, and refuses what they do in it.
        case ("mount", .permissionDenied) where settings.isRestrictedByAppArmor: return namespaces(settings)
        case ("newuidmap", _), ("newgidmap", _): return idMaps(error, settings)
        case ("execute", .noSuchFileOrDirectory) where error.object?.hasSuffix("idmap") == true:
            return "install the package `uidmap`"
        case ("mount", .notPermitted) where error.object?.hasSuffix("/proc") == true:
            return "let the container that this runs in show its whole /proc (Docker: "
                + "`--security-opt systempaths=unconfined`): the kernel gives no new /proc where parts are covered"
        case ("mount", .operationNotSupportedByDevice), ("mount", .notPermitted), ("mount", .invalidArgument):
            return "use Linux 6.1 or later with overlayfs, which users may mount in their own namespaces; in a "
                + "container, allow mounts and user namespaces; " + doctor
        case ("seccomp", .invalidArgument), ("seccomp", .noFunction):
            return "use a kernel with seccomp filters and user notification (CONFIG_SECCOMP_FILTER, Linux 5.5)"
        case ("open_tree", _), ("move_mount", _), ("mount_setattr", _):
            return "use Linux 6.1 or later, and in a container one whose filter allows mount calls"
        default: return doctor
        }
    }

    /// A store has a range only where its user had one when it was made.
    private static func idMaps(_ error: LaunchError, _ settings: Settings) -> String {
        if settings.hasNoNewPrivileges {
            return
                "start Cloche without `no_new_privs`, under which \(error.call ?? "newuidmap") gets no rights: without "
                + "`setpriv --no-new-privs`, in a unit of systemd with `NoNewPrivileges=no`, in a container without "
                + "`no-new-privileges`"
        }
        // The process, then inside, outside and count of each range.
        let words = (error.object ?? "").split(separator: " ")
        let line =
            words.count > 3
            ? " (in \(error.call == "newgidmap" ? "/etc/subgid" : "/etc/subuid") a line "
                + "`USER:\(words[2]):\(SubordinateRange.width)`)" : ""
        return "give the user the same range again that the store was made with\(line), or set CLOCHE_HOME to another "
            + "directory; the programs of the package `uidmap` need their set-user-ID bit"
    }

    private static func namespaces(_ settings: Settings) -> String {
        if settings.isRestrictedByAppArmor {
            return "lift Ubuntu's restriction, `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give "
                + "the programs of Cloche an AppArmor profile with `userns`"
        }
        if settings.isForbiddenByDebian {
            return "allow user namespaces: `sudo sysctl kernel.unprivileged_userns_clone=1`"
        }
        return "allow user namespaces on this host; in a container, by its seccomp and AppArmor settings; " + doctor
    }
}
