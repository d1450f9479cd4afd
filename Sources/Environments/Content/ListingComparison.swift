/// Compares what a build holds with what was written down when it was made.
enum ListingComparison {
    /// The most differences that are told.
    static let limit = 1000

    /// The paths that differ, one sentence each, in the order of the paths; empty for equal texts.
    static func differences(_ expected: [UInt8], _ actual: [UInt8]) -> [String] {
        if expected == actual { return [] }
        let (before, now) = (entries(expected), entries(actual))
        var found: [(path: [UInt8], what: String)] = []
        for (path, lines) in before {
            guard let other = now[path] else {
                found.append((path, "missing"))
                continue
            }
            if lines != other { found.append((path, change(lines, other))) }
        }
        for path in now.keys where before[path] == nil { found.append((path, "it was not there")) }
        found.sort { $0.path.lexicographicallyPrecedes($1.path) }
        let lines = found.prefix(limit).map { "\(String(decoding: $0.path, as: UTF8.self)): \($0.what)" }
        // The same entries in another order, or another first line, is no tree that was ever listed.
        return lines.isEmpty ? ["the listing has another form"] : lines
    }

    /// The lines of each path, which is the last field of the first of them.
    private static func entries(_ text: [UInt8]) -> [[UInt8]: [UInt8]] {
        var entries: [[UInt8]: [UInt8]] = [:]
        var path: [UInt8] = []
        for line in text.split(separator: 0x0A).dropFirst() {
            if line.first != UInt8(ascii: "x") { path = line.split(separator: 0x20).last.map(Array.init) ?? [] }
            entries[path, default: []] += line + [0x0A]
        }
        return entries
    }

    private static func change(_ before: [UInt8], _ now: [UInt8]) -> String {
        let fields = [before, now].map { $0.split(separator: 0x0A).first?.split(separator: 0x20) ?? [] }
        guard fields[0].first == fields[1].first, fields[0].count == fields[1].count else { return "type changed" }
        let names: [String] =
            switch fields[0].first?.first {
            case UInt8(ascii: "d"): ["mode", "owner", "group", "time"]
            case UInt8(ascii: "f"): ["mode", "owner", "group", "time", "size", "content"]
            case UInt8(ascii: "l"): ["owner", "group", "time", "target"]
            case UInt8(ascii: "h"): ["first name"]
            default: []
            }
        let changed = names.enumerated().filter { fields[0][$0.offset + 1] != fields[1][$0.offset + 1] }
        return changed.isEmpty ? "attributes changed" : changed.map(\.element).joined(separator: ", ") + " changed"
    }
}
