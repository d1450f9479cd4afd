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

        /// Reads them from `/proc/sys/kernel`.
        package static func probe() -> Settings {
            func value(_ name: String) -> String? {
                // Kernels without the setting have no such restriction.
                (try? Syscall.readFile(FilePath("/proc/sys/kernel/\(name)"), limit: 64)).map {
                    String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace }
                }
            }
            return Settings(
                isRestrictedByAppArmor: value("apparmor_restrict_unprivileged_userns") == "1",
                isForbiddenByDebian: value("unprivileged_userns_clone") == "0")
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
        case (_, .noSpace): return "make room on the disk, or in the memory that /tmp and /run use"
        case (_, .diskQuotaExceeded): return "make room within the user's quota"
        case (_, .tooManyOpenFiles), (_, .tooManyOpenFilesInSystem): return "raise the limit of open files: `ulimit -n`"
        case (_, .resourceTemporarilyUnavailable): return "raise the limit of processes: `ulimit -u`"
        case (_, .noMemory): return "make memory free on this host"
        case ("unshare", _), ("clone", _), ("write", .notPermitted), ("write", .permissionDenied):
            return namespaces(settings)
        // Ubuntu lets users make the namespace, and refuses what they do in it.
        case ("mount", .permissionDenied) where settings.isRestrictedByAppArmor: return namespaces(settings)
        case ("newuidmap", _), ("newgidmap", _):
            return "install the package `uidmap` and give this user a range: "
                + "`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`"
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
