import SystemPackage

extension SeccompArea {
    /// Files, directories, attributes and descriptors; modes of new files are in `fileModes`.
    static let files = SeccompArea(
        groups: [
            SeccompGroup(
                "leases", because: "a lease or a directory notification lets one run stall or watch another",
                opening: .group),
            SeccompGroup(
                "file-handles", because: "a file handle reaches files outside the directories that the sandbox shows",
                opening: .call),
        ],
        rules: [
            SeccompRule.allow(
                """
                read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range
                dup dup2 dup3 pipe pipe2 sendfile copy_file_range readahead fadvise64 fallocate
                sync fsync fdatasync syncfs sync_file_range truncate ftruncate
                stat fstat lstat newfstatat statx access faccessat faccessat2 statfs fstatfs
                readlink readlinkat getdents getdents64 getcwd chdir fchdir umask
                rmdir rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat
                chown fchown lchown fchownat utime utimes futimesat utimensat
                """),
            SeccompRule.allow(
                """
                setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
                removexattr lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat
                flock poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
                eventfd eventfd2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
                io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents
                """),
            // F_SETLEASE and F_NOTIFY.
            [
                SeccompRule(
                    "fcntl", [.refuse(SeccompRefusal(.notPermitted, .notify, group: "leases"), .int(1, 1024, 1026))],
                    otherwise: .allow)
            ],
            SeccompRule.refuse("open_by_handle_at", SeccompRefusal(.notPermitted, .notify, group: "file-handles")),
            SeccompRule.refuse("name_to_handle_at", SeccompRefusal(.noFunction, .silent, group: "file-handles")),
        ])
}
