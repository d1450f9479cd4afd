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

    /// Removes what killed sandboxes left; tells what could not be removed, and why.
    static func sweep(_ store: FilePath, _ identity: IdentityMap) -> String? {
        var said: [UInt8] = []
        do {
            try sweep(parent(store), identity, &said)
            return nil
        } catch {
            let reason = said.isEmpty ? "\(error)" : String(decoding: said.prefix(1000), as: UTF8.self)
            return "throw-away files of an earlier command are still there: \(reason)"
        }
    }

    private static func sweep(_ directory: FilePath, _ identity: IdentityMap, _ said: inout [UInt8]) throws {
        try ScratchDirectory.sweep(directory) { path in
            // Files of other ids of the range: root of the namespace may remove them.
            let command = NamespaceCommand(
                arguments: ["/usr/bin/find", NamespaceCommand.mountPoint, "-mindepth", "1", "-delete"], variables: [:],
                directory: path, timeLimit: .seconds(600))
            _ = try SandboxBuildExecutor(identity: identity).run(
                command, isCancelled: { false }, output: { said += $0 })
        }
    }

    private static func parent(_ store: FilePath) -> FilePath { store.appending("scratch") }
}
