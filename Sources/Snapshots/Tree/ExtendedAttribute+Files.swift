import LinuxSystem
import SystemPackage

extension ExtendedAttribute {
    /// Reads the attributes of an open file or directory, in ascending order of their names.
    ///
    /// A capture takes what begins with `user.`, except `user.overlay.`, which would change what an overlay mount of
    /// the snapshot shows; the rest is noted. Otherwise all are read that the snapshot itself could carry.
    static func read(
        _ descriptor: CInt, isCapture: Bool, notes: inout CaptureNotes, path: @autoclosure () -> [UInt8]
    ) throws(SyscallError) -> [ExtendedAttribute] {
        let names = try Syscall.attributeNames(descriptor)
        if names.isEmpty { return [] }
        var attributes: [ExtendedAttribute] = []
        for name in names {
            let isUser = name.starts(with: "user.".utf8)
            let isOverlay =
                name.starts(with: "user.overlay.".utf8) || name.starts(with: "trusted.overlay.".utf8)
            if isCapture && (isOverlay || !isUser) {
                notes.add(isOverlay ? .overlayAttribute : .otherAttribute, path())
                continue
            }
            // Labels that the system itself puts on every file are no content of a stored tree.
            if !isUser && name.starts(with: "security.selinux".utf8) { continue }
            do throws(SyscallError) {
                let value = try Syscall.attribute(TerminatedName(name), of: descriptor)
                attributes.append(ExtendedAttribute(name: name, value: value))
            } catch  where error.errno == .noData {
                // It was removed after it was listed.
            }
        }
        return attributes.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// Writes attributes to an open file or directory; returns those that its file system does not take.
    static func write(
        _ attributes: [ExtendedAttribute], to descriptor: CInt
    ) throws(SyscallError) -> [ExtendedAttribute] {
        var refused: [ExtendedAttribute] = []
        for attribute in attributes {
            do throws(SyscallError) {
                try Syscall.setAttribute(TerminatedName(attribute.name), of: descriptor, attribute.value)
            } catch  where error.errno == .notSupported || error.errno == .notSupportedOnSocket {
                refused.append(attribute)
            }
        }
        return refused
    }
}
