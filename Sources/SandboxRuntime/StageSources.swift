import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The host's directories and files of a stage: opened once with the caller's rights, attached by descriptor.
struct StageSources {
    private struct Source {
        var mount: CInt
        var target: String
        var kind: Stage.FileKind
    }

    private var sources: [Source] = []
    private var deviceMounts: [String: CInt] = [:]
    private(set) var bindKinds: [Stage.FileKind] = []

    /// Opens every source and clones its mount, detached and with its final attributes.
    ///
    /// `privileged` are those that had to be opened before.
    static func open(
        _ spec: StageSpec, devices: [String], privileged: PrivilegedMounts
    ) throws(LaunchError) -> StageSources {
        var result = StageSources()
        for source in spec.sources {
            let kind =
                if let mount = privileged.mounts[source.target] {
                    try result.add(privileged: mount, source.path, source.target, source.attributes)
                } else {
                    try result.add(source.path, source.target, source.attributes, below: source.root)
                }
            if source.isBind { result.bindKinds.append(kind) }
        }
        // Mounting procfs in a user namespace needs one that is wholly visible in the same mount namespace.
        try result.add("/proc", StagePath.hostProcesses, [.noSetuid, .noDevices, .noExecute])
        for device in devices { result.deviceMounts[device] = try openDevice(device) }
        try result.openDevices(of: spec.devices)
        return result
    }

    @discardableResult
    private mutating func add(
        _ path: String, _ target: String, _ attributes: MountAttributes, below root: String? = nil
    ) throws(LaunchError) -> Stage.FileKind {
        let (mount, kind) = try LaunchError.during("open `\(path)`") { () throws(SyscallError) in
            let location = try Self.location(path, below: root)
            let status = try Syscall.fstat(location.number)
            guard status.isDirectory || status.isRegular else {
                throw SyscallError("open", path, errno: .invalidArgument)
            }
            let mount = try Syscall.cloneMount(of: location.number, recursive: true)
            try Syscall.setMountAttributes(mount.number, attributes, recursive: true)
            return (mount.release(), status.isDirectory ? Stage.FileKind.directory : .file)
        }
        sources.append(Source(mount: mount, target: target, kind: kind))
        return kind
    }

    private mutating func add(
        privileged mount: CInt, _ path: String, _ target: String, _ attributes: MountAttributes
    ) throws(LaunchError) -> Stage.FileKind {
        try LaunchError.during("open `\(path)`") { () throws(SyscallError) in
            guard try Syscall.fstat(mount).isDirectory else {
                throw SyscallError("open", path, errno: .notDirectory)
            }
            try Syscall.setMountAttributes(mount, attributes, recursive: true)
        }
        sources.append(Source(mount: mount, target: target, kind: .directory))
        return .directory
    }

    /// What an earlier attempt has left was in the hands of its supervisor: no link there leads anywhere else.
    private static func location(_ path: String, below root: String?) throws(SyscallError) -> OwnedFileDescriptor {
        guard let root else { return try Syscall.openLocation(FilePath(path), resolve: .noMagicLinks) }
        let above = try Syscall.openLocation(FilePath(root), resolve: .noMagicLinks)
        let directory = try Syscall.openLocation(
            FilePath(path), at: above.number, resolve: [.beneath, .noSymlinks, .sameMount])
        guard try Syscall.fstat(directory.number).isDirectory else {
            throw SyscallError("open", path, errno: .notDirectory)
        }
        return directory
    }

    /// A device of the host, if it is the one that its name promises.
    private static func openDevice(_ name: String) throws(LaunchError) -> CInt {
        let number = DeviceDirectory.nodes.first { $0.name == name }.map { UInt64($0.major << 8 | $0.minor) }
        return try LaunchError.during("open the device `/dev/\(name)`") { () throws(SyscallError) in
            let location = try Syscall.openLocation(FilePath("/dev/\(name)"), resolve: .noSymlinks)
            let status = try Syscall.fstat(location.number)
            guard status.mode & S_IFMT == S_IFCHR, status.deviceNumber == number else {
                throw SyscallError("open", "/dev/\(name)", errno: .noSuchAddressOrDevice)
            }
            let mount = try Syscall.cloneMount(of: location.number, recursive: false)
            try Syscall.setMountAttributes(mount.number, [.noSetuid, .noExecute], recursive: false)
            return mount.release()
        }
    }

    /// The devices of a plan, looked at again by the descriptors that are attached: what `/dev` shows may have changed.
    private mutating func openDevices(of plan: DevicePlan?) throws(LaunchError) {
        guard let plan else { return }
        let drivers = DeviceSearch.drivers(of: (try? Syscall.readFile("/proc/devices", limit: 1 << 20)) ?? [])
        for name in plan.nodes {
            deviceMounts[name] = try LaunchError.during("open the device `/dev/\(name)`") { () throws(SyscallError) in
                guard let node = plan.node(name) else {
                    throw SyscallError("open", "/dev/\(name)", errno: .notPermitted)
                }
                let location = try DeviceSearch.location(of: node)
                let status = try Syscall.fstat(location.number)
                guard status.mode & S_IFMT == S_IFCHR, node.isDevice(status.deviceNumber, drivers: drivers) else {
                    throw SyscallError("open", "/dev/\(name)", errno: .noSuchAddressOrDevice)
                }
                let mount = try Syscall.cloneMount(of: location.number, recursive: false)
                try Syscall.setMountAttributes(mount.number, [.noSetuid, .noExecute], recursive: false)
                return mount.release()
            }
        }
    }

    /// Attaches every source below `root`, a file system that is still empty there.
    mutating func attach(under root: String) throws(SyscallError) {
        for source in sources {
            let target = FilePath(root + source.target)
            try Syscall.makeDirectories(target.removingLastComponent(), mode: 0o755)
            switch source.kind {
            case .directory: try Syscall.makeDirectory(target, mode: 0o755)
            case .file: try Syscall.writeFile(target, [], mode: 0o644)
            }
            try Syscall.attachMount(source.mount, at: target)
            _ = Glibc.close(source.mount)
        }
        sources = []
    }

    /// Attaches one device.
    mutating func attachDevice(_ name: String, at target: FilePath) throws(SyscallError) {
        guard let mount = deviceMounts.removeValue(forKey: name) else { return }
        try Syscall.attachMount(mount, at: target)
        _ = Glibc.close(mount)
    }
}
