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
        for line in bytes.suffix(Self.size).split(separator: 0x0A).reversed() {
            let text = Self.printable(String(decoding: line, as: UTF8.self))
            for (kind, phrases) in Self.phrases {
                guard let place = phrases.lazy.compactMap({ text.firstRange(of: $0) }).first else { continue }
                // The reason stands at the end, as perror(3) has it; the beginning is what can be left out.
                let start = text.index(place.upperBound, offsetBy: -160, limitedBy: text.startIndex) ?? text.startIndex
                return SandboxReport.Complaint(kind: kind, line: String(text[start...].prefix(160)))
            }
        }
        return nil
    }

    /// The text on one line, without what would act on a terminal.
    private static func printable(_ text: String) -> String {
        let line = text.last == "\r" ? String(text.dropLast()) : text
        return String(
            line.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "?" : Character($0) })
    }

    /// What the C library, Python, R and node print for ENOSPC, EDQUOT, EROFS and EACCES.
    private static let phrases: [(SandboxReport.Complaint.Kind, [String])] = [
        (.noSpace, ["No space left on device", "[Errno 28]", "ENOSPC", "Disk quota exceeded"]),
        (.readOnly, ["Read-only file system", "[Errno 30]", "EROFS"]),
        (.permission, ["Permission denied", "[Errno 13]", "EACCES"]),
    ]
}
