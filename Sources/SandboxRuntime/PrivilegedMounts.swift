package import Isolation
import LinuxSystem
package import SandboxLaunch
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What only whoever has the capabilities of the host may mount: it is done before the user namespace is entered.
///
/// That is what belongs to the ids of others, shown as the sandbox's own (mount_setattr(2), MOUNT_ATTR_IDMAP), since users
/// of a service share its environments, and each has a range of ids of his own; and device nodes.
package struct PrivilegedMounts: Sendable {
    /// Detached mounts by where the stage shows them.
    package private(set) var mounts: [String: CInt] = [:]
    /// The detached `/dev`, where the caller may make one.
    let devices: CInt?

    /// All that is open.
    package var descriptors: [CInt] { Array(mounts.values) + (devices.map { [$0] } ?? []) }

    /// Makes those of a stage whose sandboxes have an identity.
    package static func open(_ spec: StageSpec, for identity: IdentityMap) throws(LaunchError) -> PrivilegedMounts {
        var result = PrivilegedMounts(devices: DeviceDirectory.make(spec.devices, for: identity))
        var namespaces: [(owner: IdentityMap, descriptor: CInt)] = []
        defer { for namespace in namespaces { _ = Glibc.close(namespace.descriptor) } }
        for source in spec.sources {
            guard let owner = source.owner, owner != identity else { continue }
            result.mounts[source.target] = try LaunchError.during("map the ids of `\(source.path)`") {
                () throws(SyscallError) in
                if let known = namespaces.first(where: { $0.owner == owner }) {
                    return try Self.mount(source.path, by: known.descriptor)
                }
                let namespace = try Self.namespace(from: owner, to: identity)
                namespaces.append((owner, namespace))
                return try Self.mount(source.path, by: namespace)
            }
        }
        return result
    }

    /// Whether the file system of a directory shows its files as those of other ids.
    package static func isPossible(in directory: FilePath, _ identity: IdentityMap) -> Bool {
        guard var other = identity.users.first?.outside, identity.kind == .ownerRange else { return false }
        other &+= 65536
        do throws(SyscallError) {
            let namespace = try namespace(from: identity, to: .ownerRange(base: other))
            defer { _ = Glibc.close(namespace) }
            _ = Glibc.close(try mount(directory.string, by: namespace))
            return true
        } catch {
            return false
        }
    }

    private static func mount(_ path: String, by namespace: CInt) throws(SyscallError) -> CInt {
        let location = try Syscall.openLocation(FilePath(path), resolve: .noMagicLinks)
        let mount = try Syscall.cloneMount(of: location.number, recursive: true)
        try Syscall.mapIDs(of: mount.number, by: namespace)
        return mount.release()
    }

    /// A user namespace that maps ids as they are in files to those that they are seen as.
    private static func namespace(from owner: IdentityMap, to identity: IdentityMap) throws(SyscallError) -> CInt {
        guard let map = owner.shift(to: identity) else { throw SyscallError("map ids", errno: .invalidArgument) }
        let ready = try Syscall.pipe()
        let own = getpid()
        let number = try Syscall.fork()
        if number == 0 {
            // It lives until its namespace is open.
            do throws(SyscallError) {
                try Syscall.endWithParent(own)
                try Syscall.unshare(.user)
                try Syscall.writeAll(ready.writing.number, [1])
                while true { pause() }
            } catch {
                _exit(1)
            }
        }
        let process = try ProcessHandle(opening: number)
        defer {
            try? process.signal(SIGKILL)
            _ = try? process.wait()
        }
        let reading = ready.takeReading()
        guard try Syscall.read(reading.number, upTo: 1) == [1] else {
            throw SyscallError("unshare", errno: .notPermitted)
        }
        try IdentityMapping.write(map, process: number)
        return try Syscall.open(FilePath("/proc/\(number)/ns/user"), O_RDONLY).release()
    }
}
