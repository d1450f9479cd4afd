import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct ManifestTests {
    private static let sound = """
        cloche-manifest 1
        d 0755 1700000000.000000000 .
        x user.note 0x68690a
        f 0644 -1.500000000 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 -a\\x20b\\xff
        d 0700 1700000000.000000001 a
        l 1700000000.000000000 ../out\\x5c a-b
        f 4755 1700000000.000000000 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 a/c
        h a/c b

        """

    @Test func `reading gives the entries, and writing them gives the same bytes`() throws {
        let manifest = try Manifest(parsing: Array(Self.sound.utf8))
        let entries = Array(manifest.entries)
        #expect(entries.map { displayName($0.path) } == [".", "-a b\\xff", "a", "a-b", "a/c", "b"])
        #expect(entries[0].attributes == [ExtendedAttribute(name: Array("user.note".utf8), value: [0x68, 0x69, 0x0A])])
        #expect(entries[1].modified == FileTime(seconds: -1, nanoseconds: 500_000_000))
        #expect(entries[1].kind == .file(size: 5, digest: ContentDigest(of: Array("hello".utf8))))
        #expect(entries[3].kind == .symbolicLink(target: Array("../out\\".utf8)))
        #expect(entries[4].mode == 0o4755)
        #expect(entries[5].kind == .hardLink(first: Array("a/c".utf8)))
        var text = ManifestText.header
        for entry in entries { ManifestText.append(entry, to: &text) }
        #expect(text == manifest.bytes)
    }

    @Test(arguments: [
        ("d 0755 1700000000.000000000 .\n", ""), ("cloche-manifest 1", "cloche-manifest 2"), ("0755", "755"),
        ("0755", "0855"), (".000000001 a", ".1 a"), ("-a\\x20b\\xff", "-a b"), ("\\xff", "\\xFF"), ("\\x20", "\\x41"),
        ("-1.5", "-01.5"), (" 5 ", " 05 "), (" 5 ", " -5 "), (" 5 ", " 99999999999999999999 "), ("2cf24", "2cf2"),
        ("h a/c b", "h a/x b"), ("h a/c b", "h a b"), ("a-b", "a"), ("a/c\n", "a/../c\n"), ("a/c\n", "a//c\n"),
        ("a/c\n", "/c\n"), ("a/c\n", "x/c\n"), ("x user.note 0x68690a", "x user.note 0x6"), ("0x6869", "0X6869"),
        ("h a/c b\n", "h a/c b"), ("h a/c b\n", "h a/c b\n\n"), ("h a/c b\n", "h a/c b\nx user.a 0x\n"),
        ("a-b", "a-b\\x00"), ("d 0700", "d  0700"),
    ])
    func `anything but the canonical text of a tree is refused`(_ part: String, _ replacement: String) throws {
        let position = try #require(Self.sound.firstRange(of: part))
        let text = Self.sound.replacingCharacters(in: position, with: replacement)
        #expect(throws: Manifest.ParseError.self) { try Manifest(parsing: Array(text.utf8)) }
    }

    @Test func `other tools come to the same identity and digests`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/hello", "hello")
            try scratch.write("project/sub dir/x", "x")
            let report = try scratch.capture()
            let manifest = report.snapshot.manifestPath.string
            let sum = try run(["sha256sum", manifest], in: scratch)
            #expect(sum.text.prefix(64) == report.snapshot.identity.description)
            let digest = try run(["sha256sum", "project/hello"], in: scratch).text.prefix(64)
            let stat = try run(["stat", "-c", "%04a %s", "project/hello"], in: scratch)
            #expect(stat.text == "0644 5\n" || stat.text == " 644 5\n")
            #expect(try run(["cat", manifest], in: scratch).text.contains(" 5 \(digest) hello\n"))
            #expect(try run(["cat", manifest], in: scratch).text.contains(" sub\\x20dir/x\n"))
        }
    }

    @Test func `the record survives its document, whatever the name`() throws {
        let identity = try #require(SnapshotIdentity(String(repeating: "ab", count: 32)))
        var counts = TreeCounts()
        counts.files = 3
        counts.bytes = 1 << 40
        let record = SnapshotRecord(
            created: 1_769_903_999, source: "quote \" back \\ line \n bell \u{7} é", counts: counts,
            notes: CaptureNotes())
        let document = record.json(identity: identity)
        #expect(SnapshotRecord(json: document) == record)
        #expect(String(decoding: document, as: UTF8.self).contains("\"created\": \"2026-01-31T23:59:59Z\""))
        for length in 0..<(document.count - 2) { #expect(SnapshotRecord(json: Array(document.prefix(length))) == nil) }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (4_107_542_399, "2100-02-28T23:59:59Z"),
        (-1, "1969-12-31T23:59:59Z"), (1_709_251_199, "2024-02-29T23:59:59Z"),
    ])
    func `times are written and read in UTC`(_ seconds: Int64, _ text: String) {
        #expect(UTCTime(seconds: seconds).description == text)
        #expect(UTCTime(text)?.seconds == seconds)
    }
}

extension String {
    fileprivate func firstRange(of part: String) -> Range<Index>? {
        indices.lazy.filter { self[$0...].hasPrefix(part) }.first.map { $0..<self.index($0, offsetBy: part.count) }
    }

    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
