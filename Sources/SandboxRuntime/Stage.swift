package import Isolation
package import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The supervisor's own small root: built once for a run, inherited by the mount namespace of every step.
package struct Stage: Sendable {
    package let spec: StageSpec
    package let facts: HostFacts
    /// What each bind is, in the order of the specification.
    package let bindKinds: [FileKind]
    /// The prepared network namespace, open for as long as the process lives.
    package let network: CInt?
    /// What commands are told of the machine.
    package let view: ResourceView

    /// Whether a bind is a directory or a file.
    package enum FileKind: Sendable, Hashable {
        case directory
        case file
    }

    /// Whether `/dev` has nodes of its own, and not mounts of the host's.
    var ownsDevices = false

    static let devices = DeviceDirectory.nodes.map(\.name)

    /// Builds the stage in the calling process, inside its new namespaces, and drops every other view of the host.
    ///
    /// `privileged` was made before the namespaces. `skeleton` is what lies above each environment: mount points, and small files with their text.
    package static func build(
        _ spec: StageSpec, identity: IdentityMap, skeleton: Skeleton, view: ResourceView, privileged: PrivilegedMounts
    ) throws(LaunchError) -> Stage {
        var skeleton = skeleton
        skeleton.show(view)
        skeleton.show(spec.devices)
        try during("keep mounts to the sandbox") { () throws(SyscallError) in
            try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC | MS_PRIVATE))
        }
        try limitKernelObjects()
        let ownsDevices = privileged.devices != nil
        var sources = try StageSources.open(spec, devices: ownsDevices ? [] : devices, privileged: privileged)
        if identity.hasRange {
            try during("become root of the user namespace") { () throws(SyscallError) in
                try Credentials.become(user: 0, group: 0)
            }
        }
        let facts = HostFacts.probe()
        var network: CInt?
        if let outbound = spec.outbound { network = try OutboundNetwork.start(outbound).release() }
        try during("make the stage") { () throws(SyscallError) in
            // Any directory does: nothing outside sees this mount.
            try Syscall.mount(
                source: "cloche", target: "/tmp", type: "tmpfs", flags: UInt(MS_NOSUID | MS_NODEV), data: "mode=0755")
            try Syscall.changeDirectory("/tmp")
            try sources.attach(under: "/tmp")
            try skeleton.write(under: "/tmp" + StagePath.skeleton)
            try makeDevices(
                under: "/tmp" + StagePath.devices, privileged.devices, others: spec.devices?.nodes ?? [], &sources)
            try makeCovers(of: view, under: "/tmp")
            for directory in [StagePath.scratch, StagePath.newRoot, StagePath.project] {
                try Syscall.makeDirectory(FilePath("/tmp" + directory), mode: 0o755)
            }
            try Syscall.pivotRoot(".", ".")
            try Syscall.detachMount(".")
            try Syscall.changeDirectory("/")
        }
        if let kept = spec.persistentRoot { try checkMountPoints(of: skeleton, in: kept) }
        return Stage(
            spec: spec, facts: facts, bindKinds: sources.bindKinds, network: network, view: view,
            ownsDevices: ownsDevices)
    }

    /// Limits what the run's processes may have of objects that the kernel counts by user (namespaces(7), inotify(7)):
    /// no user namespaces, and a share of what other runs of the same user need as well.
    private static func limitKernelObjects() throws(LaunchError) {
        try during("forbid further user namespaces") { () throws(SyscallError) in
            try Syscall.writeFile("/proc/sys/user/max_user_namespaces", Array("0".utf8))
        }
        try during("limit the run's share of the kernel's objects") { () throws(SyscallError) in
            for (name, most) in [("max_inotify_instances", "32"), ("max_inotify_watches", "65536")] {
                let path = FilePath("/proc/sys/user/\(name)")
                // A kernel without inotify has neither.
                if Syscall.exists(path) { try Syscall.writeFile(path, Array(most.utf8)) }
            }
        }
    }

    /// Makes what covers files and directories of procfs: read-only here, so that every bind of it is that as well.
    private static func makeCovers(of view: ResourceView, under root: String) throws(SyscallError) {
        let plain = UInt(MS_NOSUID | MS_NODEV)
        for (directory, files) in [(StagePath.view, view.processFiles), (StagePath.emptyDirectory, [:])] {
            let place = FilePath(root + directory)
            try Syscall.makeDirectory(place, mode: 0o755)
            try Syscall.mount(source: "cover", target: place, type: "tmpfs", flags: plain, data: "mode=0755,size=32m")
            for (name, text) in files.sorted(by: { $0.key < $1.key }) {
                try Syscall.writeFile(place.appending(name), Array(text.utf8), mode: 0o444)
            }
            try Syscall.mount(
                source: "none", target: place, type: nil, flags: UInt(MS_REMOUNT | MS_BIND | MS_RDONLY) | plain)
        }
    }

    /// A kept root lies above the skeleton: a link in it in place of a mount point would lead the mount astray.
    private static func checkMountPoints(of skeleton: Skeleton, in kept: StageSpec.PersistentRoot) throws(LaunchError) {
        let paths = Array(skeleton.directories.keys) + Array(skeleton.files.keys)
        try during("find the mount points in the root of the build") { () throws(SyscallError) in
            let root = try Syscall.openLocation(FilePath("\(StagePath.persistentRoot)/\(kept.upper)"))
            for path in paths.sorted() {
                do throws(SyscallError) {
                    _ = try Syscall.openLocation(
                        FilePath(String(path.dropFirst())), at: root.number, resolve: [.inRoot, .noSymlinks])
                } catch let error where error.errno == .noSuchFileOrDirectory {
                    continue
                }
            }
        }
    }

    private static func during(_ step: String, _ body: () throws(SyscallError) -> Void) throws(LaunchError) {
        try LaunchError.during(step, body)
    }

    private static func makeDevices(
        under root: String, _ made: CInt?, others: [String], _ sources: inout StageSources
    ) throws(SyscallError) {
        try Syscall.makeDirectory(FilePath(root), mode: 0o755)
        if let made {
            try Syscall.attachMount(made, at: FilePath(root))
            _ = Glibc.close(made)
        } else {
            try Syscall.mount(
                source: "devices", target: FilePath(root), type: "tmpfs",
                flags: UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC), data: "mode=0755,size=64k")
            try DeviceDirectory.fill(root, places: devices + others)
        }
        for name in made == nil ? devices + others : others {
            try sources.attachDevice(name, at: FilePath("\(root)/\(name)"))
        }
        guard made == nil else { return }
        try Syscall.mount(
            source: "none", target: FilePath(root), type: nil,
            flags: UInt(MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC))
    }
}

