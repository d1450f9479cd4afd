import LinuxSystem
import Testing

@testable import JobScheduling

@Suite struct ClientMessageTests {
    private static let time = FileTime(seconds: -5, nanoseconds: 999_999_999)

    @Test func `frames come out as they went in, however they are cut`() throws {
        let frames = [
            ClientFrame(.request, Array("{}".utf8)), ClientFrame(.begin),
            ClientFrame(.content, [UInt8](repeating: 7, count: ClientFrame.longest)), ClientFrame(.exit, [3]),
        ]
        let bytes = frames.flatMap(\.encoded)
        for size in [1, 4, 5, 6, 1000, bytes.count] {
            var parser = ClientFrame.Parser()
            var found: [ClientFrame] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                parser.feed(Array(bytes[start..<min(start + size, bytes.count)]))
                while let frame = try parser.next() { found.append(frame) }
                // The rest of a large one at once: it is the cuts near the beginnings that count.
                if size < 1000, start > 20 {
                    parser.feed(Array(bytes[min(start + size, bytes.count)...]))
                    while let frame = try parser.next() { found.append(frame) }
                    break
                }
            }
            #expect(found == frames, "\(size)")
        }
    }

    @Test func `a frame that is too long, or of no kind, is refused before its bytes have come`() {
        for header: [UInt8] in [
            [0x43, 0, 4, 0, 1], [0x43, 255, 255, 255, 255], [0, 0, 0, 0, 0], [0x5A, 0, 0, 0, 1],
        ] {
            var parser = ClientFrame.Parser()
            parser.feed(header)
            #expect(throws: ClientFault.self) { try parser.next() }
        }
    }

    @Test func `entries of a project come out as they went in`() throws {
        for kind in [ProjectEntry.Kind.directory, .file, .link(Array("../somewhere".utf8))] {
            let entry = ProjectEntry(kind, mode: 0o751, modified: Self.time, path: Array("a/ü b/\n".utf8))
            #expect(try ProjectEntry(entry.encoded) == entry)
        }
        let special = ProjectEntry(.file, mode: 0o4755, modified: Self.time, path: [0x61])
        #expect(try ProjectEntry(special.encoded).mode == 0o755)
    }

    @Test func `an entry that would lie elsewhere is refused, and one that is cut off`() throws {
        let bad = [
            "", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b", "a\0b",
            String(repeating: "a", count: 256),
            String(repeating: "a/", count: 2000) + "a",
        ]
        for path in bad {
            let entry = ProjectEntry(.file, mode: 0o644, modified: Self.time, path: Array(path.utf8))
            #expect(throws: ClientFault.self, "\(path.prefix(20))") { try ProjectEntry(entry.encoded) }
        }
        let whole = ProjectEntry(.link([0x78]), mode: 0, modified: Self.time, path: Array("ab".utf8)).encoded
        for count in 0..<whole.count {
            #expect(throws: ClientFault.self, "\(count)") { try ProjectEntry(Array(whole[..<count])) }
        }
        for name in ["..a", "a..", "...", ".a"] { #expect(ProjectEntry.isSafe(Array(name.utf8)), "\(name)") }
    }
}
