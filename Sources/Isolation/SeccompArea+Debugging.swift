import SystemPackage

extension SeccompArea {
    /// Reading and steering other processes.
    static let debugging = SeccompArea(
        groups: [
            SeccompGroup(
                "debug", because: "reading and steering other processes is for debuggers, and steps are not debugged",
                opening: .group),
            SeccompGroup(
                "other-processes", because: "the call takes descriptors or advice into other processes",
                opening: .call),
        ],
        rules: [
            SeccompRule.refuse(
                "ptrace process_vm_readv process_vm_writev kcmp",
                SeccompRefusal(.notPermitted, .notify, group: "debug")),
            SeccompRule.refuse(
                "pidfd_getfd process_madvise", SeccompRefusal(.noFunction, .silent, group: "other-processes")),
        ])
}
