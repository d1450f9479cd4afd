import Isolation
import Pipelines
import PlainText
import Runs
import TerminalOutput

/// What the steps of a run asked for of a filtered network, for `cloche show`.
struct NetworkTable {
    private let use: NetworkUse

    /// Of all steps, or of one.
    init(_ attempt: AttemptDirectory, step: String? = nil) {
        var use = attempt.network()
        if let step { use.records.removeAll { $0.step != step } }
        self.use = use
    }

    var isEmpty: Bool { use.records.isEmpty && use.omitted == 0 }

    /// The most lines for people; the rest is in the ledger.
    private static let limit = 40

    private struct Key: Hashable {
        var destination: String
        var verdict: EgressRecord.Verdict
        var why: String
    }

    /// A line for each destination and what became of it, in the order in which they first came.
    func lines() -> [String] {
        var keys: [Key] = []
        var sums: [Key: (count: Int, sent: Int64, received: Int64)] = [:]
        for record in use.records {
            let key = Key(
                destination: record.destination, verdict: record.verdict,
                why: record.reason ?? record.rule.map { "by `\($0)`" } ?? "")
            if sums[key] == nil { keys.append(key) }
            let sum = sums[key] ?? (0, 0, 0)
            sums[key] = (
                sum.count + 1, sum.sent.addingReportingOverflow(record.sentBytes).partialValue,
                sum.received.addingReportingOverflow(record.receivedBytes).partialValue
            )
        }
        var lines = keys.prefix(Self.limit).map { key in
            let sum = sums[key] ?? (0, 0, 0)
            let times = sum.count > 1 ? " \(sum.count) times" : ""
            let bytes =
                key.verdict == .allowed ? ", \(humanBytes(sum.sent)) sent, \(humanBytes(sum.received)) received" : ""
            return "  \(printable(key.destination)) \(key.verdict.rawValue)\(times)\(bytes): \(printable(key.why))"
        }
        let more = max(0, keys.count - Self.limit)
        if more > 0 { lines.append("  and \(more) other destinations: see `network.jsonl` in the run's directory") }
        if use.omitted > 0 { lines.append("  and \(use.omitted) connections for which the ledger had no room") }
        return lines
    }

    /// Every record.
    var document: JSONValue { .array(use.records.map { Documents.value($0) }) }
}
