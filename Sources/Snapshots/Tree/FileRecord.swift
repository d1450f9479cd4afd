import LinuxSystem

/// What a worker found in a file, and thereby what the manifest says of it.
struct FileRecord: Sendable {
    /// What became of the file.
    enum State: UInt8, Sendable {
        /// It is not there; the manifest does not name it.
        case absent
        /// It has content of its own.
        case content
        /// It is a further name of its group's first file.
        case furtherName
    }

    var state = State.absent
    var drops = FileDrops()
    /// Whether the file was read in the very state that the survey saw.
    var isStamped = false
    var mode: UInt32 = 0
    var size: Int64 = 0
    var modified = FileTime(seconds: 0, nanoseconds: 0)
    var digest = ContentDigest(bytes: [UInt8](repeating: 0, count: 32))
    var attributes: [ExtendedAttribute] = []

    static let absent = FileRecord()
}
