import Foundation

/// The processes of this host, as far as the tests look at them.
enum ProcessTable {
    /// The processes that descend from one, with their command lines.
    static func descendants(of root: pid_t) -> [pid_t: String] {
        var parents: [pid_t: pid_t] = [:]
        for pid in all {
            guard let status = text(pid, "stat"), let end = status.lastIndex(of: ")") else { continue }
            let words = status[status.index(after: end)...].split(separator: " ")
            if words.count > 1 { parents[pid] = pid_t(words[1]) }
        }
        var found: [pid_t: String] = [:]
        for pid in parents.keys {
            var above = parents[pid]
            var steps = 0
            while let one = above, one != root, steps < 64 { (above, steps) = (parents[one], steps + 1) }
            if above == root { found[pid] = name(pid) + " " + commandLine(pid) }
        }
        return found
    }

    /// The processes that live and have a marker in their command line, this one left out.
    static func withMarker(_ marker: String) -> [pid_t] {
        all.filter { $0 != getpid() && commandLine($0).contains(marker) }
    }

    static func isAlive(_ pid: pid_t) -> Bool {
        guard let status = text(pid, "stat"), let end = status.lastIndex(of: ")") else { return false }
        return !status[end...].hasPrefix(") Z")
    }

    /// The mounts of this mount namespace.
    static var mounts: Set<String> {
        let text = (try? String(contentsOf: URL(filePath: "/proc/self/mountinfo"), encoding: .utf8)) ?? ""
        return Set(text.split(separator: "\n").map(String.init))
    }

    private static var all: [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
    }

    private static func name(_ pid: pid_t) -> String {
        (text(pid, "comm") ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func commandLine(_ pid: pid_t) -> String {
        (text(pid, "cmdline") ?? "").replacingOccurrences(of: "\0", with: " ")
    }

    private static func text(_ pid: pid_t, _ file: String) -> String? {
        guard let handle = FileHandle(forReadingAtPath: "/proc/\(pid)/\(file)") else { return nil }
        return (try? handle.readToEnd()).flatMap { $0.map { String(decoding: $0, as: UTF8.self) } }
    }
}
