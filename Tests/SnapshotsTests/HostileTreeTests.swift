import Glibc
import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

/// Trees made to break a capture, or the runs that use its snapshot.
@Suite struct HostileTreeTests {
    @Test func `pipes, sockets and devices are skipped and named`() throws {
        try Scratch.with { scratch in
            try scratch.makeDirectory("project")
            mkfifo(scratch.at("project/pipe").string, 0o644)
            mknod(scratch.at("project/socket").string, S_IFSOCK | 0o644, 0)
            if isRoot { mknod(scratch.at("project/whiteout").string, S_IFCHR | 0o644, 0) }
            let report = try scratch.capture()
            #expect(try report.paths(scratch.store()) == ["."])
            #expect(report.count(.fifo) == 1 && report.count(.socket) == 1 && report.count(.device) == (isRoot ? 1 : 0))
            #expect(report.notes.first { $0.kind == .fifo }?.examples == [Array("pipe".utf8)])
            #expect(report.snapshot.record.skipped == (isRoot ? 3 : 2))
        }
    }

    @Test func `names of any bytes are kept`() throws {
        try Scratch.with { scratch in
            let names: [[UInt8]] = [
                [0xFF, 0xFE], Array("new\nline".utf8), Array("\u{1B}[31mred".utf8),
                [UInt8](repeating: 0xFF, count: 255),
                Array("back\\slash".utf8), Array(" space ".utf8), Array("-rf".utf8), Array("\u{202E}gnp".utf8),
            ]
            for name in names { try scratch.write(bytes: Array("project/".utf8) + name, name) }
            let report = try scratch.capture()
            let manifest = try scratch.store().manifest(of: report.snapshot.identity)
            let stored = manifest.entries.dropFirst().map(\.path)
            #expect(Set(stored) == Set(names))
            #expect(manifest.bytes.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) })
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            #expect(displayName(names[2]) == "\\x1b[31mred" && !displayName(names[7]).contains("\u{202E}"))
        }
    }

