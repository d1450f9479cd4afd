import SystemPackage

extension SeccompArea {
    /// Calls that kernels no longer carry out, or that nothing has used for long.
    static let obsolete = SeccompArea(
        groups: [
            SeccompGroup("obsolete", because: "current kernels and programs have no use for the call", opening: .call)
        ],
        rules: [
            SeccompRule.refuse(
                """
                _sysctl afs_syscall tuxcall security vserver getpmsg putpmsg create_module get_kernel_syms query_module
                epoll_ctl_old epoll_wait_old nfsservctl lookup_dcookie sysfs ustat uselib
                set_thread_area get_thread_area
                """, SeccompRefusal(.noFunction, .silent, group: "obsolete"))
        ])
}
