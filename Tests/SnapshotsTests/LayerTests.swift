import Glibc
import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Snapshots

/// Snapshots of trees that are large enough to be stored as layers.
@Suite struct LayerTests {
    /// A project of 320 files in 32 directories, whose stamps are settled.
    static func fill(_ scratch: Scratch) throws {
        for number in 0..<320 {
            try scratch.write("project/d\(number % 4)/s\(number % 32)/f\(number)", "content \(number)")
        }
        try Syscall.symlink("d0", scratch.at("project/link"))
        Syscall.sleep(nanoseconds: 130_000_000)
    }

    /// What a snapshot shows, with its layers looked through as an overlay mount does.
    private func mounted(_ snapshot: Snapshot, in scratch: Scratch, _ command: String) throws -> String {
        let lowers = (snapshot.layers.map(\.string) + [scratch.at("empty").string]).joined(separator: ":")
        let script = """
            mkdir -p empty view; mount -t overlay overlay -o "lowerdir=\(lowers),userxattr" view; cd view; \(command)
            """
        let result = try run(["unshare", "-m", "sh", "-euc", script], in: scratch)
        #expect(result.exitCode == 0, "\(result.errors)")
        return result.text
    }

    static func attribute(_ path: String, _ name: String) -> String {
        "python3 -c 'import os; os.setxattr(\"\(path)\", \"\(name)\", b\"y\")'"
    }

    private static let changes = [
        "echo changed > d0/s0/f0",
        "rm d1/s1/f1", "rm -r d1/s1", "rm -r d1/s1; echo file > d1/s1",
        "rm d2/s2/f2; mkdir d2/s2/f2; echo x > d2/s2/f2/y",
        "rm link; ln -s d1 link", "rm link; mkdir link; echo x > link/x", "rm -r d3/s3; ln -s /etc d3/s3",
        "mv d0/s0/f0 d0/moved", "mv d0/s0 moved", "chmod 600 d0/s0/f0", "chmod 700 d0/s0", "touch -d @1 d0/s4",
        "touch -d @1 d0/s0/f0", "mkdir -p deep/er/still; echo x > deep/er/still/x", "mkdir empty",
        "rm d1/s1/*", "mv d1/s1 d1/s1-; mkdir d1/s1", "ln -sfn elsewhere link",
        "printf x > \"$(printf 'a\\\\ b\\n\\377')\"", "rm d0/s0/f0; printf x > d0/s0/f0-",
        "mv d0/s0/f0 t; mv d0/s4/f4 d0/s0/f0; mv t d0/s4/f4",
        "cp -p d0/s0/f0 d0/s0/copy", "cp -p d0/s0/f0 copy; rm d0/s0/f0",
        "\(attribute("d0/s0/f0", "user.a")); \(attribute("d0/s0", "user.c"))",
        "\(attribute("d0/s0", "user.overlay.opaque")); \(attribute("d0/s0/f0", "user.overlay.whiteout")); echo x > d0/s0/new",
    ]

