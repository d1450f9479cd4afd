import Foundation

extension FaultyLaunch {
    /// Calls whose failure does not matter, and why.
    ///
    /// Each is known by its name and by a piece of its text, or by the fault where the text does not tell it from others.
    enum Harmless {
        private static let reasons: [(call: String, text: String, reason: String)] = [
            ("ioctl", "TCGETS", "asks whether a standard stream is a terminal"),
            ("openat", "/sys/devices/system/cpu/possible", "the C++ library counts processors when it starts"),
            ("openat", "/sys/devices/system/cpu/online", "tells where a host has fewer than a limit"),
            ("prlimit64", "RLIMIT_CORE, NULL", "a limit that cannot be read is set as if nothing were in the way"),
            ("openat", "/proc/net/snmp", "counts for an explanation, never for a decision"),
            ("openat", "/proc/sysvipc/shm", "counts for a limit that is best-effort where a watchdog holds it"),
            ("openat", "/proc/self/io", "counts for the usage, never for a decision"),
            ("openat", "/etc/ld.so.cache", "the command's own: the loader goes on without the cache"),
            ("prlimit64", "RLIMIT_STACK, NULL", "the C library looks at its stack when it starts"),
            (
                "prlimit64", "RLIMIT_NOFILE, NULL",
                "reads the host's limit of open files; without it, the lowest is taken"
            ),
            ("execve", "", "a name is looked up in all of PATH, as shells do it"),
            ("memfd_create", "\"cloche-init\"", "kernels before 6.3 do not know MFD_EXEC; it is made without"),
            ("recvmsg", "recvmsg(3,", "the launcher waits for the next sandbox, which this one does not need"),
            ("memfd_create", "\"cloche-probe\"", "where memory cannot hold the changes, the disk does"),
            ("fcntl", "/memfd:cloche-probe>", "as above"),
            ("fcntl", ", F_GETFD)", "asks whether a standard stream is closed, and takes it for closed"),
            ("fsetxattr", "\"user.cloche\"", "as above"), ("fremovexattr", "\"user.cloche\"", "as above"),
            ("newfstatat", "/swift", "the Swift library looks for itself when it starts"),
            ("newfstatat", "/sandboxes\"", "clears away after others, as the next command will"),
            ("newfstatat", "/scratch\"", "as above"), ("openat2", "/scratch\"", "as above, and says so"),
            ("openat2", "\"/proc/meminfo\"", "shows programs how much memory there is, and limits nothing"),
            ("openat2", "\"freezer.", "best-effort limits"),
            ("newfstatat", "/mountinfo>, ", "finds control groups"), ("newfstatat", "/cgroup>, ", "as above"),
            ("flock", "LOCK_EX|LOCK_NB", "takes another sandbox for alive; one whose own lock fails does not start"),
            ("getdents64", "", "clears away after others; if the register cannot be read, nothing starts"),
            // The limits of the default policy are best-effort where the host gives no groups; a policy may demand them.
            ("openat2", "\"/proc/self/mountinfo\"", "finds control groups"),
            ("openat2", "\"/proc/self/cgroup\"", "finds control groups"),
            ("openat2", "\"/sys/fs/cgroup", "finds control groups"),
            ("openat2", "\"cgroup.", "best-effort limits"), ("openat2", "\"memory.", "best-effort limits"),
            ("openat2", "\"pids.", "best-effort limits"), ("openat2", "\"cpu", "best-effort limits"),
            ("openat2", "\"cloche-", "as below: a group of the run, or one to try what control groups can do"),
            ("openat2", "\"tasks\"", "the way into a group: where it is missing, groups are tried anew"),
            ("mkdirat", "\"cloche-", "what fails to be made at once is tried, and made anew; best-effort limits"),
            ("unshare", "(CLONE_NEWNET)", "the network namespace is then made together with the process"),
            ("clone3", "CLONE_INTO_CGROUP", "where no process can be started in a group, it enters by the list"),
            ("newfstatat", "/environments/names/", "the file is opened next, whatever this said"),
            ("newfstatat", "/build.json\"", "as above"),
            ("newfstatat", "\"/proc/", "what cannot be looked at is taken to be there, and masked"),
            ("newfstatat", "/maps>, ", "the C library reads /proc/self/maps, and can do without its size"),
            (
                "newfstatat", "/damaged\"",
                "as the directory of the mark, from which the tree is mounted, can be entered"
            ),
            ("unlinkat", "\"cloche-probe-", "clears away"),
            ("fsopen", "\"tmpfs\"", "who can make no nodes for /dev mounts those of the host"),
            ("fsconfig", "", "as above"), ("fsmount", "", "as above"), ("mknodat", "/proc/self/fd/", "as above"),
            ("symlinkat", "/proc/self/fd/", "as above"), ("mkdirat", "/proc/self/fd/", "as above"),
            ("fchownat", "/proc/self/fd/", "as above"), ("chmod", "/proc/self/fd/", "as above"),
            ("write", "\"-1\"", "tries a limit"), ("write", "\"max\"", "tries a limit"),
            ("write", "\"0\"", "tries to freeze"), ("write", "\"1024\"", "best-effort limits"),
            ("write", "\"4294967296\"", "best-effort limits"),
        ]

        private static let places: [(fault: String, reason: String)] = [
            // Everything is in force then; init ends the sandbox at once, perhaps after the command's first words.
            ("initProcess sendmsg #1", "the command executes, confined, before init tells of it"),
            ("keeper mount_setattr #1", "who can make no nodes for /dev mounts those of the host"),
            ("supervisor openat2 #1", "guesses what a source is; a wrong guess fails when it is mounted"),
            ("supervisor newfstatat #1", "as above"),
            ("supervisor newfstatat #2", "shows programs how much memory there is, and limits nothing"),
            ("launcher socket #1", "the sandbox brings up its loopback device itself where that is not done yet"),
            ("launcher ioctl #1", "as above"),
            ("supervisor landlock_create_ruleset #1", "kernels without Landlock go without, and `--explain` says so"),
        ]

        static func reason(for call: Call, as fault: String) -> String? {
            if isStartOfSwift(call) { return "the Swift library looks for itself when it starts" }
            return reasons.first { $0.call == call.name && ($0.text.isEmpty || call.text.contains($0.text)) }?.reason
                ?? places.first { $0.fault == fault }?.reason
        }

        /// Whether a call looks at a directory above or below that of the programs.
        private static func isStartOfSwift(_ call: Call) -> Bool {
            let parts = call.text.split(separator: "\"", omittingEmptySubsequences: false)
            guard call.name == "newfstatat", let programs = Cloche.programs, parts.count > 2, parts[1].count > 1 else {
                return false
            }
            return parts[1].hasPrefix(programs) || (programs + "/").hasPrefix(parts[1] + "/")
                || parts[1].hasSuffix("/x86_64") || parts[1].hasSuffix("/aarch64")
        }
    }
}
