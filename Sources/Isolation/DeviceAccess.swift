/// Which devices of the host a sandbox gets: those of graphics processors, by their drivers, and never any others.
package struct DeviceAccess: Sendable, Hashable, Codable {
    /// A driver, and the devices that programs compute with through it.
    package enum Family: String, Sendable, Hashable, Codable, CaseIterable {
        /// NVIDIA's own driver.
        case nvidia
        /// AMD's driver for computing, with the nodes of `dri`.
        case rocm
        /// Render nodes of the kernel's graphics drivers; never the nodes that control screens.
        case dri
    }

    /// What a host must have so that anything runs.
    package enum Need: String, Sendable, Hashable, Codable {
        /// Devices of each family.
        case all
        /// Devices of one family.
        case any
        /// Nothing: a sandbox gets what there is.
        case none
    }

    /// At least one, in the order of `Family.allCases`, each once.
    package let families: [Family]
    package var need: Need

    /// Names families; nil where there is none.
    package init?(_ families: some Sequence<Family>, need: Need) {
        let wanted = Set(families)
        guard !wanted.isEmpty else { return nil }
        self.families = Family.allCases.filter(wanted.contains)
        self.need = need
    }

    /// What is left of it within other families; nil for nothing.
    package func within(_ most: [Family]) -> DeviceAccess? {
        DeviceAccess(families.filter(most.contains), need: need)
    }
}

/// A device node below `/dev` as a family has it.
package struct DeviceNode: Sendable, Hashable {
    /// Where the major number of a driver is known from (devices.txt of the kernel, `/proc/devices`).
    package enum Major: Sendable, Hashable {
        case fixed(UInt32)
        /// The number that the kernel gave to the driver of this name.
        case driver(String)
    }

    /// The path from `/dev`.
    package let name: String
    package let major: Major
    /// Nil where any will do.
    package let minor: UInt32?

    private init(_ name: String, _ major: Major, minor: UInt32?) {
        self.name = name
        self.major = major
        self.minor = minor
    }

    /// The node of that name in a family; nil for every other name, so that only nodes that are known here are opened.
    ///
    /// Left out on purpose: `nvidia-modeset` and `dri/card*`, which control screens, and `nvidia-caps`, by which a
    /// processor is divided among its users.
    package init?(_ name: String, of family: DeviceAccess.Family) {
        switch family {
        case .nvidia:
            switch name {
            case "nvidiactl": self.init(name, .fixed(195), minor: 255)
            case "nvidia-uvm", "nvidia-uvm-tools": self.init(name, .driver("nvidia-uvm"), minor: nil)
            default:
                guard let number = Self.number(name, after: "nvidia"), number < 254 else { return nil }
                self.init(name, .fixed(195), minor: number)
            }
        case .rocm where name == "kfd": self.init(name, .driver("kfd"), minor: nil)
        case .rocm, .dri:
            guard let number = Self.number(name, after: "dri/renderD"), (128..<192).contains(number) else { return nil }
            self.init(name, .fixed(226), minor: number)
        }
    }

    /// A plain decimal number after a prefix.
    private static func number(_ name: String, after prefix: String) -> UInt32? {
        guard name.hasPrefix(prefix) else { return nil }
        let digits = name.dropFirst(prefix.count)
        guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            digits == "0" || digits.utf8.first != 48
        else { return nil }
        return UInt32(digits)
    }

    /// Whether a device of that number (`st_rdev`) is this one; `drivers` are majors by names.
    package func isDevice(_ number: UInt64, drivers: [String: UInt32]) -> Bool {
        let (major, minor) = Self.parts(of: number)
        if let expected = self.minor, expected != minor { return false }
        switch self.major {
        case .fixed(let expected): return major == expected
        case .driver(let name): return drivers[name] == major
        }
    }

    /// Major and minor number as Glibc packs them (makedev(3)).
    package static func parts(of number: UInt64) -> (major: UInt32, minor: UInt32) {
        (
            UInt32(truncatingIfNeeded: (number >> 8 & 0xFFF) | (number >> 32 & 0xFFFF_F000)),
            UInt32(truncatingIfNeeded: (number & 0xFF) | (number >> 12 & 0xFFFF_FF00))
        )
    }
}

/// What of a host's devices sandboxes get: found before anything is started, and nothing that decides afterwards.
package struct DevicePlan: Sendable, Hashable, Codable {
    /// A file or directory of the host that programs need beside the nodes, shown read-only.
    package struct Companion: Sendable, Hashable, Codable {
        package var source: String, target: String
        package var isDirectory: Bool

        /// Names both places.
        package init(source: String, target: String, isDirectory: Bool) {
            self.source = source
            self.target = target
            self.isDirectory = isDirectory
        }
    }

    /// Where the libraries and the programs of a driver are shown; nothing else may be mounted there.
    package static let directory = "/usr/local/nvidia"

    /// Names of nodes below `/dev`, each of a family of `families`.
    package var nodes: [String]
    package var families: [DeviceAccess.Family]
    package var companions: [Companion]

    /// Plans for what was found.
    package init(nodes: [String], families: [DeviceAccess.Family], companions: [Companion]) {
        self.nodes = nodes
        self.families = families
        self.companions = companions
    }

    /// The node of that name, as one of the families has it.
    package func node(_ name: String) -> DeviceNode? {
        families.lazy.compactMap { DeviceNode(name, of: $0) }.first
    }

    /// Directories for libraries and programs, where there are some.
    package var libraryDirectory: String? { directory("lib64") }
    package var programDirectory: String? { directory("bin") }

    private func directory(_ name: String) -> String? {
        let path = "\(Self.directory)/\(name)"
        return companions.contains { $0.target.hasPrefix(path + "/") } ? path : nil
    }
}
