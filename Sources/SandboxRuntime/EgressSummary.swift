package import Isolation

/// What a sandbox asked its proxy for, in short.
package struct EgressSummary: Sendable, Hashable {
    /// The first refusals of different destinations.
    package private(set) var refused: [EgressRecord] = []
    /// How many connections were refused in all.
    package private(set) var refusals = 0
    package private(set) var connections = 0
    package private(set) var sentBytes: Int64 = 0, receivedBytes: Int64 = 0
    /// Whether the proxy ended before the sandbox.
    package var isLost = false

    private static let limit = 8

    /// Nothing yet.
    package init() {}

    /// Takes one more record.
    package mutating func add(_ record: EgressRecord) {
        sentBytes = sentBytes.addingReportingOverflow(record.sentBytes).partialValue
        receivedBytes = receivedBytes.addingReportingOverflow(record.receivedBytes).partialValue
        guard record.verdict == .refused else {
            if record.verdict == .allowed { connections += 1 }
            return
        }
        refusals += 1
        if refused.count < Self.limit, !refused.contains(where: { $0.destination == record.destination }) {
            refused.append(record)
        }
    }
}
