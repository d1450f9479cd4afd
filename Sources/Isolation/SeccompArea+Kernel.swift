import SystemPackage

extension SeccompArea {
    /// What changes the host as a whole.
    static let kernel = SeccompArea(
        groups: [
            SeccompGroup(
                "kernel", because: "the call changes or reads the host itself, not the sandbox", opening: .call)
        ],
        rules: [
            SeccompRule.refuse(
                """
                init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct syslog
                quotactl quotactl_fd settimeofday clock_settime adjtimex clock_adjtime iopl ioperm
                sethostname setdomainname vhangup
                """, SeccompRefusal(.notPermitted, .notify, group: "kernel"))
        ])
}
