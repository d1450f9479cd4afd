import SystemPackage

extension SeccompArea {
    /// What changes or shows the mount table.
    static let mounts = SeccompArea(
        groups: [
            SeccompGroup(
                "mounts", because: "mounts decide what a sandbox sees, and only the set-up makes them", opening: .group)
        ],
        rules: [
            SeccompRule.refuse(
                "mount umount2 pivot_root chroot", SeccompRefusal(.notPermitted, .notify, group: "mounts")),
            SeccompRule.refuse(
                """
                open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount
                """, SeccompRefusal(.noFunction, .silent, group: "mounts")),
        ])
}
