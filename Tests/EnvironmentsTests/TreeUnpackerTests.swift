import LinuxSystem
import Snapshots
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// What archives may do to the directory that they are unpacked into, and what never.
@Suite struct TreeUnpackerTests {
    /// Unpacks archives, one upon the other, into `tree` of an empty directory, which `body` sees then.
    private func unpack(
        _ archives: [[UInt8]], limits: UnpackLimits = .standard, layers: Bool = false,
        _ body: (FilePath, UnpackReport) throws -> Void = { _, _ in }
    ) throws {
        try withScratch { scratch in
            let tree = scratch.appending("tree")
            try Syscall.makeDirectory(tree, mode: 0o755)
            try write("outside/file", "untouched", scratch)
            let root = try Syscall.open(tree, O_RDONLY | O_DIRECTORY)
            var report = UnpackReport()
            do {
                for archive in archives {
                    report.add(try unpackBytes(archive, into: root.number, limits: limits, isLayer: layers))
                }
                try body(tree, report)
            } catch {
                #expect(try entries(scratch) == ["outside", "tree"])
                throw error
            }
            #expect(try entries(scratch) == ["outside", "tree"])
            #expect(try entries(scratch.appending("outside")) == ["file"])
            #expect(try text(scratch.appending("outside/file")) == "untouched")
        }
    }

    private func archive(_ build: (inout TarBuilder) -> Void) -> [UInt8] {
        var tar = TarBuilder()
        build(&tar)
        return tar.archive
    }

    private func refusal(_ archives: [UInt8]..., limits: UnpackLimits = .standard, layers: Bool = false) throws
        -> ArchiveError
    {
        try #require(throws: ArchiveError.self) { try unpack(archives, limits: limits, layers: layers) }
    }

    @Test func `files, directories, links and modes become what they were, and parents come by themselves`() throws {
        let tar = archive { tar in
            tar.directory("./", mode: 0o700)
            tar.directory("etc", mode: 0o750)
            tar.file("etc/passwd", "root\n", mode: 0o640)
            tar.file("usr/bin/tool", "#!", mode: 0o755)
            tar.link("bin", to: "usr/bin")
            tar.add("etc/same", type: "1", target: "etc/passwd")
        }
        try unpack([tar]) { tree, report in
            let names = try entries(tree)
            #expect(names == ["bin", "etc", "usr"] && report.notes.isEmpty && report.entries == 7)
            #expect(try Syscall.lstat(tree).permissions == 0o755)
            #expect(try Syscall.lstat(tree.appending("etc")).permissions == 0o750)
            #expect(try Syscall.lstat(tree.appending("etc")).modified.seconds == 1_700_000_000)
            let file = try Syscall.lstat(tree.appending("etc/passwd"))
            #expect(file.permissions == 0o640 && file.links == 2 && file.modified.seconds == 1_700_000_000)
            #expect(try text(tree.appending("bin/tool")) == "#!")
        }
    }

    @Test(arguments: ["../outside/file", "a/../../outside/file", "/../outside/file", "a/.."])
    func `a name that leads out is refused`(_ name: String) throws {
        let error = try refusal(archive { $0.file(name) })
        #expect(error.kind == .refused && error.message.contains("leads out of the image"))
        _ = try refusal(archive { $0.directory(name) })
        _ = try refusal(archive { $0.link(name, to: "x") })
    }

    @Test func `an absolute name is taken from the root of the image, and said`() throws {
        try unpack([archive { $0.file("/etc/own") }]) { tree, report in
            let own = try text(tree.appending("etc/own"))
            #expect(own == "x")
            #expect(report.notes[.absoluteName]?.examples == ["/etc/own"])
        }
    }

    @Test(arguments: ["/", "../outside", "../../../../../../../../../../../../", "/tmp/../tmp"])
    func `what goes through a link stays in the image`(_ target: String) throws {
        let depth = String(repeating: "../", count: 20)
        for place in [target, depth + target] {
            let tar = archive { tar in
                tar.directory("tmp")
                tar.directory("outside")
                tar.link("link", to: place)
                tar.link("further", to: "link")
                tar.file("further/file", "inside")
            }
            try unpack([tar]) { tree, _ in
                let found = ["file", "outside/file", "tmp/file"].filter { Syscall.exists(tree.appending($0)) }
                #expect(found.count == 1)
            }
        }
    }