    @Test(arguments: [(5000, "d"), (900, "deeper")])
    func `a tree deeper than any path is taken, measured, verified and removed`(_ levels: Int, _ name: String) throws {
        try Scratch.with { scratch in
            try scratch.makeDirectory("project")
            try dig(levels, TerminatedName(name.utf8), in: scratch)
            let report = try scratch.capture()
            #expect(report.snapshot.record.counts.directories == levels + 1)
            // Reading the text of paths that add up to 25 MB takes long without optimisation.
            if levels < 1000 { #expect(try scratch.store().verify(report.snapshot.identity).isEmpty) }
            let tree = try Syscall.open(report.snapshot.layers[0], O_RDONLY | O_DIRECTORY)
            let usage = try DiskUsage.measure(tree.number)
            #expect(usage.directories == levels + 1 && usage.files == 1 && usage.apparent == 1)
            try scratch.store().remove(report.snapshot.identity)
            #expect(try scratch.store().list().snapshots.isEmpty)
        }
    }

    private func dig(_ levels: Int, _ name: TerminatedName, in scratch: Scratch) throws {
        var place = HeldDescriptor(try scratch.open("project"))
        for _ in 0..<levels {
            try Syscall.makeDirectory(name, at: place.number, mode: 0o755)
            place = HeldDescriptor(try Syscall.open(name, at: place.number, O_RDONLY | O_DIRECTORY))
        }
        try Syscall.writeFile("bottom", at: place.number, Array("x".utf8))
    }

    @Test func `a path beyond the bound is an error that names it in short`() throws {
        try Scratch.with { scratch in
            try scratch.makeDirectory("project")
            try dig(260, TerminatedName([UInt8](repeating: 0x61, count: 255)), in: scratch)
            let error = #expect(throws: SnapshotError.self) { try scratch.capture() }
            #expect(error?.reason == .pathTooLong(limit: 65_536))
            #expect((error?.description.count ?? 1000) < 200)
        }
    }

    @Test func `more entries than the bound are an error`() throws {
        try Scratch.with { scratch in
            for number in 0..<20 { try scratch.write("project/\(number)", "") }
            let project = try scratch.open("project")
            var options = TreeWalk.Options()
            options.entryLimit = 10
            let walk = TreeWalk(root: project.number, options: options, monitor: CaptureMonitor { _ in .proceed })
            #expect(throws: SnapshotError.self) { try walk.run() }
        }
    }

    @Test func `a store inside the project is not taken into itself`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let store = try SnapshotStore(store: scratch.at("project/.cloche"))
            let project = try scratch.open("project")
            let request = CaptureRequest(project: project.number, source: "p")
            let report = try store.capture(request)
            #expect(report.notes.contains { $0.kind == .store })
            #expect(
                try store.manifest(of: report.snapshot.identity).entries.map { displayName($0.path) } == [".", "a"])
        }
    }

    @Test func `nothing of a store is taken, whatever is in it, and its own changes do not change the project`() throws
    {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            try scratch.write("project/deep/st/secrets/S", "topsecret")
            try Syscall.symlink("project/deep/st", scratch.at("link"))
            // Stores go by what they are, not by the path that leads to them.
            let store = try SnapshotStore(store: scratch.at("link"))
            let project = try scratch.open("project")
            func capture() throws -> CaptureReport {
                let report = try store.capture(CaptureRequest(project: project.number, source: "p"))
                report.lease.end()
                return report
            }
            let report = try capture()
            #expect(try report.paths(store) == [".", "a", "deep"])
            #expect(report.notes.first { $0.kind == .store }?.examples == [Array("deep/st".utf8)])
            try scratch.write("project/deep/st/secrets/T", "another")
            try scratch.write("project/deep/st/cloche.db", "x")
            #expect(try capture().snapshot.identity == report.snapshot.identity)
            let manifest = try store.manifest(ofProject: CaptureRequest(project: project.number, source: "p"))
            #expect(!manifest.entries.contains { displayName($0.path).contains("st") })
        }
    }

    @Test func `stores other than the one in use are known by their files`() throws {
        try Scratch.with { scratch in
            for name in ["identity.json", "cloche.db", "secrets/S"] { try scratch.write("project/one/" + name, "x") }
            for name in ["identity.json", "snapshots/lock"] { try scratch.write("project/two/" + name, "x") }
            for name in ["identity.json", "cloche.data"] { try scratch.write("project/none/" + name, "x") }
            try scratch.write("project/nor/cloche.db", "x")
            try Syscall.symlink("one", scratch.at("project/link"))
            let report = try scratch.capture()
            #expect(
                try report.paths(scratch.store()) == [
                    ".", "link", "none", "none/cloche.data", "none/identity.json", "nor", "nor/cloche.db",
                ])
            #expect(report.count(.store) == 2)
            let stores = StoreRecognition(store: nil)
            let one = try scratch.open("project/one")
            let none = try scratch.open("project/none")
            #expect(try stores.isStore(one.number))
            #expect(try !stores.isStore(none.number))
        }
    }

    @Test func `a store is no project`() throws {
        try Scratch.with { scratch in
            let store = try scratch.store()
            let project = try scratch.open("store")
            let error = #expect(throws: SnapshotError.self) {
                try store.capture(CaptureRequest(project: project.number, source: "p"))
            }
            #expect(error?.reason == .store && error?.hint?.contains("CLOCHE_HOME") == true)
        }
    }

    @Test func `special mode bits are dropped and reported`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/su", "x", mode: 0o4755)
            try scratch.write("project/sg", "x", mode: 0o2755)
            try scratch.makeDirectory("project/sticky")
            let sticky = try scratch.open("project/sticky")
            try Syscall.changeMode(of: sticky.number, 0o1777)
            let report = try scratch.capture()
            for name in ["su", "sg"] {
                #expect(try Syscall.lstat(report.snapshot.layers[0].appending(name)).permissions == 0o755)
            }
            #expect(try Syscall.lstat(report.snapshot.layers[0].appending("sticky")).permissions == 0o777)
            #expect(report.count(.specialModeBits) == 3 && report.snapshot.record.dropped == 3)
        }
    }

    @Test(.enabled(if: isRoot, "only root sets trusted attributes"))
    func `attributes that overlay mounts obey are dropped, others of users are kept`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/file", "x", mode: 0o444)
            let directory = try scratch.open("project/d")
            let file = try Syscall.open(scratch.at("project/d/file"), O_RDONLY)
            for name in ["user.overlay.opaque", "trusted.overlay.opaque", "user.overlay.redirect", "user.keep"] {
                try Syscall.setAttribute(TerminatedName(name.utf8), of: directory.number, Array("y".utf8))
            }
            for name in ["user.overlay.metacopy", "user.note", "trusted.other"] {
                try Syscall.setAttribute(TerminatedName(name.utf8), of: file.number, [0, 1, 2])
            }
            let report = try scratch.capture()
            let tree = report.snapshot.layers[0]
            let copy = try Syscall.open(tree.appending("d/file"), O_RDONLY)
            #expect(try Syscall.attributeNames(copy.number) == [Array("user.note".utf8)])
            #expect(try Syscall.attribute(TerminatedName("user.note".utf8), of: copy.number) == [0, 1, 2])
            let copiedDirectory = try Syscall.open(tree.appending("d"), O_RDONLY | O_DIRECTORY)
            #expect(try Syscall.attributeNames(copiedDirectory.number) == [Array("user.keep".utf8)])
            #expect(report.count(.overlayAttribute) == 4 && report.count(.otherAttribute) == 1)
            #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
            try Syscall.setAttribute(
                TerminatedName("user.overlay.opaque".utf8), of: copiedDirectory.number, Array("y".utf8))
            #expect(try scratch.store().verify(report.snapshot.identity).map(\.kind) == [.changed([.attributes])])
        }
    }

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func `an overlay mount of the snapshot shows what the manifest says`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/own", "x")
            try scratch.write("base/d/below", "x")
            try scratch.makeDirectory("merged")
            let directory = try scratch.open("project/d")
            try Syscall.setAttribute(TerminatedName("user.overlay.opaque".utf8), of: directory.number, Array("y".utf8))
            mknod(scratch.at("project/d/below").string, S_IFCHR | 0o644, 0)
            let layer = try scratch.capture().snapshot.layers[0]
            try onPrivateThread {
                try enterPrivateMounts()
                try Syscall.mount(
                    source: "overlay", target: scratch.at("merged"), type: "overlay",
                    data: "lowerdir=\(layer):\(scratch.at("base")),userxattr")
                #expect(try scratch.names("merged/d") == ["below", "own"])
            }
        }
    }

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func `other mounts are not entered, also when the project contains itself`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            try scratch.makeDirectory("project/self")
            try scratch.write("project/file", "below the mount")
            try onPrivateThread {
                try enterPrivateMounts()
                for place in ["project/self", "project/file"] {
                    let source = place == "project/file" ? "/etc/passwd" : scratch.at("project").string
                    try Syscall.mount(source: source, target: scratch.at(place), type: nil, flags: UInt(MS_BIND))
                }
                let report = try scratch.capture()
                #expect(try report.paths(scratch.store()) == [".", "a", "self"])
                #expect(report.count(.mountPoint) == 2)
            }
        }
    }

    @Test(.enabled(if: isRoot, "becoming another user needs root"))
    func `what may not be read is an error that names it and the remedy`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/secret", "x", mode: 0o600)
            try scratch.makeDirectory("store")
            try Syscall.changeOwner(scratch.at("store"), user: 65534, group: 65534)
            try onPrivateThread {
                try becomeNobody()
                let error = #expect(throws: SnapshotError.self) { try scratch.capture() }
                #expect(error?.description == "read `secret`: Permission denied")
                #expect(error?.hint?.contains("chmod u+r") == true)
                #expect(try scratch.store().list().snapshots.isEmpty)
            }
        }
    }

    @Test(.enabled(if: isRoot, "becoming another user needs root"))
    func `a user can take and remove trees whose directories nobody may change`() throws {
        try Scratch.with { scratch in
            try Syscall.changeOwner(scratch.path, user: 65534, group: 65534)
            try onPrivateThread {
                try becomeNobody()
                try scratch.write("project/a/b/file", "x", mode: 0o400)
                try scratch.write("project/c/file", "x", mode: 0o444)
                for name in ["project/a/b", "project/a", "project/c", "project"] {
                    let directory = try scratch.open(name)
                    try Syscall.changeMode(of: directory.number, 0o500)
                }
                let report = try scratch.capture { $0.owner = FileOwner(user: 1, group: 1) }
                #expect(try Syscall.lstat(report.snapshot.layers[0].appending("a")).permissions == 0o500)
                #expect(try Syscall.lstat(report.snapshot.layers[0].appending("a")).user == 65534)
                #expect(try scratch.store().verify(report.snapshot.identity).isEmpty)
                try scratch.store().remove(report.snapshot.identity)
                #expect(try scratch.names("store/snapshots/staging").isEmpty)
            }
        }
    }
}
