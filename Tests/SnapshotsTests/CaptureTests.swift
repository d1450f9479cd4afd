import Dispatch
import Glibc
import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct CaptureTests {
    @Test func `the copy has the same files, modes, times, links and empty directories`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/run.sh", "#!/bin/sh\n", mode: 0o750)
            try scratch.write("project/data/a.csv", "1,2\n", mode: 0o400)
            try scratch.makeDirectory("project/empty")
            try Syscall.symlink("/etc/passwd", scratch.at("project/out"))
            try Syscall.symlink("missing/\u{1}", scratch.at("project/dangling"))
            try Syscall.setModificationTime(scratch.at("project/data"), seconds: 1_000_000_000, nanoseconds: 7)
            let report = try scratch.capture()
            let tree = report.snapshot.layers[0]
            #expect(
                try report.paths(scratch.store()) == [".", "dangling", "data", "data/a.csv", "empty", "out", "run.sh"])
            for name in ["run.sh", "data", "data/a.csv", "empty", "out", "dangling", "."] {
                let (source, copy) = (try scratch.status("project/" + name), try Syscall.lstat(tree.appending(name)))
                #expect(source.mode == copy.mode && source.modified == copy.modified, "\(name)")
                #expect(source.inode != copy.inode)
            }
            #expect(try Syscall.readLink(tree.appending("out")) == Array("/etc/passwd".utf8))
            #expect(try Syscall.lstat(tree.appending("data")).modified.seconds == 1_000_000_000)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            #expect(report.snapshot.record.counts.files == 2 && report.snapshot.record.counts.bytes == 14)
            #expect(try scratch.status("store/snapshots").permissions == 0o700)
            #expect(try Syscall.lstat(tree.removingLastComponent()).permissions == 0o700)
        }
    }

    @Test func `the same content has the same identity, and is stored once`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let first = try scratch.capture()
            let second = try scratch.capture { $0.source = "another name" }
            #expect(first.isNew && !second.isNew)
            #expect(first.snapshot == second.snapshot)
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
            try scratch.write("project/a", "y")
            #expect(try scratch.capture().snapshot.identity != first.snapshot.identity)
            #expect(try scratch.store().list().snapshots.count == 2)
        }
    }

    @Test func `a project's descriptor can be used again, and by several captures at once`() throws {
        try Scratch.with { scratch in
            for number in 0..<100 { try scratch.write("project/\(number)", "x") }
            let project = try scratch.open("project")
            let store = try scratch.store()
            let number = project.number
            let identities = Mutex<Set<SnapshotIdentity>>([])
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                do {
                    let report = try store.capture(CaptureRequest(project: number, source: "p"))
                    identities.withLock { _ = $0.insert(report.snapshot.identity) }
                } catch {
                    Issue.record("\(error)")
                }
            }
            #expect(identities.withLock { $0.count } == 1)
            #expect(try store.list().snapshots.first?.record.counts.files == 100)
        }
    }

    @Test func `thousands of files on two threads come out in order and sound`() throws {
        try Scratch.with { scratch in
            for directory in 0..<40 {
                for file in 0..<50 { try scratch.write("project/d-\(directory)/f\(file)", "\(directory) \(file)") }
                try scratch.write("project/d-\(directory)-x", "")
            }
            let seen = Mutex(CaptureProgress(files: 0, totalFiles: 0, bytes: 0, totalBytes: 0, path: []))
            let report = try scratch.capture(progress: { progress in
                seen.withLock { $0 = progress }
                return .proceed
            })
            let paths = try scratch.store().manifest(of: report.snapshot.identity).entries.dropFirst().map(\.path)
            #expect(paths.count == 40 * 52)
            #expect(paths == paths.sorted { $0.lexicographicallyPrecedes($1) })
            let manifest = try scratch.store().manifest(of: report.snapshot.identity)
            #expect(try Manifest(parsing: manifest.bytes).identity == report.snapshot.identity)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            #expect(seen.withLock { $0.files } <= 2040)
        }
    }

    @Test func `the walk of a large directory tells of what it has found before it is through`() throws {
        try Scratch.with { scratch in
            for file in 0..<4200 { try scratch.write("project/f\(file)", "12") }
            let first = Mutex<CaptureProgress?>(nil)
            try scratch.capture(progress: { progress in
                first.withLock { $0 = $0 ?? progress }
                return .proceed
            })
            let progress = try #require(first.withLock { $0 })
            #expect(progress.totalFiles == 0 && progress.files == 4096 && progress.bytes == 2 * 4096)
            #expect(!progress.path.isEmpty)
        }
    }

    @Test func `hard links stay links within the snapshot, and share nothing with the project`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/z/first", "content")
            let project = try scratch.open("project")
            for name in ["a", "z/b", "z.txt"] {
                try Syscall.link(
                    TerminatedName("z/first".utf8), at: project.number, to: TerminatedName(name.utf8),
                    at: project.number)
            }
            try Syscall.link(
                TerminatedName("z/first".utf8), at: project.number, to: TerminatedName("../outside".utf8),
                at: project.number)
            let report = try scratch.capture()
            let tree = report.snapshot.layers[0]
            #expect(try Syscall.lstat(tree.appending("a")).links == 4)
            #expect(try Syscall.lstat(tree.appending("z/b")).inode == Syscall.lstat(tree.appending("z.txt")).inode)
            let kinds = try scratch.store().manifest(of: report.snapshot.identity).entries.map(\.kind)
            #expect(kinds.filter { $0 == .hardLink(first: Array("a".utf8)) }.count == 3)
            #expect(report.snapshot.record.counts.files == 1)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test func `a sparse file of a terabyte takes no time and no space`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/huge", "")
            let file = try Syscall.open(scratch.at("project/huge"), O_RDWR)
            try Syscall.truncate(file.number, to: 1 << 40)
            for offset: Int64 in [3_221_225_477, 1_099_511_627_773] {
                _ = try Syscall.seek(file.number, to: offset)
                try Syscall.writeAll(file.number, Array("end".utf8))
            }
            try scratch.write("project/holes", "")
            let small = try Syscall.open(scratch.at("project/holes"), O_RDWR)
            try Syscall.truncate(small.number, to: 1 << 20)
            _ = try Syscall.seek(small.number, to: 500_000)
            try Syscall.writeAll(small.number, Array("middle".utf8))
            let report = try scratch.capture()
            for name in ["huge", "holes"] {
                let copy = try Syscall.lstat(report.snapshot.layers[0].appending(name))
                #expect(try copy.size == scratch.status("project/" + name).size && copy.allocated < 100_000)
            }
            let copy = try Syscall.open(report.snapshot.layers[0].appending("huge"), O_RDONLY)
            _ = try Syscall.seek(copy.number, to: 3_221_225_476)
            #expect(try Syscall.read(copy.number, upTo: 5) == [0] + Array("end".utf8) + [0])
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            let digest = try run(["sha256sum", "project/holes"], in: scratch).text.prefix(64)
            #expect(try run(["cat", report.snapshot.manifestPath.string], in: scratch).text.contains(digest))
        }
    }

    @Test func `a file that changes once is read again, and one that never rests is named`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/log", "start")
            let path = scratch.at("project/log")
            let file = try Syscall.open(path, O_RDWR | O_APPEND)
            try Syscall.truncate(file.number, to: 1 << 30)
            let appended = Mutex(0)
            let append = { @Sendable (limit: Int) in
                appended.withLock { count in
                    guard count < limit, let file = try? Syscall.open(path, O_WRONLY | O_APPEND) else { return }
                    count += 1
                    try? Syscall.writeAll(file.number, [0x2B])
                }
            }
            let error = #expect(throws: SnapshotError.self) {
                try scratch.capture(progress: { progress in
                    if progress.path == Array("log".utf8) { append(.max) }
                    return .proceed
                })
            }
            #expect(error?.description == "read `log`: it changed each time it was read")
            #expect(error?.hint?.contains(".clocheignore") == true)
            #expect(try scratch.names("store/snapshots") == ["caches", "lock", "staging"])
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
            appended.withLock { $0 = 0 }
            let report = try scratch.capture(progress: { progress in
                if progress.path == Array("log".utf8) { append(1) }
                return .proceed
            })
            #expect(
                try Syscall.lstat(report.snapshot.layers[0].appending("log")).size == scratch.status("project/log").size
            )
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test func `a file that vanishes between listing and copying is left out`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a/gone", "x")
            try scratch.write("project/a/stays", "x")
            let path = scratch.at("project/a/gone")
            let report = try scratch.capture(
                { $0.confirmAbove = 0 }, confirm: { try? Syscall.unlink(path) })
            #expect(try report.paths(scratch.store()) == [".", "a", "a/stays"])
            #expect(report.count(.vanished) == 1)
        }
    }

    @Test func `ignored files are counted and stay away`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/.gitignore", "*.log\nbuild/\n")
            try scratch.write("project/a.log", "x")
            try scratch.write("project/build/big", "x")
            try scratch.write("project/.orchest/pipelines/p/logs/l", "x")
            try scratch.write("project/code.py", "x")
            let report = try scratch.capture()
            #expect(
                try report.paths(scratch.store()) == [
                    ".", ".gitignore", ".orchest", ".orchest/pipelines", ".orchest/pipelines/p", "code.py",
                ])
            #expect(report.snapshot.record.ignored == 3)
            let whole = try scratch.capture { $0.appliesIgnoreRules = false }
            #expect(try whole.paths(scratch.store()).contains("build/big"))
        }
    }

    @Test func `a large project is confirmed first, with its largest files`() throws {
        try Scratch.with { scratch in
            for number in 1...12 { try scratch.write("project/f\(number)", String(repeating: "x", count: number)) }
            let project = try scratch.open("project")
            var request = CaptureRequest(project: project.number, source: "p")
            request.confirmAbove = 50
            var asked: CaptureSize?
            let error = #expect(throws: SnapshotError.self) {
                try scratch.store().capture(request) { size in
                    asked = size
                    return .stop
                }
            }
            #expect(error?.reason == .stopped)
            #expect(asked?.bytes == 78 && asked?.entries == 13)
            #expect(asked?.largest.first?.path == Array("f12".utf8) && asked?.largest.count == 10)
            request.confirmAbove = 78
            _ = try scratch.store().capture(request) { _ in .stop }
        }
    }

    @Test func `there is no question where nothing, or little, would be stored`() throws {
        try Scratch.with { scratch in
            for number in 1...12 { try scratch.write("project/f\(number)", String(repeating: "x", count: number)) }
            // What was changed a moment ago is never believed unread.
            Syscall.sleep(nanoseconds: 300_000_000)
            let first = try scratch.capture()
            let project = try scratch.open("project")
            var request = CaptureRequest(project: project.number, source: "p")
            request.confirmAbove = 50
            let again = try scratch.store().capture(request) { _ in .stop }
            #expect(again.snapshot.identity == first.snapshot.identity && !again.isNew)
            // Read again, and found to be what is stored.
            let time = try scratch.status("project/f12").modified
            try Syscall.setModificationTime(
                scratch.at("project/f12"), seconds: time.seconds, nanoseconds: time.nanoseconds)
            #expect(try !scratch.store().capture(request) { _ in .stop }.isNew)
            try scratch.write("project/new", String(repeating: "y", count: 30))
            #expect(try scratch.store().capture(request) { _ in .stop }.isNew)
            try scratch.write("project/larger", String(repeating: "z", count: 60))
            #expect(throws: SnapshotError.self) { try scratch.store().capture(request) { _ in .stop } }
        }
    }

    @Test func `holes are not counted where the question is what will be stored`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/full", String(repeating: "x", count: 100_000))
            try scratch.write("project/hole", "x")
            let file = try Syscall.open(scratch.at("project/hole"), O_WRONLY)
            try Syscall.truncate(file.number, to: 16 << 20)
            let report = try scratch.capture(
                { $0.confirmAbove = 1 << 20 }, confirm: { Issue.record("it asks") })
            #expect((100_000..<200_000).contains(report.size.bytes), "\(report.size)")
            #expect(report.size.largest.first?.path == Array("full".utf8))
        }
    }

    @Test func `stopping leaves the store as it was`() throws {
        try Scratch.with { scratch in
            for number in 0..<100 { try scratch.write("project/f\(number)", "x") }
            let error = #expect(throws: SnapshotError.self) { try scratch.capture(progress: { _ in .stop }) }
            #expect(error?.reason == .stopped)
            #expect(try scratch.store().list().snapshots.isEmpty)
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
        }
    }

    @Test(.enabled(if: isRoot, "only root gives files away"))
    func `everything belongs to the owner that the caller names`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/file", "x")
            try Syscall.symlink("d", scratch.at("project/link"))
            let report = try scratch.capture { $0.owner = FileOwner(user: 100_000, group: 100_001) }
            for name in [".", "d", "d/file", "link"] {
                let status = try Syscall.lstat(report.snapshot.layers[0].appending(name))
                #expect(status.user == 100_000 && status.group == 100_001, "\(name)")
            }
            #expect(try Syscall.lstat(report.snapshot.manifestPath).user == 0)
        }
    }
}

extension Scratch {
    /// Takes a snapshot, and acts between the survey and the copy.
    fileprivate func capture(
        _ change: (inout CaptureRequest) -> Void, confirm: () -> Void
    ) throws -> CaptureReport {
        let project = try open("project")
        var request = CaptureRequest(project: project.number, source: "project")
        change(&request)
        return try store().capture(request) { _ in
            confirm()
            return .proceed
        }
    }
}