    @Test func `a file is not written through a link in its place, nor a hard link made to what is outside`() throws {
        let tar = archive { tar in
            tar.link("file", to: "../outside/file")
            tar.file("file", "own")
        }
        try unpack([tar]) { tree, report in
            let own = try text(tree.appending("file"))
            #expect(own == "own" && report.notes[.duplicate]?.count == 1)
        }
        for target in ["../outside/file", "/outside/file", "missing", "link/file", ""] {
            let tar = archive { tar in
                tar.link("link", to: "../outside")
                tar.add("hard", type: "1", target: target)
            }
            #expect(try refusal(tar).kind == .refused)
        }
    }

    @Test func `links in a circle and files as directories are refused`() throws {
        let circle = archive { tar in
            tar.link("a", to: "b")
            tar.link("b", to: "a")
            tar.file("a/x")
        }
        #expect(try refusal(circle).message.contains("what lies above"))
        let file = archive { tar in
            tar.file("a")
            tar.file("a/x")
        }
        #expect(try refusal(file).message.contains("what lies above"))
        let dangling = archive { tar in
            tar.link("a", to: "nowhere")
            tar.file("a/x")
        }
        #expect(try refusal(dangling).message.contains("what lies above"))
    }

    @Test func `the last of several entries counts, whatever they are`() throws {
        let tar = archive { tar in
            tar.file("a", "first")
            tar.file("a", "second")
            tar.directory("d")
            tar.file("d/inner")
            tar.file("d", "file now")
            tar.file("e")
            tar.directory("e")
        }
        try unpack([tar]) { tree, report in
            let second = try text(tree.appending("a"))
            #expect(second == "second")
            #expect(try text(tree.appending("d")) == "file now")
            #expect(try Syscall.lstat(tree.appending("e")).isDirectory)
            #expect(report.notes[.duplicate]?.examples == ["a", "d", "e"])
        }
    }

