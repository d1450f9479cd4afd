import Foundation
import Isolation
import Testing

struct ByteCountTests {
    @Test(
        "sizes are read with binary, decimal and single-letter units",
        arguments: [
            ("0", 0), ("4096", 4096), ("512MiB", 512 << 20), ("512M", 512 << 20), ("512 mib", 512 << 20),
            ("1.5GiB", 3 << 29), ("0.5k", 512), ("200MB", 200_000_000), ("3kB", 3000), ("1.000001kB", 1000),
            ("8388607TiB", 8_388_607 << 40), ("9223372036854775807", Int64.max),
        ])
    func reads(text: String, bytes: Int64) {
        #expect(ByteCount(parsing: text)?.bytes == bytes)
    }

    @Test(
        "what is no size is refused",
        arguments: [
            "", "MiB", "-1", "+1", "1.", ".5", "1.5.5M", "1e9", "1MiBs", "0x10", "9223372036854775808", "8388608TiB",
            "1 M iB", "1.1234567M", "١MiB", String(repeating: "0", count: 40) + "1",
        ])
    func refuses(text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    @Test(
        "the exact form is read back as the same size",
        arguments: [0, 1, 1023, 1024, 1536, 3 << 29, 1 << 50, Int64.max])
    func readsBack(bytes: Int64) throws {
        let count = try #require(ByteCount(bytes))
        #expect(ByteCount(parsing: count.description) == count)
    }

    @Test(
        "the short form has one digit after the point",
        arguments: [(1000, "1000B"), (1288490189, "1.2GiB"), (1 << 20, "1MiB")])
    func rounds(bytes: Int64, text: String) {
        #expect(ByteCount(bytes)?.rounded == text)
    }
}

struct ResourceLimitsTests {
    @Test func `a document has bytes, seconds and names in snake case, and is read back`() throws {
        let limits = ResourceLimits(
            memory: .mebibytes(64), pids: 32, cpus: 1.5, wallTime: .milliseconds(1500), cpuTime: .seconds(2),
            openFiles: 256, scratch: .mebibytes(1), project: .mebibytes(2), output: ByteCount(10))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let document = try encoder.encode(limits)
        #expect(
            String(decoding: document, as: UTF8.self)
                == #"{"cpu_time":2,"cpus":1.5,"memory":67108864,"open_files":256,"#
                + #""output":10,"pids":32,"project":2097152,"scratch":1048576,"wall_time":1.5}"#)
        #expect(try JSONDecoder().decode(ResourceLimits.self, from: document) == limits)
        #expect(try JSONDecoder().decode(ResourceLimits.self, from: Data("{}".utf8)) == ResourceLimits())
    }

    @Test(
        "limits that cannot be are refused",
        arguments: [#"{"memory":-1}"#, #"{"wall_time":-1}"#, #"{"wall_time":1e300}"#])
    func refuses(document: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(ResourceLimits.self, from: Data(document.utf8))
        }
    }

    @Test func `every limit that is set has a value under its name`() {
        let limits = ResourceLimits(
            memory: .mebibytes(1), pids: 1, cpus: 1, wallTime: .seconds(1), cpuTime: .seconds(1), openFiles: 1,
            scratch: .mebibytes(1), project: .mebibytes(1), output: .mebibytes(1))
        for name in LimitName.allCases {
            #expect(limits.value(of: name) == (name.unit == .bytes ? 1_048_576 : 1))
            #expect(ResourceLimits().value(of: name) == nil)
        }
    }

    @Test(
        "a report is one line",
        arguments: [
            (LimitReport(.memory, 536_870_912, .cgroup), "memory 512MiB: cgroup"),
            (LimitReport(.wallTime, 1.5, .watchdog), "wall_time 1.5s: watchdog"),
            (LimitReport(.pids, 64, .none, remark: "not here"), "pids 64: none, not here"),
            (LimitReport(.memory, .infinity, .none), "memory infB: none"),
        ])
    func describes(report: LimitReport, line: String) {
        #expect(report.description == line)
    }
}
