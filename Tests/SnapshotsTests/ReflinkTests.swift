import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite(.enabled(if: isRoot, "only root can mount a file system")) struct ReflinkTests {
    /// Those of which this kernel and this machine can make one.
    private static let available: [String] = ["xfs", "btrfs"].filter { type in
        let known = (try? Syscall.readFile("/proc/filesystems", limit: 65536)) ?? []
        return known.contains(bytes: Array("\t\(type)\n".utf8)) && Syscall.exists(FilePath("/usr/sbin/mkfs." + type))
    }

    private static func call(_ arguments: [String], in scratch: Scratch) throws {
        let result = try run(arguments, in: scratch)
        try #require(result.exitCode == 0, "\(arguments): \(result.errors)")
    }

    private static func freeBytes(_ scratch: Scratch, _ disk: String) throws -> Int64 {
        let opened = try scratch.open(disk)
        try Syscall.syncFileSystem(of: opened.number)
        return try Syscall.fileSystem(of: opened.number).freeBytes
    }

    @Test(.enabled(if: !available.isEmpty, "there is no file system with reflinks here"), arguments: available)
    func `a project's data is shared with its snapshot where the file system can, and only until it changes`(
        type: String
    ) throws {
        try Scratch.with { scratch in
            let image = try Syscall.open(scratch.at("image"), O_WRONLY | O_CREAT, mode: 0o600)
            try Syscall.truncate(image.number, to: 400 << 20)
            try Self.call(["mkfs." + type, "-q", scratch.at("image").string], in: scratch)
            try scratch.makeDirectory("disk")
            try onPrivateThread {
                try enterPrivateMounts()
                try Self.call(
                    ["mount", "-o", "loop", scratch.at("image").string, scratch.at("disk").string], in: scratch)
                // The loop device goes with the mount, and that with the thread at the latest.
                defer { _ = try? run(["umount", scratch.at("disk").string], in: scratch) }
                var generator = SeededGenerator(state: 1)
                let piece = (0..<8192).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
                for file in 0..<4 {
                    let content = (0..<96).flatMap { _ in piece }
                    try scratch.write(bytes: Array("disk/project/f\(file)".utf8), content + [UInt8(file)])
                }
                let before = try Self.freeBytes(scratch, "disk")
                let project = try scratch.open("disk/project")
                let store = try SnapshotStore(store: scratch.at("disk/store"))
                let report = try store.capture(CaptureRequest(project: project.number, source: "project"))
                report.lease.end()
                let taken = try before - Self.freeBytes(scratch, "disk")
                #expect(report.size.bytes > 24 << 20)
                #expect(taken < 6 << 20, "\(taken) bytes")

                let changed = try Syscall.open(scratch.at("disk/project/f0"), O_WRONLY)
                try Syscall.writeAll(changed.number, Array("changed".utf8))
                try Syscall.fsync(changed.number)
                #expect(try store.verify(report.snapshot.identity).isEmpty)
            }
        }
    }
}
