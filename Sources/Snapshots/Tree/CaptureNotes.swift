/// Something of a project that a snapshot does not hold as it is, and why.
package struct CaptureNote: Sendable, Hashable {
    /// What was left out or changed.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A file that an ignore rule left out, or a directory with all that is in it.
        case ignored
        /// setuid, setgid or sticky bits were dropped.
        case specialModeBits = "special-mode-bits"
        /// An attribute that overlay mounts would obey was dropped.
        case overlayAttribute = "overlay-attribute"
        /// An attribute outside `user.` was dropped, such as an access list or a file capability.
        case otherAttribute = "other-attribute"
        /// The store's file system cannot hold an attribute.
        case attributeNotStored = "attribute-not-stored"
        /// A device, which snapshots do not hold.
        case device
        /// A socket, which snapshots do not hold.
        case socket
        /// A named pipe, which snapshots do not hold.
        case fifo
        /// Another file system or a bind mount, taken as an empty directory or left out.
        case mountPoint = "mount-point"
        /// A store of this program, the one in use or another.
        case store
        /// A file that was removed between the listing and the copy.
        case vanished
    }

    /// What kind.
    package let kind: Kind
    /// How often.
    package var count: Int
    /// The first few paths, relative to the project.
    package var examples: [[UInt8]]
}

/// Collects notes; hostile trees can cause any number, so only the first few paths of a kind are kept.
struct CaptureNotes: Sendable {
    private static let exampleLimit = 10
    private var notes: [CaptureNote.Kind: CaptureNote] = [:]

    /// All notes, by kind.
    var all: [CaptureNote] { CaptureNote.Kind.allCases.compactMap { notes[$0] } }

    func count(_ kind: CaptureNote.Kind) -> Int { notes[kind]?.count ?? 0 }

    mutating func add(_ kind: CaptureNote.Kind, _ path: @autoclosure () -> [UInt8]) {
        var note = notes[kind] ?? CaptureNote(kind: kind, count: 0, examples: [])
        note.count += 1
        if note.examples.count < Self.exampleLimit { note.examples.append(path()) }
        notes[kind] = note
    }

    mutating func add(_ other: CaptureNotes) {
        for (kind, theirs) in other.notes {
            var note = notes[kind] ?? CaptureNote(kind: kind, count: 0, examples: [])
            note.count += theirs.count
            note.examples += theirs.examples.prefix(Self.exampleLimit - note.examples.count)
            notes[kind] = note
        }
    }
}
