import Isolation
import LinuxSystem
import Pipelines
import PlainText
import Snapshots

/// JSON documents of snapshots. Names of files are written as everywhere: what is no printable text is `\xNN`.
extension Documents {
    static func snapshot(_ snapshot: Snapshot, jobs: [String]) -> JSONValue {
        let record = snapshot.record
        return object([
            ("identity", .string(snapshot.identity.description)), ("project", .string(record.source)),
            ("created", value(Timestamp(seconds: Double(record.created)))), ("files", value(record.counts.files)),
            ("directories", value(record.counts.directories)), ("links", value(record.counts.links)),
            ("bytes", value(record.counts.bytes)), ("ignored", value(record.ignored)),
            ("dropped", value(record.dropped)), ("skipped", value(record.skipped)),
            ("jobs", .array(jobs.sorted().map { .string($0) })),
        ])
    }

    static func note(_ note: CaptureNote) -> JSONValue {
        object([
            ("kind", .string(note.kind.rawValue)), ("count", value(note.count)),
            ("examples", .array(note.examples.map { .string(displayName($0)) })),
        ])
    }

    static func entry(_ entry: ManifestEntry) -> JSONValue {
        var members: [(String, JSONValue)] = [("path", .string(displayName(entry.path)))]
        switch entry.kind {
        case .directory: members.append(("type", .string("directory")))
        case .file(let size, let digest):
            members += [
                ("type", .string("file")), ("bytes", value(size)),
                ("digest", .string(digest.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())),
            ]
        case .symbolicLink(let target):
            members += [("type", .string("symbolic-link")), ("target", .string(displayName(target)))]
        case .hardLink(let first):
            return object(members + [("type", .string("hard-link")), ("target", .string(displayName(first)))])
        }
        // The manifest has no mode of links: it is the same for all of them.
        let isLink = if case .symbolicLink = entry.kind { true } else { false }
        let mode = String(isLink ? 0o777 : entry.mode, radix: 8)
        members += [
            ("mode", .string(String(repeating: "0", count: max(0, 4 - mode.count)) + mode)),
            ("modified", value(Timestamp(seconds: Double(entry.modified.seconds)))),
        ]
        return object(members)
    }

    static func difference(_ difference: SnapshotDifference) -> JSONValue {
        var members: [(String, JSONValue)] = [("path", .string(displayName(difference.path)))]
        switch difference.kind {
        case .missing: members.append(("change", .string("removed")))
        case .extra: members.append(("change", .string("added")))
        case .changed(let aspects):
            members += [
                ("change", .string("changed")), ("aspects", .array(aspects.map { .string($0.rawValue) })),
            ]
        }
        return object(members)
    }
}
