import SystemPackage

extension SeccompArea {
    /// What makes, joins or lists namespaces.
    static let namespaces = SeccompArea(
        groups: [
            SeccompGroup(
                "namespaces", because: "a new namespace lends capabilities that open much more of the kernel to a step",
                opening: .group)
        ],
        rules: [
            SeccompRule.refuse("unshare setns", refusal),
            // CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; the bit of NEWTIME is a signal here.
            [SeccompRule("clone", [.allow(.clear(0, mask: 0x7E02_0000))], otherwise: .refuse(refusal))],
            // Its flags lie in memory; every C library then uses clone.
            SeccompRule.refuse("clone3 listns", SeccompRefusal(.noFunction, .silent, group: "namespaces")),
        ])

    private static let refusal = SeccompRefusal(.notPermitted, .notify, group: "namespaces")
}
