import Isolation

/// The end of what a command wrote, in which most programs say why they failed.
struct OutputTail {
    private static let size = 4096
    private var bytes: [UInt8] = []

    mutating func append(_ more: [UInt8]) {
        if more.count >= Self.size {
            bytes = Array(more.suffix(Self.size))
        } else {
            bytes += more
            if bytes.count > 4 * Self.size { bytes.removeFirst(bytes.count - Self.size) }
        }
    }

    /// What the last lines complain of; the last complaint of a kind that is known.
    var complaint: SandboxReport.Complaint? {
        let lines = String(decoding: bytes.suffix(Self.size), as: UTF8.self).split(separator: "\n")
        for line in lines.reversed() {
            for (kind, phrases) in Self.phrases where phrases.contains(where: { line.contains($0) }) {
                let text = String(line.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0) })
                return SandboxReport.Complaint(kind: kind, line: String(text.prefix(160)))
            }
        }
        return nil
    }

    /// What the C library, Python, R and node print for ENOSPC, EDQUOT, EROFS and EACCES.
    private static let phrases: [(SandboxReport.Complaint.Kind, [String])] = [
        (.noSpace, ["No space left on device", "[Errno 28]", "ENOSPC", "Disk quota exceeded"]),
        (.readOnly, ["Read-only file system", "[Errno 30]", "EROFS"]),
        (.permission, ["Permission denied", "[Errno 13]", "EACCES"]),
    ]
}
