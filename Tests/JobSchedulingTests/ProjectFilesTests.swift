import Foundation
import JobScheduling
import LinuxSystem
import Pipelines
import SystemPackage
import Testing

@Suite struct ProjectFilesTests {
    @Test func `layers show what an overlay mount of them does`() throws {
        let root = FileManager.default.temporaryDirectory.path + "/project-files-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        func write(_ path: String, _ text: String) throws {
            let file = URL(filePath: root + "/" + path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        func hide(_ path: String) throws {
            let parent = try Syscall.open(
                FilePath(root + "/" + path).removingLastComponent(), CInt(0o200000))
            try Syscall.makeWhiteout(TerminatedName(path.utf8.suffix(while: { $0 != 0x2F })), at: parent.number)
        }
        try write("low/a/changed", "old")
        try write("low/a/removed", "old")
        try write("low/a/kept", "kept")
        try write("low/gone/file", "old")
        try write("low/replaced/file", "old")
        try write("top/a/changed", "new")
        try write("top/replaced", "a file now")
        try hide("top/a/removed")
        try hide("top/gone")
        let files = ProjectFiles(layers: [FilePath(root + "/top"), FilePath(root + "/low")])
        #expect(try files.read("a/changed") == Array("new".utf8))
        #expect(try files.read("a/kept") == Array("kept".utf8))
        for path in ["a/removed", "gone/file", "replaced/file", "a/none"] { #expect(try files.read(path) == nil) }
        let listing = files.listing()
        #expect(listing.names("a").sorted() == ["changed", "kept"])
        #expect(listing.names("").sorted() == ["a", "replaced"])
        #expect(listing.names("replaced") == [] && listing.names("gone") == [])
        #expect(listing.kind("a/kept") == .file && listing.kind("replaced") == .file)
        #expect(listing.kind("a/removed") == .missing && listing.kind("gone/file") == .missing)
        #expect(listing.kind("replaced/file") == .missing)
    }

    @Test func `links are followed as a step would follow them, and to nothing of the host`() throws {
        let root = FileManager.default.temporaryDirectory.path + "/project-files-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        for layer in ["top", "low"] {
            try FileManager.default.createDirectory(
                atPath: "\(root)/\(layer)/dir", withIntermediateDirectories: true)
        }
        try Data().write(to: URL(filePath: root + "/low/dir/real.py"))
        let links: [(name: String, target: String, kind: ProjectListing.Kind)] = [
            ("own.py", "dir/real.py", .file), ("dir/up.py", "../dir/./real.py", .file),
            ("named.py", "/project-dir/dir/real.py", .file), ("data.py", "/data/x.py", .symlink),
            ("host.py", "/etc/hostname", .outside(link: "/etc/hostname")),
            ("above.py", "../low/dir/real.py", .outside(link: "../low/dir/real.py")),
            ("chain.py", "host.py", .outside(link: "/etc/hostname")),
            ("none.py", "dir/none.py", .dangling(link: "dir/none.py")),
            ("circle.py", "circle.py", .dangling(link: "circle.py")), ("folder", "dir", .directory),
            ("out", "/etc", .outside(link: "/etc")),
        ]
        for link in links {
            try FileManager.default.createSymbolicLink(
                atPath: "\(root)/top/\(link.name)", withDestinationPath: link.target)
        }
        let listing = ProjectFiles(layers: [FilePath(root + "/top"), FilePath(root + "/low")]).listing()
        for link in links { #expect(listing.kind(link.name) == link.kind, "\(link.name)") }
        #expect(listing.kind("folder/real.py") == .file && listing.kind("folder/none.py") == .missing)
        #expect(listing.kind("out/hostname") == .outside(link: "/etc"))
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: root + "/low/dir/real.py")
        #expect(listing.kind("own.py") == .unreadable)
    }

    @Test func `an environment that is there and cannot be used is told, with the place of what is wrong`() throws {
        let root = FileManager.default.temporaryDirectory.path + "/project-files-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        let uuids = (1...4).map { "e0000000-0000-4000-8000-00000000000\($0)" }
        func write(_ uuid: String, _ name: String, _ text: String) throws {
            let directory = "\(root)/.orchest/environments/\(uuid)"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(name)"))
        }
        let rest = "\"name\": \"x\", \"language\": \"python\", \"base_image\": \"python\""
        try write(uuids[0], "properties.json", "{\"uuid\": \"\(uuids[0])\", \(rest)}")
        try write(uuids[1], "properties.json", "{\"uuid\": \"\(uuids[1])\", \(rest),\n}")
        try write(uuids[2], "properties.json", "{\"uuid\": \"\(uuids[0])\",\n\(rest)}")
        try write(uuids[3], "setup_script.sh", "true")
        try write("notes", "properties.json", "{")
        let listing = ProjectFiles(layers: [FilePath(root)]).listing()
        #expect(listing.environments == [uuids[0]: "x"])
        #expect(listing.unusableEnvironments.keys.sorted() == Array(uuids[1...]))
        let lines = uuids.map { listing.unusableEnvironments[$0]?.first?.line }
        #expect(lines == [nil, 1, 1, nil])
    }
}

extension BidirectionalCollection {
    /// What follows the last element that the predicate does not hold for.
    fileprivate func suffix(while predicate: (Element) -> Bool) -> SubSequence {
        var start = endIndex
        while start != startIndex, predicate(self[index(before: start)]) { start = index(before: start) }
        return self[start...]
    }
}
