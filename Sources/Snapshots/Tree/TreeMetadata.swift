import LinuxSystem

/// User and group that own a snapshot's tree.
package struct FileOwner: Sendable, Hashable {
    /// Kernel ids, as the calling process sees them.
    package let user: UInt32, group: UInt32

    /// Names an owner.
    package init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }
}

/// Sets what a file or directory has besides its content.
enum TreeMetadata {
    /// Sets attributes, owner, mode and time, and returns the attributes that could be stored.
    ///
    /// The order matters: attributes need the right to write, which the final mode may take away; changing the owner
    /// changes the mode; and all of them come before the time.
    static func apply(
        attributes: [ExtendedAttribute], owner: FileOwner?, mode: UInt32, modified: FileTime, to descriptor: CInt,
        notes: inout CaptureNotes, path: @autoclosure () -> [UInt8]
    ) throws(SyscallError) -> [ExtendedAttribute] {
        var stored = attributes
        if !attributes.isEmpty {
            let refused = try ExtendedAttribute.write(attributes, to: descriptor)
            if !refused.isEmpty {
                notes.add(.attributeNotStored, path())
                stored.removeAll { refused.contains($0) }
            }
        }
        if let owner { try Syscall.changeOwner(of: descriptor, user: owner.user, group: owner.group) }
        try Syscall.changeMode(of: descriptor, mode)
        try Syscall.setModificationTime(of: descriptor, modified)
        return stored
    }
}