/// Changes of the calling process's own ids.
package enum Credentials {
    /// Takes on ids of the user namespace and keeps the capabilities in it.
    package static func become(user: UInt32, group: UInt32) throws(SyscallError) {
        try Syscall.clearSupplementaryGroups()
        try Syscall.setGroup(group)
        try Syscall.keepCapabilities(true)
        try Syscall.setUser(user)
        // A change away from root empties the effective set; the permitted one was kept.
        try Syscall.setCapabilities((1 << 41) - 1)
    }
}

/// What lies above an environment: mount points that must exist, and small files.
///
/// It is the topmost lower directory. An environment that ships a link or a file in place of one of these directories
/// is thereby covered, so no mount can be led astray.
package struct Skeleton: Sendable, Hashable {
    package var directories: [String: UInt32]
    package var files: [String: String]

    /// Names directories with their modes, and files with their text; parents come by themselves.
    package init(directories: [String: UInt32], files: [String: String]) {
        self.directories = directories
        self.files = files
    }

    /// Adds the places where what belongs to devices is shown.
    mutating func show(_ devices: DevicePlan?) {
        for companion in devices?.companions ?? [] {
            if companion.isDirectory {
                directories[companion.target] = 0o755
            } else {
                files[companion.target] = ""
            }
        }
    }

    func write(under root: String) throws(SyscallError) {
        try Syscall.makeDirectory(FilePath(root), mode: 0o755)
        for (path, mode) in directories.sorted(by: { $0.key < $1.key }) {
            try Syscall.makeDirectories(FilePath(root + path), mode: 0o755)
            let directory = try Syscall.open(FilePath(root + path), O_RDONLY | O_DIRECTORY)
            try Syscall.changeMode(of: directory.number, mode)
        }
        for (path, text) in files.sorted(by: { $0.key < $1.key }) {
            try Syscall.makeDirectories(FilePath(root + path).removingLastComponent(), mode: 0o755)
            try Syscall.writeFile(FilePath(root + path), Array(text.utf8), mode: 0o644)
        }
    }
}
