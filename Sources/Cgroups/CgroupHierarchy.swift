package import SystemPackage

/// One mounted tree of control groups, as this process may use it.
package struct CgroupHierarchy: Sendable, Hashable {
    /// Its interface.
    package let generation: CgroupGeneration
    /// The group below which groups of runs are made.
    package let parent: FilePath
    /// The controllers that groups below `parent` have, found by using them; none where no group can be made.
    package let usable: Set<CgroupController>
    /// The controllers of the tree that cannot be used, with the reason.
    package let obstacles: [CgroupController: CgroupObstacle]
    /// Whether its groups have `cgroup.kill`.
    package let canKill: Bool
}
