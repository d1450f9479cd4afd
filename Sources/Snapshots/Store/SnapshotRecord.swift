import PlainText

/// What is known of a snapshot besides its content: how it came about, and its size.
///
/// `snapshot.json` holds it; none of it is part of the identity. Its last member is the SHA-256 of the document without
/// that member, so that a changed bit is found here too; documents of version 1 have none.
package struct SnapshotRecord: Sendable, Hashable {
    /// When the snapshot was taken, in seconds since 1970.
    package let created: Int64
    /// What it was taken of, as the caller named it.
    package let source: String
    /// How much it holds.
    package let counts: TreeCounts
    /// How many entries ignore rules left out.
    package let ignored: Int
    /// How many attributes and mode bits were dropped.
    package let dropped: Int
    /// How many devices, sockets, pipes and mounts were skipped.
    package let skipped: Int

    init(created: Int64, source: String, counts: TreeCounts, notes: CaptureNotes) {
        self.created = created
        self.source = source
        self.counts = counts
        ignored = notes.count(.ignored)
        dropped =
            notes.count(.specialModeBits) + notes.count(.overlayAttribute) + notes.count(.otherAttribute)
            + notes.count(.attributeNotStored)
        skipped =
            notes.count(.device) + notes.count(.socket) + notes.count(.fifo) + notes.count(.mountPoint)
            + notes.count(.store)
    }

    /// The document.
    func json(identity: SnapshotIdentity) -> [UInt8] {
        var object = FlatJSON()
        object.set("version", .number(2))
        object.set("identity", .text(identity.description))
        object.set("created", .text(UTCTime(seconds: created).description))
        object.set("source", .text(source))
        object.set("files", .number(Int64(counts.files)))
        object.set("directories", .number(Int64(counts.directories)))
        object.set("links", .number(Int64(counts.links)))
        object.set("bytes", .number(counts.bytes))
        object.set("ignored", .number(Int64(ignored)))
        object.set("dropped", .number(Int64(dropped)))
        object.set("skipped", .number(Int64(skipped)))
        object.set("digest", .text(hexadecimal(ContentDigest(of: object.bytes).bytes)))
        return object.bytes
    }

    /// Whether a document is the one that was written of this record, to the last byte.
    func isOf(_ identity: SnapshotIdentity, json bytes: [UInt8]) -> Bool {
        guard let object = FlatJSON(parsing: bytes) else { return false }
        return object.number("version") == 1 ? object.bytes == bytes : json(identity: identity) == bytes
    }

    /// Reads a document; nil when it is none of these.
    init?(json bytes: [UInt8]) {
        guard let object = FlatJSON(parsing: bytes), (1...2).contains(object.number("version") ?? 0),
            let created = object.text("created").flatMap(UTCTime.init), let source = object.text("source"),
            let files = object.number("files"), let directories = object.number("directories"),
            let links = object.number("links"), let size = object.number("bytes"),
            let ignored = object.number("ignored"), let dropped = object.number("dropped"),
            let skipped = object.number("skipped")
        else { return nil }
        self.created = created.seconds
        self.source = source
        var counts = TreeCounts()
        counts.files = Int(files)
        counts.directories = Int(directories)
        counts.links = Int(links)
        counts.bytes = size
        self.counts = counts
        self.ignored = Int(ignored)
        self.dropped = Int(dropped)
        self.skipped = Int(skipped)
    }
}
