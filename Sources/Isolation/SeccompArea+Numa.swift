import SystemPackage

extension SeccompArea {
    /// Placement of memory on the nodes of a machine.
    static let numa = SeccompArea(
        groups: [
            SeccompGroup("numa", because: "placing memory on nodes is the host's business", opening: .group)
        ],
        rules: [
            SeccompRule.allow("get_mempolicy"),
            // Numeric libraries try these and go on without.
            SeccompRule.refuse(
                "mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages",
                SeccompRefusal(.notPermitted, .silent, group: "numa")),
        ])
}
