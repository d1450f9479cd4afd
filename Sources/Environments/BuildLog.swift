import LinuxSystem
import PlainText

/// The log of a build: everything its commands wrote, without passwords, up to a bound.
struct BuildLog {
    /// How many bytes are kept.
    static let limit = 64 << 20

    /// The file, lent by whoever opened it.
    private let file: CInt
    private var filter: SecretFilter
    private var written = 0
    /// The first failure to write; the build cannot go on without a log.
    private(set) var failure: SyscallError?
    /// The last bytes, for messages.
    private(set) var tail: [UInt8] = []

    /// What apt or what calls it complained of last, safe to show: rather a cause than that something failed.
    var complaint: String? {
        let lines = String(decoding: tail, as: UTF8.self).split(whereSeparator: \.isNewline)
        let complaints = lines.filter { $0.hasPrefix("E: ") }.map { $0.dropFirst(3) }
        return (complaints.last { !$0.contains(" failed") } ?? complaints.last).map {
            printable(String($0), limit: 300)
        }
    }

    init(_ file: CInt, secrets: Set<String>) {
        self.file = file
        filter = SecretFilter(secrets)
    }

    /// Writes a chunk; what may be shown of it by now is returned.
    mutating func write(_ chunk: [UInt8]) -> [UInt8] {
        keep(filter.pass(chunk))
    }

    /// Writes what was held back at the end of a command.
    mutating func finish() -> [UInt8] {
        keep(filter.finish())
    }

    private mutating func keep(_ bytes: [UInt8]) -> [UInt8] {
        tail = Array((tail + bytes.suffix(8192)).suffix(8192))
        guard written < BuildLog.limit, failure == nil, !bytes.isEmpty else { return bytes }
        let part = bytes.prefix(BuildLog.limit - written)
        written += part.count
        do throws(SyscallError) {
            try Syscall.writeAll(file, part)
            if written == BuildLog.limit { try Syscall.writeAll(file, "\n[the rest was not kept]\n".utf8) }
        } catch {
            failure = error
        }
        return bytes
    }
}
