import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct ExportTests {
    /// Exports the snapshot, has GNU tar restore it, and gives the manifest of what came out.
    private func restored(_ identity: SnapshotIdentity, in scratch: Scratch) throws -> Manifest {
        let file = try Syscall.open(scratch.at("x.tar"), O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let number = file.number
        try scratch.store().export(identity) { bytes in
            try Syscall.writeAll(number, bytes, 0..<bytes.count)
        }
        try scratch.makeDirectory("restored")
        let result = try run(
            [
                "tar", "--extract", "--file", "x.tar", "--directory", "restored", "--xattrs", "--same-permissions",
                "--warning=no-timestamp",
            ], in: scratch)
        #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
        let tree = try scratch.open("restored")
        return try SnapshotStore.read(tree: tree.number, monitor: CaptureMonitor { _ in .proceed }).0
    }

    @Test func `GNU tar restores modes, times, links, holes, attributes and odd names exactly`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/run.sh", "#!/bin/sh\n", mode: 0o751)
            try scratch.write("project/read-only/secret", "x", mode: 0o400)
            try scratch.makeDirectory("project/empty")
            try scratch.write("project/one", "pair")
            try scratch.write("project/nothing", "")
            let long =
                "project/" + [String](repeating: String(repeating: "long", count: 30), count: 5).joined(separator: "/")
            try scratch.write(long, "deep")
            let names: [[UInt8]] = [
                [0xFF, 0xFE], Array("new\nline".utf8), [UInt8](repeating: 0xFF, count: 255),
                Array("back\\slash".utf8), Array(" space ".utf8), Array("-rf".utf8), Array("ünïcode".utf8),
                Array("a=b%3D".utf8), [UInt8](repeating: 0x61, count: 100), [UInt8](repeating: 0x62, count: 101),
            ]
            for name in names { try scratch.write(bytes: Array("project/".utf8) + name, name) }
            let project = try scratch.open("project")
            try Syscall.link(
                TerminatedName("one".utf8), at: project.number, to: TerminatedName("two".utf8), at: project.number)
            try Syscall.symlink("/etc/passwd", scratch.at("project/link"))
            try Syscall.symlink(FilePath(String(repeating: "t", count: 300)), scratch.at("project/longlink"))
            for (index, hole) in [(0, 1 << 20), (1 << 20, 3 << 20), (5 << 20, 0)].enumerated() {
                let path = "project/sparse\(index)"
                try scratch.write(path, "")
                let file = try Syscall.open(scratch.at(path), O_WRONLY)
                _ = try Syscall.seek(file.number, to: Int64(hole.0))
                if hole.1 > 0 { try Syscall.writeAll(file.number, Array("data in the middle".utf8)) }
                try Syscall.truncate(file.number, to: Int64(max(hole.0, hole.1) + 777))
            }
            let file = try Syscall.open(scratch.at("project/one"), O_RDONLY)
            try Syscall.setAttribute(TerminatedName("user.note".utf8), of: file.number, [0, 1, 10, 255])
            try Syscall.setAttribute(TerminatedName("user.a=b%".utf8), of: file.number, [])
            try Syscall.setModificationTime(scratch.at("project/run.sh"), seconds: -2, nanoseconds: 500_000_000)
            try Syscall.setModificationTime(scratch.at("project/empty"), seconds: 1_000_000_000, nanoseconds: 7)
            try Syscall.setModificationTime(scratch.at("project/link"), seconds: 17, nanoseconds: 123_456_789)
            let directory = try scratch.open("project/read-only")
            try Syscall.changeMode(of: directory.number, 0o500)
            let identity = try scratch.capture().snapshot.identity
            let stored = try scratch.store().manifest(of: identity)
            let manifest = try restored(identity, in: scratch)
            #expect(SnapshotDifference.between(stored, manifest).map(\.description) == [])
            #expect(manifest.identity == identity)
            let sparse = try scratch.status("restored/sparse1")
            #expect(sparse.allocated < sparse.size)
        }
    }

    @Test func `an export of a damaged snapshot is an error that names the file`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "content")
            let snapshot = try scratch.capture().snapshot
            try Syscall.writeFile(snapshot.layers[0].appending("a"), Array("cut".utf8))
            let error = #expect(throws: SnapshotError.self) { try scratch.store().export(snapshot.identity) { _ in } }
            #expect(error?.path == Array("a".utf8))
        }
    }
}