    @Test(.enabled(if: isRoot, "mounting needs root"), arguments: changes)
    func `a layer shows the project as a whole tree does, when it is mounted, verified, exported and assembled`(
        _ change: String
    ) throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            let first = try scratch.capture()
            #expect(first.snapshot.base == nil && first.snapshot.layers.count == 1)
            let changed = try run(["sh", "-euc", change], in: scratch, at: "project")
            #expect(changed.exitCode == 0, "\(changed.errors)")
            let second = try scratch.capture()
            #expect(second.snapshot.base == first.snapshot.identity && second.snapshot.layers.count == 2)
            // What another store, without a cache, makes of the same project.
            let project = try scratch.open("project")
            let other = try SnapshotStore(store: scratch.at("other"))
                .capture(CaptureRequest(project: project.number, source: "p"))
            #expect(other.snapshot.identity == second.snapshot.identity && other.snapshot.base == nil)
            let store = try scratch.store()
            #expect(try store.verify(second.snapshot.identity).isEmpty)
            #expect(try store.verify(first.snapshot.identity).isEmpty)
            let manifest = try Syscall.readFile(other.snapshot.manifestPath, limit: 1 << 20)
            #expect(try store.manifest(of: second.snapshot.identity).bytes == manifest)
            let list =
                "find . -printf '%y %m %T@ %s %l %p\\n' | sed 's/^d \\([^ ]* [^ ]*\\) [0-9]*/d \\1/' | LC_ALL=C sort; "
                + "find . -type f -exec sha256sum {} + | LC_ALL=C sort; "
                + "python3 -c 'import os; print(sorted((p, os.listxattr(p)) for d, _, f in os.walk(b\".\") "
                + "for p in [d] + [os.path.join(d, n) for n in f] if not os.path.islink(p) and os.listxattr(p)))'"
            let expected = try run(["sh", "-euc", "cd \(other.snapshot.layers[0].string); \(list)"], in: scratch).text
            #expect(try mounted(second.snapshot, in: scratch, list) == expected)
            let whole = try store.wholeTree(of: second.snapshot)
            let assembled = try run(["sh", "-euc", "cd \(whole.path.string); \(list)"], in: scratch).text
            whole.end()
            #expect(try assembled == expected && scratch.names("store/snapshots/staging").isEmpty)
            var archives: [[UInt8]] = [[], []]
            try store.export(second.snapshot.identity) { archives[0] += $0 }
            try SnapshotStore(store: scratch.at("other")).export(other.snapshot.identity) { archives[1] += $0 }
            #expect(archives[0] == archives[1])
            // An unchanged tree is recognised over a layer as well, and a further change lies on the same tree.
            Syscall.sleep(nanoseconds: 130_000_000)
            #expect(try !scratch.capture().isNew)
            try scratch.write("project/further", "x")
            let third = try scratch.capture()
            #expect(third.snapshot.base == first.snapshot.identity)
            #expect(try store.verify(third.snapshot.identity).isEmpty)
        }
    }

    @Test func `a layer stores what has changed and nothing else`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.capture()
            try scratch.write("project/d0/s0/f0", "changed")
            try Syscall.unlink(scratch.at("project/d1/s1/f1"))
            let report = try scratch.capture()
            let found = try run(
                ["sh", "-euc", "cd \(report.snapshot.layers[0].string); find . | sort | xargs"], in: scratch)
            #expect(found.text == ". ./d0 ./d0/s0 ./d0/s0/f0 ./d1 ./d1/s1 ./d1/s1/f1\n")
            #expect(try Syscall.lstat(report.snapshot.layers[0].appending("d1/s1/f1")).mode & S_IFMT == S_IFCHR)
        }
    }

    @Test func `what a layer already stores is shared with the next layer`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.capture()
            try scratch.write("project/d0/s0/f0", "changed")
            Syscall.sleep(nanoseconds: 130_000_000)
            let second = try scratch.capture()
            try scratch.write("project/d0/s0/new", "new")
            let third = try scratch.capture()
            #expect(second.snapshot.layers[1] == third.snapshot.layers[1])
            let files = try [second, third].map { try Syscall.lstat($0.snapshot.layers[0].appending("d0/s0/f0")).inode }
            #expect(files[0] == files[1])
        }
    }

    @Test(arguments: [
        "for d in d0/*; do for f in $d/*; do echo x > $f; done; done; rm -r d1/s1",
        "head -c 900000 /dev/urandom > d0/s0/f0",
    ])
    func `many changes, or large ones, make a whole tree again`(_ change: String) throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.write("project/large", String(repeating: "x", count: 1 << 20))
            try scratch.capture()
            #expect(try run(["sh", "-euc", change + "; rm large"], in: scratch, at: "project").exitCode == 0)
            let report = try scratch.capture()
            #expect(report.snapshot.base == nil)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
        }
    }

    @Test func `names of one file in a project make a whole tree`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.capture()
            #expect(try run(["ln", "d0/s0/f0", "d0/s0/second"], in: scratch, at: "project").exitCode == 0)
            let second = try scratch.capture()
            #expect(second.snapshot.base == nil)
            try scratch.write("project/new", "x")
            Syscall.sleep(nanoseconds: 130_000_000)
            try Syscall.unlink(scratch.at("project/d0/s0/second"))
            let third = try scratch.capture()
            #expect(try third.snapshot.base == nil && scratch.store().verify(third.snapshot.identity).isEmpty)
        }
    }

    @Test func `a removed snapshot on whose tree layers lie keeps its tree until the last of them goes`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            #expect(try store.usage(of: [first.identity]).exclusive == 0)
            let freed = try store.usage(of: [first.identity, second.identity]).exclusive
            let own = try store.usage(of: [second.identity]).exclusive
            try store.prune([first.identity], references: { [second.identity] })
            #expect(try store.identities() == [second.identity])
            #expect(throws: SnapshotError.self) { try store.snapshot(first.identity) }
            #expect(try store.verify(second.identity).isEmpty)
            #expect(try store.usage(of: [second.identity]).exclusive > own)
            // The whole of what both took goes with the second.
            #expect(try store.usage(of: [second.identity]).exclusive == freed)
            try store.prune([second.identity], references: { [] })
            #expect(try store.identities().isEmpty)
            let left = try scratch.names("store/snapshots").filter { $0.count == 64 }
            #expect(left.isEmpty)
        }
    }

    @Test func `a snapshot that only layers kept comes back when its content does`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            let first = try scratch.capture().snapshot
            #expect(try run(["cp", "-p", "d0/s0/f0", "../kept"], in: scratch, at: "project").exitCode == 0)
            try scratch.write("project/d0/s0/f0", "changed")
            let store = try scratch.store()
            let second = try scratch.capture().snapshot
            try store.prune([first.identity], references: { [second.identity] })
            #expect(try run(["cp", "-p", "../kept", "d0/s0/f0"], in: scratch, at: "project").exitCode == 0)
            let third = try scratch.capture()
            #expect(third.snapshot.identity == first.identity && !third.isNew)
            #expect(try store.identities().count == 2 && store.verify(first.identity).isEmpty)
        }
    }

    @Test func `a capture holds the tree that it builds on against a prune`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let store = try scratch.store()
            let isPruned = Mutex(false)
            let second = try scratch.capture(
                progress: { progress in
                    // Files are counted when the tree below is held; whoever waits is told of the next one for sure.
                    guard progress.totalFiles > 0 else {
                        Syscall.sleep(nanoseconds: 60_000_000)
                        return .proceed
                    }
                    try? store.prune([first.identity], references: { [] })
                    isPruned.withLock { $0 = true }
                    return .proceed
                })
            #expect(isPruned.withLock { $0 })
            #expect(second.snapshot.base == first.identity)
            #expect(try store.verify(second.snapshot.identity).isEmpty)
        }
    }

    @Test(.enabled(if: isRoot, "becoming another user needs root"))
    func `layers of a plain user hide what was removed`() throws {
        try Scratch.with(inMemory: true) { scratch in
            #expect(try run(["chown", "65534:65534", "."], in: scratch).exitCode == 0)
            try onPrivateThread {
                try becomeNobody()
                try Self.fill(scratch)
                let first = try scratch.capture().snapshot
                try Syscall.unlink(scratch.at("project/d0/s0/f0"))
                let second = try scratch.capture().snapshot
                #expect(second.base == first.identity)
                #expect(try scratch.store().verify(second.identity).isEmpty)
            }
        }
    }

    @Test func `a name that is copied within the project does not become one with its original`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.capture()
            #expect(try run(["cp", "-p", "d0/s0/f0", "d0/s0/copy"], in: scratch, at: "project").exitCode == 0)
            let second = try scratch.capture().snapshot
            let copy = try Syscall.lstat(second.layers[0].appending("d0/s0/copy"))
            #expect(try copy.inode != Syscall.lstat(second.layers[1].appending("d0/s0/f0")).inode)
        }
    }

    @Test func `names that a directory had before are not believed when one is missing`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            try scratch.capture()
            // A directory whose times say that nothing has changed, though a name is gone: no file system does that.
            let project = try scratch.open("project")
            let key = StatCache.Key(try Syscall.fstat(project.number))
            let staging = try StagingArea(snapshots: scratch.at("store/snapshots"))
            let caches = try #require(StatCacheDirectory(snapshots: staging.snapshots.number))
            let cache = try #require(caches.load(key))
            var survey = cache.survey
            let index = try #require(
                survey.directories.indices.first { survey.directories[$0].names.starts(with: "f".utf8) })
            survey.directories[index].names += Array("ghost".utf8) + [0]
            caches.save(
                StatCacheWriter(key: key, snapshot: cache.snapshot, survey: survey),
                entries: (0..<cache.count).map { cache[$0] })
            let report = try scratch.capture()
            #expect(!report.isNew && report.notes.isEmpty)
        }
    }
}
