import Foundation
import LinuxSystem
import SystemPackage
import Testing

@testable import JobScheduling

@Suite struct ProjectReceiverTests {
    /// A directory to receive in, beside one that nothing may be written to.
    private final class Place {
        let path = FileManager.default.temporaryDirectory.path + "/receiver-\(UUID().uuidString)"

        init() throws {
            for name in ["project", "outside/sub"] {
                try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
            }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func receiver(_ limits: ProjectReceiver.Limits) throws -> ProjectReceiver {
            ProjectReceiver(try Syscall.open(FilePath(path + "/project"), 0o200000), limits)
        }

        func names(_ name: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(name)").sorted()
        }
    }

    private func entry(_ kind: ProjectEntry.Kind, _ path: String, mode: UInt32 = 0o644) -> ProjectEntry {
        ProjectEntry(kind, mode: mode, modified: FileTime(seconds: 1, nanoseconds: 0), path: Array(path.utf8))
    }

    @Test func `a project arrives with its modes, times and links`() throws {
        let place = try Place()
        let receiver = try place.receiver(.init(bytes: 100))
        try receiver.take(entry(.directory, "", mode: 0o755))
        try receiver.take(entry(.directory, "a", mode: 0o500))
        try receiver.take(entry(.file, "a/b", mode: 0o640))
        try receiver.take(content: [1, 2])
        try receiver.take(content: [3])
        try receiver.take(entry(.link(Array("../nowhere".utf8)), "a/l"))
        try receiver.finish()
        #expect(try place.names("project/a") == ["b", "l"])
        let status = try Syscall.lstat(FilePath(place.path + "/project/a/b"))
        #expect(status.permissions == 0o640 && status.size == 3 && status.modified.seconds == 1)
        #expect(try Syscall.lstat(FilePath(place.path + "/project/a")).permissions == 0o500)
    }

    @Test(arguments: ["/outside", "../outside"])
    func `nothing is written through a link that was sent before`(target: String) throws {
        let place = try Place()
        let text = target.hasPrefix("/") ? place.path + target : target
        for path in ["out/sub/x", "out/x", "out"] {
            for kind in [ProjectEntry.Kind.file, .directory, .link([0x78])] {
                let receiver = try place.receiver(.init(bytes: 100))
                try? FileManager.default.removeItem(atPath: place.path + "/project/out")
                try receiver.take(entry(.link(Array(text.utf8)), "out"))
                #expect(throws: SyscallError.self, "\(path) \(kind)") { try receiver.take(entry(kind, path)) }
            }
        }
        #expect(try place.names("outside") == ["sub"] && place.names("outside/sub") == [])
        #expect(try place.names("project") == ["out"])
    }

    @Test func `a project is bounded in bytes, entries, and paths that are kept in memory`() throws {
        let place = try Place()
        let bytes = try place.receiver(.init(bytes: 3))
        #expect(throws: ClientFault.self) { try bytes.take(content: [1]) }
        try bytes.take(entry(.file, "f"))
        try bytes.take(content: [1, 2, 3])
        let large = try #require(throws: JobRefusal.self) { try bytes.take(content: [4]) }
        #expect(large.message.contains("more than 3 bytes") && large.hint.contains(".clocheignore"))
        let entries = try place.receiver(.init(bytes: 3, entries: 2))
        try entries.take(entry(.file, "g"))
        try entries.take(entry(.file, "h"))
        #expect(throws: ClientFault.self) { try entries.take(entry(.file, "i")) }
        let paths = try place.receiver(.init(bytes: 3, pathBytes: 6))
        try paths.take(entry(.directory, "abc"))
        #expect(throws: ClientFault.self) { try paths.take(entry(.directory, "abc/d")) }
        let files = try #require(throws: StoreError.self) {
            try place.receiver(.init(bytes: 3, reservedFiles: .max)).take(entry(.file, "j"))
        }
        let room = try #require(throws: StoreError.self) {
            try place.receiver(.init(bytes: 3, reserve: .max)).take(entry(.file, "k"))
        }
        #expect(files.kind == .noRoom && files.message.contains("no more files than it keeps free"))
        #expect(room.kind == .noRoom && room.message.contains("no more bytes than it keeps free"))
        #expect(try place.names("project") == ["abc", "f", "g", "h"])
    }
}
