/// A line of the mount table that a launch must lead to (proc(5), mountinfo).
package struct ExpectedMount: Sendable, Hashable {
    /// How many mounts a line stands for.
    package enum Extent: String, Sendable, Hashable {
        /// One, at the target.
        case one = "="
        /// Any number below the target: what a directory of the host brings along.
        case anyBelow = "*"
    }

    /// What a mount must have at least.
    package struct Flags: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let readOnly = Flags(rawValue: 1)
        package static let noSetuid = Flags(rawValue: 2)
        package static let noDevices = Flags(rawValue: 4)
        package static let noExecute = Flags(rawValue: 8)
    }

    package var extent: Extent
    /// The path inside.
    package var target: String
    /// The kind of file system; nil for any.
    package var type: String?
    package var flags: Flags

    /// Expects a mount.
    package init(_ extent: Extent, at target: String, type: String?, flags: Flags) {
        self.extent = extent
        self.target = target
        self.type = type
        self.flags = flags
    }

    /// The line as `audit.c` reads it.
    package var line: String {
        let letters = [(Flags.readOnly, "r"), (.noSetuid, "s"), (.noDevices, "d"), (.noExecute, "x")]
            .filter { flags.contains($0.0) }.map(\.1).joined()
        return "\(extent.rawValue) \(letters.isEmpty ? "-" : letters) \(type ?? "-") \(Self.escaped(target))\n"
    }

    /// The kernel's own escapes of paths in mountinfo.
    private static func escaped(_ path: String) -> String {
        var result = ""
        for scalar in path.unicodeScalars {
            switch scalar {
            case " ": result += "\\040"
            case "\t": result += "\\011"
            case "\n": result += "\\012"
            case "\\": result += "\\134"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Standard input, output and error, as bits by their numbers.
package struct StandardStreams: OptionSet, Sendable, Hashable, Codable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let input = StandardStreams(rawValue: 1)
    package static let output = StandardStreams(rawValue: 2)
    package static let errors = StandardStreams(rawValue: 4)
}
