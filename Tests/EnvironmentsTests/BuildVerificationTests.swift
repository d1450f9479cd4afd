import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct BuildVerificationTests {
    /// Ways to damage a build, and what a verification says of it.
    enum Damage: String, CaseIterable, Sendable {
        case content, size, mode, time, missing, extra, target, type, name, record, listing, lostListing, lostTree
        case unreadableRecord

        var finding: String {
            switch self {
            case .content: "d/file: content changed"
            case .size: "d/file: time, size, content changed"
            case .mode: "d/file: mode changed"
            case .time: "d/file: time changed"
            case .missing: "d/file: missing"
            case .extra: "d/new: it was not there"
            case .target: "link: time, target changed"
            case .type: "link: type changed"
            case .name: "second: type changed"
            case .record: "build.json is not as it was written"
            case .listing: "the listing of its content is not as it was written"
            case .lostListing: "the listing of its content is missing"
            case .lostTree: ".: missing"
            case .unreadableRecord: "build.json cannot be read"
            }
        }
    }

    private func build(_ directory: FilePath) throws -> (EnvironmentBuilder, BuildRecord, Base) {
        let recipe = "name: a\ndescription: A\nsuite: bookworm\npackages: [python3]\n"
        let base = Base(
            recipe: try Recipe(reading: Array(recipe.utf8), file: "e.yaml"),
            files: ["environment.yaml": Array(recipe.utf8)])
        let executor = FakeExecutor { command, _ in
            guard case .tree(let tree) = command.root, !Syscall.exists(tree.appending("d")) else {
                return CommandOutcome(status: 0)
            }
            try write("d/file", "content", tree)
            try write("first", "x", tree)
            guard link(tree.appending("first").string, tree.appending("second").string) == 0 else {
                throw SyscallError.last("link")
            }
            try Syscall.symlink("/etc/passwd", tree.appending("link"))
            return CommandOutcome(status: 0)
        }
        let builder = try EnvironmentBuilderTests.builder(directory, executor)
        return (builder, try builder.build(base, isCancelled: { false }, report: { _ in }), base)
    }

    private func inflict(_ damage: Damage, _ build: FilePath) throws {
        let tree = build.appending("tree")
        let file = tree.appending("d/file")
        switch damage {
        case .content:
            let before = try Syscall.lstat(file)
            let opened = try Syscall.open(file, O_RDWR)
            try Syscall.writeAll(opened.number, Array("cOntent".utf8))
            try Syscall.setModificationTime(of: opened.number, before.modified)
        case .size: try Syscall.writeFile(file, Array("longer than it was".utf8))
        case .mode: chmod(file.string, 0o4755)
        case .time:
            let opened = try Syscall.open(file, O_RDONLY)
            try Syscall.setModificationTime(of: opened.number, FileTime(seconds: 1, nanoseconds: 0))
        case .missing: try Syscall.unlink(file)
        case .extra: try Syscall.writeFile(tree.appending("d/new"), [])
        case .target:
            try Syscall.unlink(tree.appending("link"))
            try Syscall.symlink("/etc/shadow", tree.appending("link"))
        case .type:
            try Syscall.unlink(tree.appending("link"))
            try Syscall.writeFile(tree.appending("link"), Array("/etc/passwd".utf8))
        case .name:
            try Syscall.unlink(tree.appending("second"))
            try Syscall.writeFile(tree.appending("second"), Array("x".utf8))
        case .record, .unreadableRecord:
            let path = build.appending("build.json")
            let now = try text(path).replacing("\"A\"", with: damage == .record ? "\"B\"" : "A")
            try Syscall.writeFile(path, Array(now.utf8))
        case .listing: try Syscall.writeFile(build.appending("content"), Array(TreeListing.header.utf8))
        case .lostListing: try Syscall.unlink(build.appending("content"))
        case .lostTree: try empty(tree)
        }
    }

    @Test(arguments: Damage.allCases)
    func `every damage to a build is found, nothing uses it then, and the same inputs are built again`(
        _ damage: Damage
    ) throws {
        try withScratch { directory in
            let (builder, record, base) = try build(directory)
            #expect(try builder.verify(record.id, isCancelled: { false }) == [])
            _ = try builder.store.hold(record)
            try inflict(damage, builder.store.path(of: record.id))
            let found = try builder.verify(record.id, isCancelled: { false })
            #expect(found?.contains(damage.finding) == true, "\(damage): \(found ?? [])")
            #expect(throws: StoreError.damagedBuild(record.id, found?.first ?? "")) { try builder.store.hold(record) }
            let again = try builder.build(base, isCancelled: { false }, report: { _ in })
            #expect(again.id != record.id)
            #expect(try builder.verify(again.id, isCancelled: { false }) == [])
        }
    }

    @Test func `a build that is sound again is used again`() throws {
        try withScratch { directory in
            let (builder, record, _) = try build(directory)
            let file = builder.store.path(of: record.id).appending("tree/d/file")
            chmod(file.string, 0o600)
            #expect(try builder.verify(record.id, isCancelled: { false }) == ["d/file: mode changed"])
            chmod(file.string, 0o644)
            #expect(try builder.verify(record.id, isCancelled: { false }) == [])
            _ = try builder.store.hold(record)
        }
    }

    @Test func `of a build without a listing nothing is claimed`() throws {
        try withScratch { directory in
            let (builder, record, _) = try build(directory)
            var old = record
            old.nonce = nil
            old.content = nil
            try Syscall.writeFile(
                builder.store.path(of: record.id).appending("build.json"), try builder.store.encode(old))
            #expect(try builder.verify(record.id, isCancelled: { false }) == nil)
        }
    }

    @Test func `a listing tells everything, in lines that no name can forge`() throws {
        try withScratch { directory in
            try write("tree/a b", "x", directory)
            try write("tree/line\nf 0644", "x", directory)
            try write("tree/sub/z", "zz", directory)
            mkfifo(directory.appending("tree/pipe").string, 0o640)
            let opened = try Syscall.open(directory.appending("tree/sub/z"), O_RDWR)
            try Syscall.setModificationTime(of: opened.number, FileTime(seconds: -1, nanoseconds: 5))
            final class Collected { var text: [UInt8] = [] }
            let collected = Collected()
            var listing = TreeListing { part throws(SyscallError) in collected.text += part }
            let root = try Syscall.open(directory.appending("tree"), O_RDONLY | O_DIRECTORY)
            try listing.run(root.number)
            let lines = String(decoding: collected.text, as: UTF8.self).split(separator: "\n").map(String.init)
            let (user, group) = (geteuid(), getegid())
            #expect(lines.count == 7 && lines[0] == "cloche-environment 1")
            #expect(lines[1].hasPrefix("d 0755 \(user) \(group) ") && lines[1].hasSuffix(" ."))
            #expect(lines[2].hasSuffix(#" a\x20b"#) && lines[3].hasSuffix(#" line\x0af\x200644"#))
            #expect(lines[4] == "s 1 0640 \(user) \(group) 0 pipe")
            #expect(lines[6].hasPrefix("f 0644 \(user) \(group) -1.000000005 2 ") && lines[6].hasSuffix(" sub/z"))
            #expect(lines[6].split(separator: " ")[6].count == 64)
        }
    }
}
