import Testing

@testable import SandboxRuntime

struct OutputTailTests {
    private func complaint(_ chunks: [UInt8]...) -> SandboxReport.Complaint? {
        var tail = OutputTail()
        for chunk in chunks { tail.append(chunk) }
        return tail.complaint
    }

    private func complaint(_ text: String) -> SandboxReport.Complaint? { complaint(Array(text.utf8)) }

    @Test(
        "programs say it in their ways",
        arguments: [
            ("cp: error writing 'b': No space left on device", SandboxReport.Complaint.Kind.noSpace),
            ("OSError: [Errno 28] No space left", .noSpace), ("Error: ENOSPC: no space left, write", .noSpace),
            ("dd: closing output file: Disk quota exceeded", .noSpace),
            ("sh: 1: cannot create /etc/a: Read-only file system", .readOnly),
            ("OSError: [Errno 30] '/usr/a'", .readOnly), ("Error: EROFS: open '/a'", .readOnly),
            ("cat: /root/a: Permission denied", .permission), ("[Errno 13] '/a'", .permission),
            ("Error: EACCES: open '/a'", .permission),
            ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", .unreachable),
            ("curl: (6) Could not resolve host: example.org", .unreachable),
            ("OSError: [Errno 101] Network is unreachable", .unreachable),
            ("Error: getaddrinfo EAI_AGAIN example.org", .unreachable),
            ("ModuleNotFoundError: No module named 'numpy'", .missingModule),
            ("Error in library(dplyr) : there is no package called ‘dplyr’", .missingModule),
            ("Error: Cannot find module 'left-pad'", .missingModule),
            ("main.sh: line 13: kaggle: command not found", .missingModule),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'", .missingFile),
        ])
    func phrases(line: String, kind: SandboxReport.Complaint.Kind) {
        #expect(complaint("before\n\(line)\nafter\n") == .init(kind: kind, line: line))
        #expect(complaint(line)?.kind == kind)
    }

    @Test(
        "other output is no complaint",
        arguments: ["", "\n\n", "all is well\n", "[Errno 2] No such file\n", "permission granted\n", "No space"])
    func nothing(text: String) {
        #expect(complaint(text) == nil)
    }

    @Test func `the last complaint counts`() {
        let text = "a: Permission denied\nb: No space left on device\nc: Read-only file system\nTraceback\n"
        #expect(complaint(text) == .init(kind: .readOnly, line: "c: Read-only file system"))
    }

    @Test func `a full disk comes before everything else in a line`() {
        #expect(complaint("Permission denied, then No space left on device")?.kind == .noSpace)
    }

    @Test func `a phrase may come in pieces`() {
        let bytes = Array("x\ncp: 'b': No space left on device\n".utf8)
        for cut in bytes.indices {
            #expect(complaint(Array(bytes[..<cut]), Array(bytes[cut...]))?.line == "cp: 'b': No space left on device")
        }
        var tail = OutputTail()
        for byte in bytes { tail.append([byte]) }
        #expect(tail.complaint?.kind == .noSpace)
    }

    @Test func `control characters are not passed on`() throws {
        let line = try #require(complaint("\u{1B}[31ma\t\u{7}\u{7F}b: Permission denied\u{1B}[0m\n")).line
        #expect(line == #"\u{1b}[31ma\t\u{7}\u{7f}b: Permission denied\u{1b}[0m"#)
    }

    @Test func `control characters of eight bits are not passed on either`() throws {
        let line = try #require(complaint("\u{9B}31ma\u{85}: Permission denied\n")).line
        #expect(!line.unicodeScalars.contains { (0x80...0x9F).contains($0.value) })
    }

    @Test func `bytes that are no text do no harm`() throws {
        let bytes = [0xFF, 0xC3, 0x28, 0x80] + Array(": Permission denied ".utf8) + [0xE2, 0x82]
        let found = try #require(complaint(bytes))
        #expect(found.kind == .permission)
        #expect(found.line.contains(": Permission denied"))
    }

    @Test func `a long line is cut`() throws {
        let line = try #require(complaint("Permission denied: " + String(repeating: "ü", count: 1500))).line
        #expect(line.count == 160)
        #expect(line.hasPrefix("Permission denied: üü"))
    }

    @Test func `a long line keeps what it complains of`() throws {
        let path = "/project-dir/" + String(repeating: "long/", count: 40)
        let line = try #require(complaint("cp: cannot create '\(path)': Read-only file system\n")).line
        #expect(line.contains("Read-only file system"))
    }

    @Test func `lines of a terminal are lines`() throws {
        // A terminal ends lines with a carriage return and a newline (termios(3), ONLCR).
        let found = try #require(complaint("start\r\na: Read-only file system\r\nb: Permission denied\r\nend\r\n"))
        #expect(found.kind == .permission)
        #expect(!found.line.contains("start"))
    }

    @Test func `what is long ago is forgotten`() {
        let filler = Array(String(repeating: "all is well\n", count: 400).utf8)
        #expect(complaint(Array("a: Permission denied\n".utf8), filler) == nil)
        #expect(complaint(filler, Array("a: Permission denied\n".utf8))?.kind == .permission)
        #expect(complaint(filler + Array("a: Permission denied\n".utf8))?.kind == .permission)
    }

    @Test(
        "only the end is kept, however it comes", arguments: [1, 7, 4095, 4096, 4097, 65536])
    func bound(chunk: Int) {
        var tail = OutputTail()
        for _ in 0..<(200_000 / chunk + 2) { tail.append(Array(repeating: 0x61, count: chunk)) }
        #expect(keptBytes(of: tail) <= 5 * 4096)
        tail.append(Array("\na: Permission denied\n".utf8))
        #expect(tail.complaint?.line == "a: Permission denied")
    }

    private func keptBytes(of tail: OutputTail) -> Int {
        Mirror(reflecting: tail).children.reduce(0) { $0 + (($1.value as? [UInt8])?.count ?? 0) }
    }
}
