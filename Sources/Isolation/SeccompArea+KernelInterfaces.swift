import SystemPackage

extension SeccompArea {
    /// Large interfaces of the kernel with a history of holes, and young ones that nothing here needs yet.
    static let kernelInterfaces = SeccompArea(
        groups: [
            SeccompGroup(
                "kernel-interfaces", because: "the interface is large and has often been a way into the kernel",
                opening: .call),
            SeccompGroup(
                "io-uring", because: "work queued by io_uring is carried out past every system-call filter",
                opening: .group),
            SeccompGroup(
                "keyrings", because: "kernel keyrings are shared between sandboxes of one identity", opening: .group),
            SeccompGroup(
                "recent", because: "the call is new, pipelines do without it, and callers have a fall-back",
                opening: .call),
        ],
        rules: [
            SeccompRule.refuse(
                "bpf perf_event_open fanotify_init fanotify_mark modify_ldt",
                SeccompRefusal(.notPermitted, .notify, group: "kernel-interfaces")),
            SeccompRule.refuse("userfaultfd", SeccompRefusal(.noFunction, .silent, group: "kernel-interfaces")),
            SeccompRule.refuse(
                "io_uring_setup io_uring_enter io_uring_register",
                SeccompRefusal(.noFunction, .silent, group: "io-uring")),
            SeccompRule.refuse(
                "keyctl add_key request_key", SeccompRefusal(.noFunction, .silent, group: "keyrings")),
            SeccompRule.refuse(
                """
                process_mrelease lsm_get_self_attr lsm_set_self_attr lsm_list_modules file_getattr file_setattr
                """, SeccompRefusal(.noFunction, .silent, group: "recent")),
        ])
}
