import Foundation
import Isolation
import Testing

@testable import SandboxRuntime

struct RoomMeasureTests {
    private func inDirectory(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/cloche-room-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func write(_ mebibytes: Int, to path: String) throws {
        try Data(repeating: 1, count: mebibytes << 20).write(to: URL(filePath: path))
    }

    private func measure(_ path: String, limit: ByteCount) throws -> WrittenRoom {
        var measure = RoomMeasure(limit: limit)
        try measure.add(RoomMeasure.Tree(path: path, shown: "/seen"))
        return measure.written
    }

    @Test func `a file with two names counts once, and holes do not count`() throws {
        try inDirectory { path in
            try FileManager.default.createDirectory(atPath: path + "/d", withIntermediateDirectories: true)
            try write(4, to: path + "/d/one")
            try FileManager.default.linkItem(atPath: path + "/d/one", toPath: path + "/d/two")
            try write(0, to: path + "/sparse")
            truncate(path + "/sparse", 1 << 40)
            let written = try measure(path, limit: .mebibytes(64))
            #expect(written.bytes >= 4 << 20 && written.bytes < 5 << 20)
            #expect(written.files == 4)
            #expect(written.largest.first?.path == "/seen/d" && written.largest.first?.files == 2)
            #expect(!written.exceeds(.mebibytes(64)))
        }
    }

    @Test func `it goes no further than the limit, and names what it has found`() throws {
        try inDirectory { path in
            for name in ["a", "b", "c", "d"] { try write(1, to: "\(path)/\(name)") }
            let written = try measure(path, limit: .mebibytes(2))
            #expect(written.exceeds(.mebibytes(2)) && written.bytes < 4 << 20)
            #expect((1...3).contains(written.largest.count))
        }
    }

    @Test func `what is not there takes nothing, and links are not followed`() throws {
        try inDirectory { path in
            #expect(try measure(path + "/none", limit: .mebibytes(1)) == WrittenRoom())
            try FileManager.default.createSymbolicLink(atPath: path + "/link", withDestinationPath: "/usr")
            #expect(try measure(path, limit: .mebibytes(64)).files == 1)
        }
    }

    @Test func `a report is read back, and nothing else is read as one`() {
        var written = WrittenRoom()
        (written.bytes, written.files, written.isTooDeep) = (7 << 40, 12, true)
        for part in ["/a", "/b\\x0a", "/c"] { written.consider(.init(path: part, bytes: 5, files: 2)) }
        #expect(WrittenRoom(words: written.words) == written)
        for words in ["", "1", "1\0" + "2", "a\0" + "1\0" + "0", "1\0" + "1\0" + "0\0" + "1"] {
            #expect(WrittenRoom(words: Array(words.utf8)) == nil, "\(words)")
        }
    }
}
