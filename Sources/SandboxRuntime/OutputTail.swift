import Isolation
import PlainText

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
            let text = printable(String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self))
            for (kind, phrases) in Self.phrases {
                guard let place = phrases.lazy.compactMap({ text.firstRange(of: $0) }).first else { continue }
                // The reason stands at the end, as perror(3) has it; the beginning is what can be left out.
                let start = text.index(place.upperBound, offsetBy: -160, limitedBy: text.startIndex) ?? text.startIndex
                return SandboxReport.Complaint(kind: kind, line: String(text[start...].prefix(160)))
            }
        }
        return nil
    }

    /// What the C library, Python, R, node, curl and pip print for ENOSPC, EDQUOT, EROFS, EACCES, ENETUNREACH and failures of
    /// getaddrinfo(3), and the first three for what is not installed or not there.
    private static let phrases: [(SandboxReport.Complaint.Kind, [String])] = [
        (.noSpace, ["No space left on device", "[Errno 28]", "ENOSPC", "Disk quota exceeded"]),
        (.readOnly, ["Read-only file system", "[Errno 30]", "EROFS"]),
        (.permission, ["Permission denied", "[Errno 13]", "EACCES"]),
        (
            .unreachable,
            [
                "Temporary failure in name resolution", "Name or service not known", "Could not resolve host",
                "Network is unreachable", "[Errno 101]", "ENETUNREACH", "EAI_AGAIN", "ENOTFOUND",
            ]
        ),
        (
            .missingModule,
            ["No module named ", "there is no package called ", "Cannot find module ", "command not found"]
        ),
        (.missingFile, ["FileNotFoundError: ", "ENOENT: no such file", "cannot open file '"]),
    ]
}
