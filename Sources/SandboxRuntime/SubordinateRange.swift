import LinuxSystem
package import SystemPackage

/// Consecutive ids that somebody may use for others than himself: a line `name:first:count` (subuid(5)).
package struct SubordinateRange: Sendable, Equatable {
    package var name: String
    package var first: UInt32, count: UInt32

    /// So many ids has a run.
    package static let width: UInt32 = 65536

    /// Describes a line.
    package init(name: String, first: UInt32, count: UInt32) {
        self.name = name
        self.first = first
        self.count = count
    }

    /// The lines of a file; none where it cannot be read.
    package static func all(_ path: FilePath) -> [SubordinateRange] {
        guard let bytes = try? Syscall.readFile(path, limit: 1 << 20) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]) else { return nil }
            return SubordinateRange(name: String(fields[0]), first: first, count: count)
        }
    }

    /// Whether all of so many ids are among these.
    package func contains(_ start: UInt32, _ number: UInt32) -> Bool {
        start >= first && UInt64(start) + UInt64(number) <= UInt64(first) + UInt64(count)
    }

    /// Whether one of so many ids is among these.
    package func overlaps(_ start: UInt32, _ number: UInt32) -> Bool {
        UInt64(start) < UInt64(first) + UInt64(count) && UInt64(first) < UInt64(start) + UInt64(number)
    }

    /// The first of the lowest ids for a run that are in no range, from where distributions begin to hand them out.
    static func firstFree(beside ranges: [SubordinateRange]) -> UInt32 {
        var first: UInt32 = 100_000
        for range in ranges.sorted(by: { $0.first < $1.first }) where range.overlaps(first, width) {
            let (end, isBeyond) = range.first.addingReportingOverflow(range.count)
            if !isBeyond { first = max(first, end) }
        }
        return first
    }

    /// The command, in backticks, that gives a user a range: of ids from `first` on, or of some that nobody has.
    package static func command(for user: String = "USER", from first: UInt32? = nil) -> String {
        let first = first ?? firstFree(beside: all("/etc/subuid") + all("/etc/subgid"))
        let ids = "\(first)-\(UInt64(first) + UInt64(width) - 1)"
        return "`sudo usermod --add-subuids \(ids) --add-subgids \(ids) \(user)`"
    }
}
