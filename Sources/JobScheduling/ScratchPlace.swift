import Environments
import Isolation
import LinuxSystem
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The choice where sandboxes keep changes that are thrown away.
///
/// That is memory, unless the kernel cannot or the variable `CLOCHE_SCRATCH` says `disk`: for hosts with little memory.
package enum ScratchPlace {
    /// Whether it is the disk.
    package static var isDisk: Bool {
        if let value = getenv("CLOCHE_SCRATCH"), String(cString: value) == "disk" { return true }
        return ScratchDirectory.isNeeded()
    }

    /// The directory of a store, where it is the disk.
    static func directory(of store: FilePath) -> String? { isDisk ? parent(store).string : nil }

    /// Removes what killed sandboxes left.
    static func sweep(_ store: FilePath, _ identity: IdentityMap) throws {
        try ScratchDirectory.sweep(parent(store)) { path in
            // Files of other ids of the range: root of the namespace may remove them.
            let command = NamespaceCommand(
                arguments: ["/usr/bin/find", NamespaceCommand.mountPoint, "-mindepth", "1", "-delete"], variables: [:],
                directory: path, timeLimit: .seconds(600))
            _ = try SandboxBuildExecutor(identity: identity).run(command, isCancelled: { false }, output: { _ in })
        }
    }

    private static func parent(_ store: FilePath) -> FilePath { store.appending("scratch") }
}
