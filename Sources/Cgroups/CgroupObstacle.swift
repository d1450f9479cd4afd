import LinuxSystem
import SystemPackage

/// Why a controller cannot be used here, and what would help.
package struct CgroupObstacle: Sendable, Hashable, CustomStringConvertible {
    /// What is missing: a fragment without full stop.
    package let reason: String
    /// What to do: a fragment without full stop, or nil where nothing is known.
    package let remedy: String?

    /// Reason and remedy in one line.
    package var description: String { reason + (remedy.map { "; \($0)" } ?? "") }
}

extension CgroupObstacle {
    /// What a failed call in a tree of control groups means to whoever runs the host.
    init(_ error: SyscallError, generation: CgroupGeneration) {
        let remedy: String? =
            switch (error.errno, generation) {
            case (.permissionDenied, .v2), (.notPermitted, .v2): CgroupEnabling.delegationRemedy
            case (.permissionDenied, .v1), (.notPermitted, .v1):
                "run as root, or let root make a group for this user and start Cloche in it"
            case (.readOnlyFileSystem, _): "mount the control group file system writable"
            case (.noSpace, _), (.resourceTemporarilyUnavailable, _):
                "raise cgroup.max.descendants, or remove groups that are no longer used"
            default: nil
            }
        self.init(reason: "\(error)", remedy: remedy)
    }
}
