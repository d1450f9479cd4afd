import Foundation
import LinuxSystem
import SystemPackage
import Testing

@testable import Runs

@Suite("The file of metrics") struct MetricsFileTests {
    /// A directory with one file, read as what a run has written.
    private final class Written {
        let path = FilePath(FileManager.default.temporaryDirectory.path + "/cloche-metrics-\(UUID().uuidString)")
        var file: MetricsFile

        init(_ named: String? = "m.json") throws {
            file = MetricsFile(named)
            try Syscall.makeDirectory(path, mode: 0o700)
        }

        deinit { try? FileManager.default.removeItem(atPath: path.string) }

        func write(_ text: String, to name: String = "m.json") throws {
            try Syscall.writeFile(path.appending(name), Array(text.utf8))
        }

        func read() throws -> MetricsFile.Reading? {
            let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
            return file.read(below: directory.number)
        }
    }

    private static func names(_ text: String) -> [String] {
        MetricsFile.parse(Array(text.utf8)).values.map { "\($0.name)=\($0.value)" }
    }

    @Test func `numbers are taken, those of objects by a dotted name, and nothing else`() {
        let text =
            #"{"acc": 0.5, "val": {"loss": 2, "deep": {"x": -1e3}}, "note": "n", "ok": true, "list": [1], "no": null}"#
        #expect(Self.names(text) == ["acc=0.5", "val.loss=2.0", "val.deep.x=-1000.0"])
        #expect(MetricsFile.parse(Array(text.utf8)).problem == nil)
    }

    @Test(arguments: [
        ("", "empty"), ("[1]", "no JSON object"), ("{\"a\": NaN}", "1:"), ("{}", "no number"),
        ("{\"a\": 1} x", "after the end"),
        ("{\"a\": 1, \"a\": 2}", "a"), (String(repeating: "{\"a\":", count: 40), "deep"), ("{\"a\": 1e999}", ":1:7"),
    ])
    func `what is no object of numbers is told`(text: String, problem: String) {
        let reading = MetricsFile.parse(Array(text.utf8))
        #expect(reading.values.isEmpty)
        #expect(reading.problem?.contains(problem) == true, "\(reading.problem ?? "nothing")")
    }

    @Test func `names and numbers are bounded`() {
        let many = "{" + (0..<1200).map { "\"m\($0)\": \($0)" }.joined(separator: ",") + "}"
        #expect(MetricsFile.parse(Array(many.utf8)).values.count == 1000)
        #expect(MetricsFile.parse(Array(many.utf8)).problem?.contains("more than 1000") == true)
        let long = "{\"\(String(repeating: "n", count: 201))\": 1, \"\": 2, \"fine\": 3}"
        #expect(MetricsFile.parse(Array(long.utf8)).values.map(\.name) == ["fine"])
    }

    @Test func `a file is read again when it has changed`() throws {
        let written = try Written()
        #expect(try written.read() == nil)
        try written.write("{\"a\": 1}")
        #expect(try written.read()?.values.first?.value == 1)
        #expect(try written.read() == nil)
        try written.write("{\"a\": 25}")
        #expect(try written.read()?.values.first?.value == 25)
    }

    @Test func `links, pipes, directories and large files are not followed, waited for or read`() throws {
        let written = try Written()
        try written.write("{\"a\": 1}", to: "other.json")
        #expect(symlink("other.json", written.path.appending("m.json").string) == 0)
        #expect(try written.read()?.problem == "m.json: \(Errno.tooManySymbolicLinkLevels)")
        try Syscall.unlink(written.path.appending("m.json"))
        #expect(mkfifo(written.path.appending("m.json").string, 0o600) == 0)
        #expect(try written.read()?.problem == "m.json: it is no file")
        try Syscall.unlink(written.path.appending("m.json"))
        try Syscall.makeDirectory(written.path.appending("m.json"), mode: 0o700)
        #expect(try written.read()?.problem == "m.json: it is no file")
        try Syscall.unlink(written.path.appending("m.json"), directory: true)
        try written.write("{\"a\": 1" + String(repeating: " ", count: 1 << 20) + "}")
        #expect(try written.read()?.problem?.contains("more than") == true)
    }

    @Test func `of the usual file that nobody asked for nothing is told but numbers`() throws {
        let written = try Written(nil)
        for text in ["[1, 2]", "no JSON", "{\"text\": \"t\"}"] {
            try written.write(text, to: "metrics.json")
            #expect(try written.read() == nil, "\(text)")
        }
        try written.write("{\"a\": 1}", to: "metrics.json")
        #expect(try written.read()?.values.count == 1)
    }

    @Test(arguments: [
        ("metrics.json", true), ("a/b.json", true), ("/data/m.json", false), ("../m.json", false), ("a/../m", false),
        ("", false), (".", false), ("a/./b", false),
    ])
    func `the path lies below the project`(path: String, isOne: Bool) { #expect(MetricsFile.isPath(path) == isOne) }
}
