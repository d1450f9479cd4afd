package import Isolation
import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Looks for the devices of a policy on this host, with the caller's rights, and opens none of them.
package struct DeviceSearch: Sendable {
    /// Why a family cannot be had.
    package struct Lack: Sendable, Hashable {
        package var family: DeviceAccess.Family
        /// A fragment in lower case.
        package var reason: String
        /// One sentence without full stop.
        package var remedy: String
    }

    /// What there is of each family that was looked for.
    package private(set) var plan = DevicePlan(nodes: [], families: [], companions: [])
    package private(set) var lacks: [Lack] = []
    /// What will not work although the devices are there.
    package private(set) var notes: [String] = []
    private let access: DeviceAccess?
    private let identity: IdentityMap
    private let drivers: [String: UInt32]

    /// Looks for what a policy wants; `identity` is that of the sandboxes.
    package init(_ access: DeviceAccess?, for identity: IdentityMap) {
        self.access = access
        self.identity = identity
        drivers =
            access == nil
            ? [:] : Self.drivers(of: (try? Syscall.readFile("/proc/devices", limit: 1 << 20)) ?? [])
        for family in access?.families ?? [] { look(for: family) }
        plan.nodes = Set(plan.nodes).sorted()
        var targets: Set<String> = []
        plan.companions = plan.companions.filter { targets.insert($0.target).inserted }
    }

    /// Refuses where the host lacks what the policy needs.
    package func check(policy: String) throws(LaunchError) {
        guard let access, let first = lacks.first else { return }
        let isEnough =
            switch access.need {
            case .all: false
            case .any: lacks.count < access.families.count
            case .none: true
            }
        guard !isEnough else { return }
        let reasons = lacks.map { "\($0.family.rawValue): \($0.reason)" }.joined(separator: "; ")
        throw LaunchError(
            step: "find the devices that policy `\(policy)` needs", reason: reasons,
            remedy: first.remedy + ", or let it run without by `devices: {need: none}`")
    }

    /// What sandboxes get, or nil where that is nothing.
    package var found: DevicePlan? { plan.nodes.isEmpty ? nil : plan }

    // MARK: - Nodes

    private mutating func look(for family: DeviceAccess.Family) {
        let names: [String]
        do throws(SyscallError) {
            names = try Self.candidates(of: family)
        } catch {
            return lack(family, "`/dev/dri` cannot be looked at: \(error)", "see who has put it there")
        }
        var nodes: [String] = []
        var troubles: [(reason: String, remedy: String)] = []
        for name in names {
            guard let node = DeviceNode(name, of: family) else { continue }
            if let trouble = trouble(with: node) { troubles.append(trouble) } else { nodes.append(name) }
        }
        // What looks like a device of the family and is none hides a fault, or an attack.
        if let first = troubles.first { return lack(family, first.reason, first.remedy) }
        let isComplete =
            switch family {
            case .nvidia: nodes.contains("nvidiactl") && nodes.contains { $0.dropFirst(6).allSatisfy(\.isNumber) }
            case .rocm: nodes.contains("kfd") && nodes.count > 1
            case .dri: !nodes.isEmpty
            }
        guard isComplete else {
            return lack(family, Self.absence(of: family), Self.remedy(for: family))
        }
        plan.nodes += nodes
        plan.families.append(family)
        addCompanions(of: family, nodes)
    }

    private mutating func lack(_ family: DeviceAccess.Family, _ reason: String, _ remedy: String) {
        lacks.append(Lack(family: family, reason: reason, remedy: remedy))
    }

    private static func absence(of family: DeviceAccess.Family) -> String {
        switch family {
        case .nvidia: "there is no `/dev/nvidiactl` with a `/dev/nvidia0`"
        case .rocm: "there is no `/dev/kfd` with a `/dev/dri/renderD128`"
        case .dri: "there is no `/dev/dri/renderD128`"
        }
    }

    private static func remedy(for family: DeviceAccess.Family) -> String {
        switch family {
        case .nvidia: "install NVIDIA's driver and call `sudo nvidia-smi` once, which makes the nodes"
        case .rocm: "load AMD's driver: `sudo modprobe amdgpu`"
        case .dri: "load the driver of the graphics processor, which `lspci -k` names"
        }
    }

    /// Names below `/dev` that may be nodes of a family.
    private static func candidates(of family: DeviceAccess.Family) throws(SyscallError) -> [String] {
        let devices = try Syscall.open("/dev", O_RDONLY | O_DIRECTORY)
        let top = try Syscall.directoryEntries(devices.number).map { String(decoding: $0.name, as: UTF8.self) }
        guard family != .nvidia, top.contains("dri") else { return top.sorted() }
        let nodes = try Syscall.open(
            "dri", at: devices.number, O_RDONLY | O_DIRECTORY, resolve: [.beneath, .noSymlinks])
        let names = try Syscall.directoryEntries(nodes.number)
        return top.sorted() + names.map { "dri/" + String(decoding: $0.name, as: UTF8.self) }.sorted()
    }

    private func trouble(with node: DeviceNode) -> (reason: String, remedy: String)? {
        let path = "/dev/\(node.name)"
        do throws(SyscallError) {
            let location = try Self.location(of: node)
            let status = try Syscall.fstat(location.number)
            guard status.mode & S_IFMT == S_IFCHR, node.isDevice(status.deviceNumber, drivers: drivers) else {
                return ("`\(path)` is no device of that driver", "see who has put it there, and remove it")
            }
            guard !isOpen(status, path) else { return nil }
            let mode = String(status.permissions, radix: 8)
            let user = identity.outsideUser(IdentityMap.user).map(String.init) ?? "USER"
            return (
                "`\(path)` has the mode \(mode), of user \(status.user) and group \(status.group), and sandboxes have "
                    + "none of their caller's groups, `video` and `render` included",
                "let the ids of sandboxes open it: `sudo setfacl -m u:\(user):rw \(path)`, or for good by a rule of "
                    + "udev with MODE=\"0666\""
            )
        } catch {
            return ("`\(path)` cannot be looked at: \(error)", "see who has put it there")
        }
    }

    /// A node by its location, without following a link.
    static func location(of node: DeviceNode) throws(SyscallError) -> OwnedFileDescriptor {
        let devices = try Syscall.open("/dev", O_RDONLY | O_DIRECTORY)
        return try Syscall.openLocation(
            FilePath(node.name), at: devices.number, resolve: [.beneath, .noSymlinks])
    }

    /// Whether commands of a sandbox may read and write it, as far as modes tell; a list of further users decides itself.
    private func isOpen(_ status: FileStatus, _ path: String) -> Bool {
        let mode = status.permissions
        if mode & 0o6 == 0o6 { return true }
        if status.user == identity.outsideUser(IdentityMap.user) { return mode & 0o600 == 0o600 }
        guard mode & 0o060 == 0o060 else { return false }
        if status.group == identity.outsideGroup(IdentityMap.user) { return true }
        // Who has a single id keeps the groups, which nobody can take away.
        if !identity.hasRange, Syscall.supplementaryGroups().contains(status.group) { return true }
        return Syscall.hasAccessList(FilePath(path))
    }

    /// Majors of drivers of character devices, by their names (proc(5), `/proc/devices`).
    static func drivers(of bytes: [UInt8]) -> [String: UInt32] {
        var drivers: [String: UInt32] = [:]
        for line in bytes.split(separator: 0x0A) {
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            if words == ["Block", "devices:"] { break }
            if words.count == 2, let major = UInt32(words[0]), drivers[words[1]] == nil { drivers[words[1]] = major }
        }
        return drivers
    }

    // MARK: - What programs need beside the nodes

    private mutating func addCompanions(of family: DeviceAccess.Family, _ nodes: [String]) {
        switch family {
        case .nvidia:
            let libraries = DeviceLibraries.find()
            plan.companions += libraries.companions
            notes += libraries.notes
            if !nodes.contains("nvidia-uvm") {
                notes.append(
                    "there is no `/dev/nvidia-uvm`, without which CUDA does not work: call `sudo nvidia-modprobe -u -c 0`"
                )
            }
        case .rocm, .dri:
            var paths = nodes.compactMap { DeviceNode($0, of: .dri)?.minor }.map { "/sys/dev/char/226:\($0)/device" }
            if family == .rocm { paths.append("/sys/devices/virtual/kfd/kfd") }
            for path in paths where (try? Syscall.openLocation(FilePath(path))) != nil {
                plan.companions.append(.init(source: path, target: path, isDirectory: true))
            }
        }
    }
}
