package import Isolation

/// What a supervisor can be asked for: how its run is to end.
package enum SupervisorOrder: Sendable, Hashable {
    /// Give the run up: it will be pending again.
    case interrupt
    /// End the run: its commands get a few seconds.
    case cancel
    /// The time of the job is over: as `cancel`, with that as the reason.
    case expire
    /// The run's user keeps too much on the disk: as `cancel`, with that as the reason.
    case makeRoom(DiskExcess)
    /// End the run at once.
    case kill

    /// More than any order takes, and what a pipe takes as a whole (pipe(7), `PIPE_BUF`).
    package static let longest = 4096

    /// A letter; behind that of `makeRoom` a line with the excess as JSON.
    package var bytes: [UInt8] {
        switch self {
        case .interrupt: [UInt8(ascii: "i")]
        case .cancel: [UInt8(ascii: "c")]
        case .expire: [UInt8(ascii: "t")]
        case .kill: [UInt8(ascii: "k")]
        case .makeRoom(let excess): [UInt8(ascii: "d")] + (JSONFile.encode(excess) ?? [0x0A])
        }
    }

    /// The orders that have arrived, the most urgent one first; what is none is passed over.
    package static func all(in bytes: [UInt8]) -> [SupervisorOrder] {
        var orders: [SupervisorOrder] = []
        var rest = bytes[...]
        while let letter = rest.popFirst() {
            switch letter {
            case UInt8(ascii: "i"): orders.insert(.interrupt, at: 0)
            case UInt8(ascii: "k"): orders.insert(.kill, at: orders.first == .interrupt ? 1 : 0)
            case UInt8(ascii: "t"): orders.append(.expire)
            case UInt8(ascii: "c"): orders.append(.cancel)
            case UInt8(ascii: "d"):
                let line = rest.prefix { $0 != 0x0A }
                rest = rest[line.endIndex...].dropFirst()
                if let excess = JSONFile.decode(DiskExcess.self, Array(line)) { orders.append(.makeRoom(excess)) }
            default: continue
            }
        }
        return orders
    }
}
