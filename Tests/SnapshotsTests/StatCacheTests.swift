import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct StatCacheTests {
    /// Waits until what was written is older than the clock's margin.
    private func settle() { Syscall.sleep(nanoseconds: 130_000_000) }

    @Test(.enabled(if: isRoot, "becoming another user needs root"))
    func `an unchanged project is recognised without opening a file or storing anything`() throws {
        try Scratch.with { scratch in
            for number in 0..<50 {
                try scratch.write("project/d\(number % 5)/f\(number)", "content \(number)", mode: 0o600)
            }
            try Syscall.symlink("d0", scratch.at("project/link"))
            settle()
            let first = try scratch.capture()
            #expect(try run(["chown", "-R", "65534:65534", "store"], in: scratch).exitCode == 0)
            try onPrivateThread {
                // Who may not read the files can still walk.
                try becomeNobody()
                let second = try scratch.capture()
                #expect(!second.isNew && second.snapshot.identity == first.snapshot.identity)
                #expect(second.size == first.size)
            }
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
            #expect(try scratch.store().list().snapshots.count == 1)
        }
    }

    @Test func `a change that hides behind an old time, size and name is seen`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/model", "weights A")
            try scratch.write("project/other", "other")
            settle()
            let first = try scratch.capture()
            let before = try scratch.status("project/model")
            let file = try Syscall.open(scratch.at("project/model"), O_WRONLY)
            try Syscall.writeAll(file.number, Array("weights B".utf8))
            try Syscall.setModificationTime(of: file.number, before.modified)
            let second = try scratch.capture()
            #expect(second.isNew && second.snapshot.identity != first.snapshot.identity)
            #expect(
                try scratch.read("store/snapshots/\(second.snapshot.identity)/tree/model") == Array("weights B".utf8))
            #expect(
                try scratch.read("store/snapshots/\(first.snapshot.identity)/tree/model") == Array("weights A".utf8))
        }
    }

    /// Changes of a tree that leave every file as it is, and hide behind old times.
    static let rearrangements = [
        "mv a c", "mv a t; mv b a; mv t b", "ln -sfn other link", "mv link b/link", "chmod 700 a",
        // A new attribute of a directory.
        ":", "mkdir a/empty", "rm link; mkdir link", "mv a/f a/g",
    ]

    @Test(arguments: rearrangements)
    func `a tree that was rearranged behind old times is seen`(_ script: String) throws {
        try Scratch.with { scratch in
            for name in ["a/f", "b/f", "b/sub/f"] { try scratch.write("project/\(name)", name) }
            try Syscall.symlink("target", scratch.at("project/link"))
            settle()
            let first = try scratch.capture()
            let times =
                "touch -h -d @1000000000.5 link 2>/dev/null || true; find . -type d -exec touch -d @1000000000.5 {} +"
            #expect(try run(["sh", "-c", times], in: scratch, at: "project").exitCode == 0)
            let second = try scratch.capture()
            #expect(second.snapshot.identity != first.snapshot.identity)
            #expect(try !scratch.capture().isNew)
            if script == ":" {
                let directory = try scratch.open("project/a")
                try Syscall.setAttribute(TerminatedName("user.note".utf8), of: directory.number, [1])
            }
            let changed = try run(["sh", "-c", "set -e; \(script); \(times)"], in: scratch, at: "project")
            #expect(changed.exitCode == 0, "\(changed.errors)")
            let third = try scratch.capture()
            #expect(third.isNew && third.snapshot.identity != second.snapshot.identity)
            #expect(try scratch.store().verify(third.snapshot.identity).isEmpty)
            // All that the snapshot says is what a capture without any memory says.
            let caches = try scratch.open("store/snapshots")
            StatCacheDirectory(snapshots: caches.number)?.clear()
            #expect(try scratch.capture().snapshot.identity == third.snapshot.identity)
        }
    }

    @Test func `what was written in the same moment as the cache is read again`() throws {
        let start = FileTime(seconds: 1000, nanoseconds: 500_000_000)
        let local = SettledClock(start: start, isLocal: true)
        #expect(local.isOver(FileTime(seconds: 1000, nanoseconds: 300_000_000)))
        #expect(!local.isOver(FileTime(seconds: 1000, nanoseconds: 450_000_000)))
        #expect(!local.isOver(FileTime(seconds: 1000, nanoseconds: 600_000_000)))
        // Whole seconds: the change may have been up to two seconds later than it says.
        #expect(!local.isOver(FileTime(seconds: 998, nanoseconds: 0)))
        #expect(local.isOver(FileTime(seconds: 997, nanoseconds: 0)))
        // A server's clock.
        #expect(!SettledClock(start: start, isLocal: false).isOver(FileTime(seconds: 900, nanoseconds: 1)))
        #expect(
            !local.isOver(FileTime(seconds: .min, nanoseconds: 0))
                && !local.isOver(FileTime(seconds: .max, nanoseconds: 0)))
    }

    @Test func `a file that changed while its time stood still is not believed`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "one")
            // Captured at once: its stamp proves nothing.
            let first = try scratch.capture()
            let cache = try #require(try scratch.cache())
            #expect((0..<cache.count).map { cache[$0].isSettled } == [false])
            #expect(try !scratch.capture().isNew)
            settle()
            #expect(try scratch.capture().snapshot == first.snapshot)
            #expect(try #require(try scratch.cache())[0].isSettled)
        }
    }

    @Test func `an entry that was not settled is not believed, whatever it says`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "truth")
            settle()
            let first = try scratch.capture()
            let cache = try #require(try scratch.cache())
            let entry = cache[0]
            let lie = StatCache.Entry(
                directory: entry.directory, nameStart: entry.nameStart, isSettled: false, drops: entry.drops,
                stamp: entry.stamp, digest: ContentDigest(of: Array("lie".utf8)), attributes: [])
            let snapshots = try scratch.open("store/snapshots")
            StatCacheDirectory(snapshots: snapshots.number)?.save(
                StatCacheWriter(key: cache.key, snapshot: cache.snapshot, survey: cache.survey), entries: [lie])
            #expect(try scratch.cache()?[0].digest == lie.digest)
            try scratch.write("project/b", "new")
            let second = try scratch.capture()
            #expect(second.snapshot.identity != first.snapshot.identity)
            #expect(try scratch.store().verify(second.snapshot.identity).isEmpty)
        }
    }

    @Test func `files of a changed project are shared with the snapshot before`() throws {
        try Scratch.with { scratch in
            for number in 0..<20 { try scratch.write("project/d\(number % 4)/f\(number)", "content \(number)") }
            settle()
            let first = try scratch.capture()
            try scratch.write("project/d0/f0", "changed")
            try scratch.write("project/new", "new")
            try Syscall.unlink(scratch.at("project/d1/f1"))
            try Syscall.rename(scratch.at("project/d2"), to: scratch.at("project/renamed"))
            let second = try scratch.capture()
            let (old, new) = (first.snapshot.layers[0], second.snapshot.layers[0])
            for (before, after) in [("d1/f5", "d1/f5"), ("d2/f2", "renamed/f2"), ("d0/f4", "d0/f4")] {
                let (one, other) = (try Syscall.lstat(old.appending(before)), try Syscall.lstat(new.appending(after)))
                #expect(one.inode == other.inode && one.links == 2, "\(after)")
            }
            #expect(try Syscall.lstat(old.appending("d0/f0")).inode != Syscall.lstat(new.appending("d0/f0")).inode)
            #expect(try Syscall.lstat(new.appending("new")).links == 1)
            for report in [first, second] { #expect(try scratch.store().verify(report.snapshot.identity).isEmpty) }
            // Never with the project itself.
            #expect(try scratch.status("project/d0/f4").links == 1)
            try scratch.store().remove(first.snapshot.identity)
            #expect(try scratch.store().verify(second.snapshot.identity).isEmpty)
            #expect(try Syscall.lstat(new.appending("d1/f5")).links == 1)
        }
    }

    @Test func `what snapshots take is told apart into own and shared, and files with many names count once`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/big", String(repeating: "x", count: 1 << 20))
            try scratch.write("project/small", "x")
            settle()
            let first = try scratch.capture().snapshot.identity
            try scratch.write("project/small", "y")
            let second = try scratch.capture().snapshot.identity
            let store = try scratch.store()
            let (one, both) = (try store.usage(of: [first]), try store.usage(of: [first, second]))
            #expect(one.shared == 1 << 20 && one.exclusive == one.allocated - 1 << 20)
            #expect(both.shared == 0 && both.allocated < one.allocated + 1 << 20)
            try store.remove(second)
            #expect(try store.usage(of: [first]).shared == 0)
        }
    }

    @Test func `equal content of two projects is stored once where all that a link shares is equal`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/data", "the same content")
            try scratch.write("project/mode", "x", mode: 0o644)
            let old = try scratch.status("project/data").modified
            settle()
            let first = try scratch.capture()
            try scratch.write("second/data", "the same content")
            try scratch.write("second/twin", "the same content")
            try scratch.write("second/late", "the same content")
            try scratch.write("second/mode", "x", mode: 0o600)
            for name in ["data", "twin", "mode"] {
                let time = name == "mode" ? try scratch.status("project/mode").modified : old
                try Syscall.setModificationTime(
                    scratch.at("second/\(name)"), seconds: time.seconds, nanoseconds: time.nanoseconds)
            }
            let project = try scratch.open("second")
            let second = try scratch.store().capture(CaptureRequest(project: project.number, source: "second"))
            let stored = try Syscall.lstat(first.snapshot.layers[0].appending("data")).inode
            let inodes = try ["data", "twin", "late", "mode"].map {
                try Syscall.lstat(second.snapshot.layers[0].appending($0)).inode
            }
            // Two files of one tree stay two files.
            #expect(inodes.count { $0 == stored } == 1 && Set(inodes).count == 4)
            #expect(inodes[2] != stored && inodes[3] != stored)
            #expect(try scratch.store().verify(second.snapshot.identity).isEmpty)
        }
    }

    @Test(.enabled(if: isRoot, "only root gives files away"))
    func `a file of another owner is not shared`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            settle()
            try scratch.capture { $0.owner = FileOwner(user: 100_000, group: 100_000) }
            try scratch.write("project/b", "y")
            let second = try scratch.capture { $0.owner = FileOwner(user: 200_000, group: 200_000) }
            let status = try Syscall.lstat(second.snapshot.layers[0].appending("a"))
            #expect(status.user == 200_000 && status.links == 1)
        }
    }

    @Test func `a stored file that is not what the cache says is not shared`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "good")
            settle()
            let first = try scratch.capture()
            try Syscall.writeFile(first.snapshot.layers[0].appending("a"), Array("longer than before".utf8))
            try scratch.write("project/b", "y")
            let second = try scratch.capture()
            #expect(try Syscall.readFile(second.snapshot.layers[0].appending("a"), limit: 100) == Array("good".utf8))
            #expect(try scratch.store().verify(second.snapshot.identity).isEmpty)
        }
    }

    @Test func `a damaged snapshot is used no more, shares nothing, and is made anew`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "good")
            settle()
            let first = try scratch.capture().snapshot
            let stored = first.layers[0].appending("a")
            let time = try Syscall.lstat(stored).modified
            try Syscall.writeFile(stored, Array("evil".utf8))
            try Syscall.setModificationTime(stored, seconds: time.seconds, nanoseconds: time.nanoseconds)
            let store = try scratch.store()
            #expect(try store.verify(first.identity).map(\.description) == ["a: content changed"])
            #expect(throws: SnapshotError.self) { try store.snapshot(first.identity) }
            #expect(try store.list().damaged.count == 1)
            try scratch.write("project/b", "y")
            let second = try scratch.capture().snapshot
            #expect(try store.verify(second.identity).isEmpty)
            try Syscall.unlink(scratch.at("project/b"))
            let time2 = try Syscall.lstat(first.layers[0]).modified
            try Syscall.setModificationTime(
                scratch.at("project"), seconds: time2.seconds, nanoseconds: time2.nanoseconds)
            let third = try scratch.capture()
            #expect(third.isNew && third.snapshot.identity == first.identity)
            #expect(try store.verify(first.identity).isEmpty)
        }
    }

    @Test(arguments: ["bit", "cut", "longer", "empty", "other project", "directory"])
    func `a cache that is not whole, or not of this project, is none`(_ damage: String) throws {
        try Scratch.with { scratch in
            for number in 0..<5 { try scratch.write("project/f\(number)", "content \(number)") }
            settle()
            let first = try scratch.capture()
            let name = try #require(try scratch.names("store/snapshots/caches").first)
            var bytes = try scratch.read("store/snapshots/caches/\(name)")
            switch damage {
            case "bit": bytes[bytes.count / 2] ^= 1
            case "cut": bytes.removeLast()
            case "longer": bytes.append(0)
            case "empty": bytes = []
            case "other project":
                let cache = try #require(StatCache(encoded: bytes))
                let other = StatCacheWriter(
                    key: .init(device: 1, inode: 1), snapshot: cache.snapshot, survey: cache.survey)
                var rest: [UInt8] = []
                let digest = other.write((0..<cache.count).map { cache[$0] }) { rest += $0 }
                bytes = StatCache.header + digest + rest
            default: break
            }
            try Syscall.unlink(scratch.at("store/snapshots/caches/\(name)"))
            if damage == "directory" {
                try scratch.write("store/snapshots/caches/\(name)/x", "")
            } else {
                try scratch.write(bytes: Array("store/snapshots/caches/\(name)".utf8), bytes)
            }
            #expect(try scratch.cache() == nil || damage == "directory")
            let second = try scratch.capture()
            #expect(!second.isNew && second.snapshot.identity == first.snapshot.identity)
        }
    }

    @Test func `caches of many projects are bounded`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            try scratch.capture()
            for number in 0..<80 { try scratch.write("store/snapshots/caches/old\(number)", "x") }
            try scratch.write("project/b", "x")
            try scratch.capture()
            #expect(try scratch.names("store/snapshots/caches").count == 64)
            #expect(try scratch.cache() != nil)
        }
    }

    @Test func `hard links, special bits and dropped attributes are told again though nothing is read`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/su", "x", mode: 0o4755)
            try scratch.write("project/one", "pair")
            let project = try scratch.open("project")
            try Syscall.link(
                TerminatedName("one".utf8), at: project.number, to: TerminatedName("two".utf8), at: project.number)
            let file = try Syscall.open(scratch.at("project/one"), O_RDONLY)
            try Syscall.setAttribute(TerminatedName("user.overlay.x".utf8), of: file.number, [1])
            try Syscall.setAttribute(TerminatedName("user.note".utf8), of: file.number, [2])
            settle()
            let first = try scratch.capture()
            try scratch.write("project/more", "x")
            settle()
            let second = try scratch.capture()
            let third = try scratch.capture()
            for report in [first, second, third] {
                #expect(report.count(.specialModeBits) == 1 && report.count(.overlayAttribute) == 1)
                #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            }
            #expect(second.snapshot.identity == third.snapshot.identity && !third.isNew)
            let tree = second.snapshot.layers[0]
            let (one, two) = (try Syscall.lstat(tree.appending("one")), try Syscall.lstat(tree.appending("two")))
            #expect(one.inode == two.inode)
            let stored = try Syscall.lstat(first.snapshot.layers[0].appending("one"))
            #expect(stored.inode == one.inode && one.links == 4)
            let copy = try Syscall.open(tree.appending("one"), O_RDONLY)
            #expect(try Syscall.attribute(TerminatedName("user.note".utf8), of: copy.number) == [2])
        }
    }
}

extension Scratch {
    /// The cache of `project/`, as it is on the disk.
    fileprivate func cache() throws -> StatCache? {
        let snapshots = try open("store/snapshots")
        let key = StatCache.Key(try status("project"))
        return StatCacheDirectory(snapshots: snapshots.number)?.load(key)
    }
}
