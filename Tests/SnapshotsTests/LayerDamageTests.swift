import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

/// What is wrong in layers, and in the trees below them, is found and healed.
@Suite struct LayerDamageTests {
    @Test func `damage below a layer is found, refused for both, and healed by the next capture`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            let victim = first.layers[0].appending("d1/s1/f1")
            let before = try Syscall.lstat(victim)
            let file = try Syscall.open(victim, O_WRONLY)
            try Syscall.writeAll(file.number, Array("x".utf8))
            try Syscall.setModificationTime(of: file.number, before.modified)
            #expect(try store.verify(second.identity).map(\.path) == [Array("d1/s1/f1".utf8)])
            #expect(throws: SnapshotError.self) { try store.snapshot(second.identity) }
            #expect(try !store.verify(first.identity).isEmpty)
            // The project is back as it was: its snapshot takes the place of the damaged one, under the layer as well.
            #expect(
                try run(["cp", "-p", "\(first.layers[0].string)/d0/s0/f0", "d0/s0/f0"], in: scratch, at: "project")
                    .exitCode == 0)
            #expect(
                try run(["touch", "-r", "\(first.layers[0].string)/d0/s0", "d0/s0"], in: scratch, at: "project")
                    .exitCode == 0)
            let healed = try scratch.capture()
            #expect(healed.snapshot.identity == first.identity && healed.isNew)
            #expect(try store.verify(first.identity).isEmpty && store.verify(second.identity).isEmpty)
            _ = try store.snapshot(second.identity)
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
        }
    }

    @Test(arguments: [
        ("printf x | dd of=tree/d0/s0/f0 conv=notrunc status=none", "d0/s0/f0"), ("rm tree/d0/s0/f0", "d0/s0/f0"),
        ("rm tree/d1/s1/f1", "d1/s1/f1"), ("mknod tree/d0/s0/f32 c 0 0", "d0/s0/f32"),
        ("mknod tree/d0/s0/null c 1 3", "d0/s0/null"), ("echo x > tree/d1/s1/f33", "d1/s1/f33"),
        (LayerTests.attribute("tree/d1/s1", "user.overlay.opaque"), "d1/s1"),
        (LayerTests.attribute("tree/d0/s0/f0", "user.overlay.metacopy"), "d0/s0/f0"),
    ])
    func `damage in a layer is found, refused, and healed by the next capture`(_ change: String, path: String) throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            try scratch.capture()
            try scratch.write("project/d0/s0/f0", "changed")
            try Syscall.unlink(scratch.at("project/d1/s1/f1"))
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            let directory = path.prefix { $0 != "f" && $0 != "n" }
            let file = "for p in \(path) \(directory.dropLast()); do touch -r kept/$p tree/$p 2>/dev/null || true; done"
            let script = "cp -a tree kept; \(change); \(file); rm -r kept"
            let changed = try run(
                ["sh", "-euc", script], in: scratch, at: "store/snapshots/\(second.identity)")
            #expect(changed.exitCode == 0, "\(changed.errors)")
            #expect(try store.verify(second.identity).map { String(decoding: $0.path, as: UTF8.self) } == [path])
            #expect(throws: SnapshotError.self) { try store.snapshot(second.identity) }
            let healed = try scratch.capture()
            #expect(healed.snapshot.identity == second.identity && healed.isNew)
            #expect(try store.verify(second.identity).isEmpty)
        }
    }

    @Test(arguments: ["rm base", "echo none > base", "ls .. | grep -v $(cat base) | head -n 1 > base"])
    func `a layer that does not name the tree below it is damaged`(_ change: String) throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            try scratch.capture()
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            let place = "store/snapshots/\(second.identity)"
            #expect(try run(["sh", "-euc", change], in: scratch, at: place).exitCode == 0)
            #expect(throws: SnapshotError.self) { try store.verify(second.identity) }
            #expect(throws: SnapshotError.self) { try store.snapshot(second.identity) }
            #expect(try scratch.capture().isNew && store.verify(second.identity).isEmpty)
        }
    }

    @Test func `a layer is made by the manifest of the tree below, and by none that is not its own`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let project = try scratch.open("project")
            let other = try SnapshotStore(store: scratch.at("other"))
                .capture(CaptureRequest(project: project.number, source: "p")).snapshot
            // By this one nothing would differ.
            let copied = try run(["cp", other.manifestPath.string, first.manifestPath.string], in: scratch)
            #expect(copied.exitCode == 0, "\(copied.errors)")
            let second = try scratch.capture().snapshot
            #expect(try second.base == nil && scratch.store().verify(second.identity).isEmpty)
        }
    }

    @Test func `damage in a tree that only layers kept is found through them, and healed by its own content`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            #expect(try run(["cp", "-a", "project", "kept"], in: scratch).exitCode == 0)
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            try store.prune([first.identity], references: { [second.identity] })
            #expect(try store.verify(first.identity).isEmpty && store.snapshot(second.identity).base == first.identity)
            let file = try Syscall.open(first.layers[0].appending("d1/s1/f1"), O_WRONLY)
            try Syscall.writeAll(file.number, Array("x".utf8))
            #expect(try !store.verify(second.identity).isEmpty)
            #expect(store.damage(of: first.identity) != nil)
            // A damaged tree is no base: the same content as the layer's is stored whole.
            let again = try scratch.capture()
            #expect(again.snapshot.identity == second.identity && again.isNew && again.snapshot.base == nil)
            #expect(try run(["sh", "-c", "rm -r project; cp -a kept project"], in: scratch).exitCode == 0)
            let healed = try scratch.capture()
            #expect(healed.snapshot.identity == first.identity && healed.isNew)
            #expect(try store.verify(first.identity).isEmpty && store.verify(second.identity).isEmpty)
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
        }
    }

    @Test func `a layer whose tree below is missing is damaged`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            #expect(try run(["rm", "-r", first.layers[0].string], in: scratch).exitCode == 0)
            let error = #expect(throws: SnapshotError.self) { try scratch.store().snapshot(second.identity) }
            guard case .damaged = error?.reason else {
                Issue.record("\(String(describing: error))")
                return
            }
            let again = try scratch.capture()
            #expect(again.snapshot.identity == second.identity && again.snapshot.base == nil)
            #expect(try scratch.store().verify(second.identity).isEmpty)
        }
    }
}
