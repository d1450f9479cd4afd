import Dispatch
import Glibc
import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct SnapshotStoreTests {
    @Test func `two captures at once end up with one snapshot`() throws {
        try Scratch.with { scratch in
            for number in 0..<200 { try scratch.write("project/\(number)", String(number)) }
            let results = Mutex<[CaptureReport]>([])
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                do {
                    let report = try scratch.capture()
                    results.withLock { $0.append(report) }
                } catch {
                    Issue.record("\(error)")
                }
            }
            let reports = results.withLock { $0 }
            #expect(reports.count == 4 && Set(reports.map(\.snapshot.identity)).count == 1)
            #expect(reports.count { $0.isNew } == 1)
            #expect(try scratch.store().list().snapshots.count == 1)
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
            #expect(try scratch.store().verify(reports[0].snapshot.identity).isEmpty)
        }
    }

    @Test func `what a crash left is removed by the next capture, what is in use is not`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let store = try scratch.store()
            let staging = try StagingArea(snapshots: store.directory)
            let inUse = try staging.make()
            try scratch.write("store/snapshots/staging/0123/tree/left", "x", mode: 0o400)
            try scratch.capture()
            #expect(try scratch.names("store/snapshots/staging") == [String(decoding: inUse.name.bytes, as: UTF8.self)])
        }
    }

    @Test func `a snapshot that lost its record is listed as damaged and made anew`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let first = try scratch.capture()
            let store = try scratch.store()
            try Syscall.unlink(store.path(of: first.snapshot.identity).appending("snapshot.json"))
            #expect(try store.list().snapshots.isEmpty)
            #expect(try store.list().damaged.count == 1)
            let second = try scratch.capture()
            #expect(second.isNew && second.snapshot.identity == first.snapshot.identity)
            #expect(try store.list().damaged.isEmpty)
        }
    }

    @Test func `removing takes a snapshot away, and an unknown one is not found`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/a", "x", mode: 0o400)
            let identity = try scratch.capture().snapshot.identity
            let store = try scratch.store()
            #expect(try store.snapshot(identity).record.source == "project")
            try store.remove(identity)
            try store.remove(identity)
            let error = #expect(throws: SnapshotError.self) { try store.snapshot(identity) }
            #expect(error?.reason == .notFound)
            #expect(throws: SnapshotError.self) { try store.verify(identity) }
            #expect(try scratch.names("store/snapshots") == ["caches", "lock", "staging"])
        }
    }

    /// Ways to damage the stored tree, and what verification has to say.
    enum Damage: String, CaseIterable, Sendable {
        case flippedBit, longer, mode, time, missing, extra, emptyDirectory, linkTarget, type, brokenHardLink, pipe
        case wholeTree
    }

    @Test(arguments: Damage.allCases)
    func `verification finds every damage`(_ damage: Damage) throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/file", String(repeating: "content ", count: 1000))
            try scratch.write("project/one", "x")
            try scratch.write("project/pair", "x")
            let project = try scratch.open("project")
            try Syscall.link(
                TerminatedName("pair".utf8), at: project.number, to: TerminatedName("pair2".utf8), at: project.number)
            try Syscall.symlink("one", scratch.at("project/link"))
            let report = try scratch.capture()
            let store = try scratch.store()
            #expect(try store.verify(report.snapshot.identity).isEmpty)
            try inflict(damage, on: report.snapshot.layers[0])
            let differences = try store.verify(report.snapshot.identity)
            let lines = differences.map(\.description)
            #expect(lines.contains(Self.expectation(damage)), "\(damage): \(lines)")
        }
    }

    private static func expectation(_ damage: Damage) -> String {
        switch damage {
        case .flippedBit: "d/file: content changed"
        case .longer: "one: size, modified changed"
        case .mode: "one: mode changed"
        case .time: "d: modified changed"
        case .missing: "one: missing"
        case .extra: "d/new: not in the manifest"
        case .emptyDirectory: "new: not in the manifest"
        case .linkTarget: "link: target, modified changed"
        case .type: "one: type changed"
        case .brokenHardLink: "pair2: links changed"
        case .pipe: "pipe: not in the manifest"
        case .wholeTree: ".: missing"
        }
    }

    private func inflict(_ damage: Damage, on tree: FilePath) throws {
        let root = try Syscall.open(tree, O_RDONLY | O_DIRECTORY)
        switch damage {
        case .flippedBit:
            let before = try Syscall.lstat("d/file", at: root.number)
            let file = try Syscall.open("d/file", at: root.number, O_RDWR)
            _ = try Syscall.seek(file.number, to: 4321)
            let byte = try Syscall.read(file.number, upTo: 1)
            _ = try Syscall.seek(file.number, to: 4321)
            try Syscall.writeAll(file.number, [byte[0] ^ 4])
            try Syscall.setModificationTime(of: file.number, before.modified)
        case .longer: try Syscall.writeFile("one", at: root.number, Array("xy".utf8))
        case .mode:
            let file = try Syscall.open("one", at: root.number, O_RDONLY)
            try Syscall.changeMode(of: file.number, 0o4644)
        case .time: try Syscall.setModificationTime("d", at: root.number, seconds: 1, nanoseconds: 0)
        case .missing: try Syscall.unlink("one", at: root.number)
        case .extra: try Syscall.writeFile("d/new", at: root.number, [])
        case .emptyDirectory: try Syscall.makeDirectory("new", at: root.number, mode: 0o755)
        case .linkTarget:
            try Syscall.unlink("link", at: root.number)
            try Syscall.symlink("two", "link", at: root.number)
        case .type:
            try Syscall.unlink("one", at: root.number)
            try Syscall.symlink("x", "one", at: root.number)
        case .brokenHardLink:
            try Syscall.unlink("pair2", at: root.number)
            try Syscall.writeFile("pair2", at: root.number, Array("x".utf8))
        case .pipe: mkfifo(tree.appending("pipe").string, 0o644)
        case .wholeTree:
            let above = try Syscall.open(tree.removingLastComponent(), O_RDONLY | O_DIRECTORY)
            try TreeRemoval.remove(directory: above.number, name: "tree")
        }
    }

    @Test func `a snapshot that was not on the disk when the power went is read before it is used`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "content")
            let report = try scratch.capture { $0.durability = .deferred }
            let (identity, store) = (report.snapshot.identity, try scratch.store())
            let mark = store.path(of: identity).appending("unsettled")
            #expect(Syscall.exists(mark) && store.path(of: identity) == mark.removingLastComponent())
            _ = try store.snapshot(identity)
            #expect(Syscall.exists(mark))
            try Syscall.writeFile(mark, Array("another start".utf8))
            _ = try store.snapshot(identity)
            #expect(!Syscall.exists(mark))
            try Syscall.writeFile(mark, Array("another start".utf8))
            try Syscall.writeFile(report.snapshot.layers[0].appending("a"), [])
            let error = #expect(throws: SnapshotError.self) { try store.snapshot(identity) }
            #expect(error?.description.contains("went down") == true)
            let again = try scratch.capture { $0.durability = .deferred }
            #expect(again.isNew && again.snapshot.identity == identity)
            try store.settle(identity)
            #expect(!Syscall.exists(mark))
        }
    }

    @Test func `a manifest that was tampered with is refused`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let report = try scratch.capture()
            let file = try Syscall.open(report.snapshot.manifestPath, O_WRONLY | O_APPEND)
            try Syscall.writeAll(file.number, Array("\n".utf8))
            let error = #expect(throws: SnapshotError.self) { try scratch.store().verify(report.snapshot.identity) }
            #expect(error?.description.contains("does not have this identity") == true)
            #expect(throws: SnapshotError.self) { try scratch.store().snapshot(report.snapshot.identity) }
            // The same content again replaces it, although nothing in the project has changed.
            #expect(try scratch.capture().isNew)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test(arguments: [0, 40, 120, 230, 300])
    func `a flipped bit in the record is found, and healed by the next capture`(_ place: Int) throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let report = try scratch.capture()
            let record = report.snapshot.manifestPath.removingLastComponent().appending("snapshot.json")
            var bytes = try Syscall.readFile(record, limit: 4096)
            bytes[place] ^= 4
            try Syscall.writeFile(record, bytes)
            let error = #expect(throws: SnapshotError.self) { try scratch.store().verify(report.snapshot.identity) }
            guard case .damaged = error?.reason else { throw SnapshotError([], .changing) }
            #expect(try scratch.capture().isNew)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test func `a record of the first version is sound`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let report = try scratch.capture()
            let record = report.snapshot.manifestPath.removingLastComponent().appending("snapshot.json")
            var object = FlatJSON()
            object.set("version", .number(1))
            object.set("identity", .text(report.snapshot.identity.description))
            object.set("created", .text("2026-01-01T00:00:00Z"))
            object.set("source", .text("project"))
            for name in ["files", "directories", "links", "bytes", "ignored", "dropped", "skipped"] {
                object.set(name, .number(1))
            }
            try Syscall.writeFile(record, object.bytes)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func `a full disk is named, leaves nothing behind, and removing works on it`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/small", String(repeating: "x", count: 200_000))
            try scratch.makeDirectory("store")
            try onPrivateThread {
                try enterPrivateMounts()
                try Syscall.mount(source: "tmpfs", target: scratch.at("store"), type: "tmpfs", data: "size=1m")
                let first = try scratch.capture().snapshot
                for number in 0..<40 {
                    try scratch.write("project/n\(number)", String(repeating: "y", count: 50_000))
                }
                let error = #expect(throws: SnapshotError.self) { try scratch.capture() }
                guard case .diskFull = error?.reason else {
                    throw SnapshotError([], .damaged("\(String(describing: error))"))
                }
                #expect(error?.hint?.contains("prune") == true)
                #expect(try scratch.names("store/snapshots/staging").isEmpty)
                let store = try scratch.store()
                #expect(try store.list().snapshots == [first])
                #expect(try store.verify(first.identity).isEmpty)
                _ = try? Syscall.writeFile(scratch.at("store/filler"), [UInt8](repeating: 1, count: 1 << 20))
                try store.remove(first.identity)
                #expect(try store.list().snapshots.isEmpty)
            }
        }
    }
}
