package import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Writes an attempt's `network.jsonl`: a line for each connection that its steps asked for.
final class NetworkLedger {
    private let directory: CInt
    private var file: OwnedFileDescriptor?
    private var lines = 0
    private var omitted = 0

    /// `directory` is lent for as long as this lives; the file is made with the first line.
    init(directory: CInt) { self.directory = directory }

    /// The most lines: whoever asks without end fills no disk.
    static let limit = 10_000

    func write(_ record: EgressRecord, step: String) {
        guard lines < Self.limit else { return omitted += 1 }
        lines += 1
        var record = record
        record.step = step
        append(record)
    }

    /// Tells of what there was no room for.
    func finish() {
        if omitted > 0 { append(EgressLedgerEnd(omitted: omitted)) }
        file = nil
    }

    private func append(_ line: some Encodable) {
        guard let bytes = JSONFile.encode(line) else { return }
        if file == nil {
            file = try? Syscall.open(
                "network.jsonl", at: directory, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o644)
        }
        // A full disk must not end the step; the verdict carries the refusals as well.
        if let number = file?.number { try? Syscall.writeAll(number, bytes) } else { omitted += 1 }
    }
}

/// The last line of a ledger that is not whole.
struct EgressLedgerEnd: Codable {
    var omitted: Int
}

/// What an attempt's steps asked for of the network.
package struct NetworkUse: Sendable {
    /// In the order in which the connections ended.
    package var records: [EgressRecord] = []
    /// How many more there were.
    package var omitted = 0

    /// Nothing.
    package init() {}
}

extension AttemptDirectory {
    /// The ledger of the network, whose bytes are the run's: bounded, and lines that are none are left out.
    package func network() -> NetworkUse {
        var use = NetworkUse()
        guard let bytes = try? Syscall.readFile(path.appending("network.jsonl"), limit: 16 << 20) else { return use }
        for line in bytes.split(separator: 0x0A).prefix(NetworkLedger.limit + 1) {
            if let record = JSONFile.decode(EgressRecord.self, Array(line)) {
                use.records.append(record)
            } else if let end = JSONFile.decode(EgressLedgerEnd.self, Array(line)) {
                use.omitted = max(0, end.omitted)
            }
        }
        return use
    }
}
