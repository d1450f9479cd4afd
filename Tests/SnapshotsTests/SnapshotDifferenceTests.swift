import PlainText
import Testing

@testable import Snapshots

@Suite struct SnapshotDifferenceTests {
    /// What differs in each name when a script has run in a project with one file of three names, beside directories.
    private func aspects(after script: String) throws -> [String: [SnapshotDifference.Aspect]] {
        try Scratch.with { scratch in
            try scratch.makeDirectory("project")
            func manifest(after script: String) throws -> Manifest {
                let ran = try run(["sh", "-c", script], in: scratch, at: "project")
                try #require(ran.exitCode == 0, "\(ran.errors)")
                return try scratch.store().manifest(of: try scratch.capture().snapshot.identity)
            }
            let first = try manifest(after: "echo a > f1; touch -d @7 f1; ln f1 f2; ln f1 f3")
            var found: [String: [SnapshotDifference.Aspect]] = [:]
            for difference in SnapshotDifference.between(first, try manifest(after: script))
            where difference.path != [UInt8(ascii: ".")] {
                guard case .changed(let aspects) = difference.kind else { continue }
                found[displayName(difference.path)] = aspects
                #expect(difference.isMinor == aspects.allSatisfy { $0 == .links || $0 == .modified })
            }
            return found
        }
    }

    @Test(
        "what changes in a file is told of all its names",
        arguments: [
            ("echo bbbb > f1; touch -d @9 f1", [.size, .modified]), ("echo b > f2; touch -d @7 f2", [.content]),
            ("chmod 600 f3", [.mode]),
        ] as [(String, [SnapshotDifference.Aspect])])
    func sharedContent(script: String, aspects: [SnapshotDifference.Aspect]) throws {
        #expect(try self.aspects(after: script) == ["f1": aspects, "f2": aspects, "f3": aspects])
    }

    @Test(
        "names that are no longer of the same file are told by their links alone",
        arguments: [
            ("cp -p f1 n; mv n f1", [:]), ("echo bbbb > n; touch -d @7 n; mv n f1", ["f1": [.size]]),
        ] as [(String, [String: [SnapshotDifference.Aspect]])])
    func brokenLinks(script: String, first: [String: [SnapshotDifference.Aspect]]) throws {
        #expect(try aspects(after: script) == first.merging(["f2": [.links], "f3": [.links]]) { $1 })
    }

    @Test func `what is no file any more has another type, whatever names it had`() throws {
        #expect(try aspects(after: "ln -sf f1 f2") == ["f2": [.type]])
    }
}
