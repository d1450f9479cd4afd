package import Isolation

/// What sandboxes did and wanted: what a policy is learnt from.
package struct PolicyEvidence: Sendable, Hashable {
    /// A kind of call that was refused.
    package struct Refused: Sendable, Hashable {
        package var call: String
        /// The reason, by its group.
        package var group: String
        package var count: Int
        /// Who called, and how.
        package var summary: String

        /// Names a kind of refused call.
        package init(call: String, group: String, count: Int, summary: String) {
            self.call = call
            self.group = group
            self.count = count
            self.summary = summary
        }
    }

    package var recordings: [SandboxRecording] = []
    package var refused: [Refused] = []
    /// Packets that found no network.
    package var unroutedPackets: UInt64 = 0
    /// The most that one of the sandboxes, or their run, used; nil where nothing tells.
    package var peakMemory: Int64?, peakProcesses: Int64?
    package var longestSeconds: Double?, mostProcessorSeconds: Double?
    package var mostOutputBytes: Int64?

    /// Nothing.
    package init() {}

    /// Each recorded call by its name, of all the sandboxes together.
    var calls: [String: SandboxRecording.Call] {
        var calls: [String: SandboxRecording.Call] = [:]
        for call in recordings.flatMap(\.calls) {
            guard var known = calls[call.name] else {
                calls[call.name] = call
                continue
            }
            known.count += call.count
            known.uses += call.uses.filter { !known.uses.contains($0) }
            known.dangers = Set(known.dangers + call.dangers).sorted()
            calls[call.name] = known
        }
        return calls
    }

    /// Destinations of connections that were allowed, or those of the others.
    func connections(allowed: Bool) -> [SandboxRecording.Connection] {
        var found: [String: SandboxRecording.Connection] = [:]
        for connection in recordings.flatMap(\.connections) where connection.isAllowed == allowed {
            guard var known = found[connection.destination] else {
                found[connection.destination] = connection
                continue
            }
            known.count += connection.count
            // A name may lead elsewhere each time it is looked up.
            known.isPrivate = known.isPrivate || connection.isPrivate
            found[connection.destination] = known
        }
        return found.values.sorted { $0.destination < $1.destination }
    }

    /// The most that any of them made of `/data`.
    var data: SandboxRecording.DataUse {
        let uses = Set(recordings.map(\.data))
        return [.unknown, .written, .read].first { uses.contains($0) } ?? .unused
    }

    /// Whether sockets were made that lead to a network.
    var usesInternet: Bool {
        guard let uses = calls["socket"]?.uses else { return false }
        // So many were not all noted.
        return uses.count >= 8 || uses.contains { $0.hasPrefix("socket(AF_INET") }
    }
}