    @Test func `devices and pipes are left out, setuid bits and attributes of the system dropped, each with a word`()
        throws
    {
        let tar = archive { tar in
            tar.add("dev/sda", type: "4")
            tar.add("dev/null", type: "3")
            tar.add("whiteout", type: "3")
            tar.add("pipe", type: "6")
            tar.file("su", mode: 0o6755)
            tar.add("capable", content: [1], pax: [("SCHILY.xattr.security.capability", "x")])
            tar.add("trusted", content: [1], pax: [("SCHILY.xattr.trusted.overlay.opaque", "y")])
            tar.add("opaque", type: "5", pax: [("SCHILY.xattr.user.overlay.opaque", "y")])
            tar.add("redirect", content: [1], pax: [("SCHILY.xattr.user.overlay.redirect", "/etc")])
        }
        try unpack([tar]) { tree, report in
            #expect(try entries(tree) == ["capable", "opaque", "redirect", "su", "trusted"])
            #expect(try Syscall.lstat(tree.appending("su")).permissions == 0o755)
            for name in ["capable", "opaque", "redirect", "trusted"] {
                let file = try Syscall.open(tree.appending(name), O_RDONLY)
                #expect(try Syscall.attributeNames(file.number).isEmpty)
            }
            #expect(
                report.notes.mapValues(\.count) == [
                    .device: 3, .fifo: 1, .privilege: 1, .attribute: 1, .overlayAttribute: 3,
                ])
            #expect(report.lines.contains { $0.contains("1 entry without their setuid and setgid bits: su") })
        }
    }

    @Test func `more bytes or files than allowed are refused, also in holes, names and behind the end`() throws {
        let small = UnpackLimits(bytes: 1000, entries: 10)
        let big = try refusal(archive { $0.file("a", String(repeating: "x", count: 1001)) }, limits: small)
        #expect(big.kind == .tooLarge && big.message.contains("1000"))
        let many = try refusal(archive { tar in for n in 0...10 { tar.directory("d\(n)") } }, limits: small)
        #expect(many.kind == .tooLarge && many.message.contains("more than 10 files"))
        #expect(try refusal(archive { $0.file("a/b/c/d/e/f/g/h/i/j/k") }, limits: small).kind == .tooLarge)
        // Two archives of one image share the limits through the importer; within one, sums count.
        let sum = try refusal(
            archive { tar in for n in 0..<4 { tar.file("\(n)", String(repeating: "x", count: 300)) } }, limits: small)
        #expect(sum.kind == .tooLarge)
        let sparse = archive { tar in
            tar.add(
                "sparse", content: [],
                pax: [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1099511627776")])
        }
        #expect(try refusal(sparse, limits: small).kind == .malformed)
        let huge = archive { tar in
            tar.add(
                "sparse", content: Array("0\n".utf8) + [UInt8](repeating: 0, count: 510),
                pax: [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1099511627776")])
        }
        #expect(try refusal(huge).kind == .tooLarge)
        let tail = archive { $0.file("a") } + [UInt8](repeating: 0, count: 100_000)
        #expect(try refusal(tail, limits: small).kind == .tooLarge)
    }

    @Test func `what is no archive, or is cut off, says where`() throws {
        #expect(try refusal(Array("hello".utf8)).message == "no tar archive: it has only 5 bytes")
        #expect(try refusal([UInt8](repeating: 7, count: 2048)).message.contains("wrong checksum"))
        var tar = TarBuilder()
        tar.file("file", String(repeating: "x", count: 2000))
        let cut = try refusal(Array(tar.archive.prefix(1500)))
        #expect(cut.message.contains("cut off in `file`"))
        // A layer may end so: its digest tells whether anything is missing.
        #expect(try refusal(tar.bytes).message.contains("cut off at byte 2560"))
        try unpack([tar.bytes], layers: true)
        try unpack([Array(tar.bytes.prefix(512 + 2000))], layers: true)
        #expect(try refusal(Array(tar.bytes.prefix(512 + 1999)), layers: true).message.contains("cut off in `file`"))
    }

    @Test func `hostile headers end the reading`() throws {
        let paxes: [[(String, String)]] = [
            [("size", "-1")], [("size", "99999999999999999999")], [("mtime", "x")], [("path", "a\u{0}b")],
            [("GNU.sparse.map", "0,1,0,1"), ("GNU.sparse.size", "10")],
            [("GNU.sparse.map", "5,9223372036854775807"), ("GNU.sparse.size", "10")],
            [("GNU.sparse.map", "1"), ("GNU.sparse.size", "10")], [("GNU.sparse.major", "9")],
            [("path", String(repeating: "x/", count: 4000))], [("path", String(repeating: "x", count: 256))],
            [("path", String(repeating: "x/", count: 1000))],
        ]
        for pax in paxes {
            let error = try refusal(archive { $0.add("f", content: [1, 2], pax: pax) })
            #expect([.malformed, .refused].contains(error.kind), "\(pax): \(error)")
        }
        #expect(try refusal(archive { $0.add("f", type: "M") }).message.contains("not known"))
        #expect(try refusal(archive { $0.add("f", type: "g", content: Array("13 path=evil\n".utf8)) }).kind == .refused)
        #expect(
            try refusal(archive { tar in for _ in 0..<20 { tar.add("l", type: "L", content: [65]) } }).kind == .refused)
        #expect(try refusal(archive { $0.add("x", type: "x", size: 1 << 30) }).kind == .refused)
    }

    @Test func `long names, sparse files and fractions of seconds are as GNU tar and pax write them`() throws {
        let long = String(repeating: "n", count: 200) + "/" + String(repeating: "m", count: 200)
        let tar = archive { tar in
            tar.add("x", type: "L", content: Array(long.utf8) + [0])
            tar.file("x", "gnu")
            tar.add("y", content: [1], pax: [("path", long + "-pax"), ("mtime", "12.5")])
            tar.add(
                "z", content: Array("abc".utf8),
                pax: [("GNU.sparse.map", "0,1,100000,2"), ("GNU.sparse.size", "200000"), ("GNU.sparse.name", "holes")])
        }
        try unpack([tar]) { tree, _ in
            #expect(try text(tree.pushing(FilePath(long))) == "gnu")
            let pax = try Syscall.lstat(tree.pushing(FilePath(long + "-pax")))
            #expect(pax.modified == FileTime(seconds: 12, nanoseconds: 500_000_000))
            let holes = try Syscall.readFile(tree.appending("holes"), limit: 1 << 20)
            #expect(holes.count == 200_000 && holes[0] == 0x61 && holes[100_000..<100_002].elementsEqual([0x62, 0x63]))
            #expect(holes.count { $0 != 0 } == 3)
            #expect(try Syscall.lstat(tree.appending("holes")).allocated < 100_000)
        }
    }

    @Test func `a layer's whiteouts remove what is below and nothing of its own, in any order`() throws {
        let lower = archive { tar in
            for name in ["gone", "kept", "dir/old", "dir/sub/old", "replaced/old", "file/inner"] {
                tar.file(name, "lower")
            }
        }
        let upper = archive { tar in
            tar.file("dir/sub/new", "upper")
            tar.file("dir/.wh..wh..opq")
            tar.file("dir/first", "upper")
            tar.file(".wh.gone")
            tar.file(".wh.replaced")
            tar.file("replaced/new", "upper")
            tar.file("file", "upper")
            tar.file(".wh..wh.plnk")
            tar.file("missing/.wh.x")
            tar.file(".wh..")
            tar.file(".wh...")
        }
        try unpack([lower, upper], layers: true) { tree, _ in
            let names = try entries(tree)
            #expect(names == ["dir", "file", "kept", "replaced"])
            #expect(try entries(tree.appending("dir")) == ["first", "sub"])
            #expect(try entries(tree.appending("dir/sub")) == ["new"])
            #expect(try entries(tree.appending("replaced")) == ["new"])
            #expect(try text(tree.appending("file")) == "upper")
        }
    }

    @Test func `a whiteout behind a link removes nothing outside`() throws {
        let tar = archive { tar in
            tar.link("link", to: "../outside")
            tar.file("link/.wh.file")
            tar.file("link/.wh..wh..opq")
            tar.file(".wh.link")
        }
        try unpack([archive { $0.directory("outside") }, tar], layers: true)
        // In an ordinary archive it is a file like any other.
        try unpack([archive { $0.file(".wh.name") }]) { tree, _ in
            let names = try entries(tree)
            #expect(names == [".wh.name"])
        }
    }

    @Test func `what GNU tar writes in each of its formats is read`() throws {
        try withScratch { scratch in
            try write("source/" + String(repeating: "d", count: 120) + "/file", "deep", scratch)
            try write("source/\u{E4}\n", "name", scratch)
            let sparse = try Syscall.open(scratch.appending("source/sparse"), O_RDWR | O_CREAT, mode: 0o600)
            for offset in stride(from: Int64(0), to: 60 << 16, by: 1 << 17) {
                _ = try Syscall.seek(sparse.number, to: offset)
                try Syscall.writeAll(sparse.number, [1])
            }
            let options = [
                ["--format=gnu", "--sparse"], ["--format=pax", "--sparse"],
                ["--format=pax", "--sparse-version=0.0", "--sparse"],
                ["--format=pax", "--sparse-version=0.1", "--sparse"], ["--format=oldgnu"], ["--format=pax"],
            ]
            for (number, options) in options.enumerated() {
                let file = scratch.appending("\(number).tar")
                let process = try ProcessHandle(
                    opening: try HostProcess.spawn(
                        "/usr/bin/tar",
                        ["tar", "-cf", file.string] + options + ["-C", scratch.appending("source").string, "."]))
                #expect(try process.wait()?.end == .exited(0))
                let tree = scratch.appending("tree\(number)")
                try Syscall.makeDirectory(tree, mode: 0o755)
                let root = try Syscall.open(tree, O_RDONLY | O_DIRECTORY)
                _ = try unpackBytes(try Syscall.readFile(file, limit: 32 << 20), into: root.number)
                let names = try entries(scratch.appending("source"))
                #expect(try entries(tree) == names)
                for name in ["sparse", "\u{E4}\n", String(repeating: "d", count: 120) + "/file"] {
                    let copy = try Syscall.readFile(tree.pushing(FilePath(name)), limit: 32 << 20)
                    let original = try Syscall.readFile(
                        scratch.appending("source").pushing(FilePath(name)), limit: 32 << 20)
                    #expect(copy == original, "\(options) \(name)")
                }
            }
        }
    }
}
