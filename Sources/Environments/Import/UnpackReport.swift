package import Isolation

/// How much an archive may unpack to.
package struct UnpackLimits: Sendable, Hashable, Codable {
    /// Bytes of all files together, holes included, and of the archive itself without its compression.
    package var bytes: Int64
    /// Files, directories and links.
    package var entries: Int

    /// What is allowed unless somebody says otherwise: 32 GiB in two million files.
    package static let standard = UnpackLimits(bytes: 32 << 30, entries: 2_000_000)

    /// Sets both limits.
    package init(bytes: Int64, entries: Int) {
        self.bytes = bytes
        self.entries = entries
    }

    /// What is left after what was unpacked.
    func without(_ report: UnpackReport) -> UnpackLimits {
        UnpackLimits(bytes: max(0, bytes - report.bytes), entries: max(0, entries - report.entries))
    }
}

/// Whom the files of an archive belong to.
package struct OwnerRule: Sendable, Hashable, Codable {
    /// Whether there is but one id, to which everything belongs.
    package var isSingle: Bool
    /// Ids that are somebody else's inside than in the archive: for trees of files of this host.
    package var users: [IdentityMap.Range], groups: [IdentityMap.Range]

    /// Says to whom files belong.
    package init(isSingle: Bool, users: [IdentityMap.Range] = [], groups: [IdentityMap.Range] = []) {
        self.isSingle = isSingle
        self.users = users
        self.groups = groups
    }
}

/// What was left out or changed of an archive, and why.
package enum UnpackNote: String, Sendable, Hashable, Codable, CaseIterable {
    case device, fifo
    case absoluteName = "absolute_name"
    case privilege, attribute
    case overlayAttribute = "overlay_attribute"
    case duplicate, owner

    /// What is said of `count` entries, for people.
    package func text(_ count: Int) -> String {
        let entries = count == 1 ? "1 entry" : "\(count) entries"
        return switch self {
        case .device: "\(entries) left out: devices"
        case .fifo: "\(entries) left out: named pipes"
        case .absoluteName: "\(entries) with an absolute name: taken from the root of the image"
        case .privilege: "\(entries) without their setuid and setgid bits"
        case .attribute: "\(entries) without attributes of the system, such as file capabilities"
        case .overlayAttribute: "\(entries) without attributes that would change what overlays show"
        case .duplicate: "\(entries) given more than once: the last one counts"
        case .owner: "\(entries) of an owner beyond 65535: they belong to nobody (65534)"
        }
    }
}

/// What came of unpacking an archive.
package struct UnpackReport: Sendable, Hashable, Codable {
    /// A kind of note: how many entries, and the first of them.
    package struct Noted: Sendable, Hashable, Codable {
        /// The number of entries.
        package var count: Int
        /// Names, safe to show.
        package var examples: [String]
    }

    /// How many examples are kept of each kind.
    private static let exampleLimit = 100

    /// Bytes of files, holes included.
    package var bytes: Int64 = 0
    /// Files, directories and links that were made.
    package var entries = 0
    /// What was left out or changed.
    package private(set) var notes: [UnpackNote: Noted] = [:]

    /// Nothing unpacked.
    package init() {}

    mutating func note(_ note: UnpackNote, _ name: [UInt8]) {
        var noted = notes[note] ?? Noted(count: 0, examples: [])
        noted.count += 1
        if noted.examples.count < Self.exampleLimit { noted.examples.append(shown(name)) }
        notes[note] = noted
    }

    /// Adds what came of another archive of the same image.
    mutating func add(_ other: UnpackReport) {
        bytes += other.bytes
        entries += other.entries
        for (note, added) in other.notes {
            var noted = notes[note] ?? Noted(count: 0, examples: [])
            noted.count += added.count
            noted.examples += added.examples.prefix(max(0, Self.exampleLimit - noted.examples.count))
            notes[note] = noted
        }
    }

    /// One line a note, with a few names.
    package var lines: [String] {
        UnpackNote.allCases.compactMap { note in
            notes[note].map { noted in
                let names = noted.examples.prefix(5).joined(separator: ", ")
                return note.text(noted.count) + ": " + names + (noted.count > 5 ? ", …" : "")
            }
        }
    }
}
