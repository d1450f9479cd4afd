import Isolation
import LinuxSystem
import Testing

@testable import SandboxRuntime

struct ResourceViewTests {
    private static let cpuinfo = (0..<4).map {
        "processor\t: \($0)\nmodel name\t: a kind of: \(9 - $0)\nflags\t\t: fpu\n\n"
    }.joined()

    private static func host(_ processors: [Int] = [0, 1, 2, 3], text: String = cpuinfo) -> ResourceView.Host {
        ResourceView.Host(processors: processors, memory: 8 << 30, processorText: text)
    }

    private func view(
        cpus: Double? = nil, memory: ByteCount? = nil, host: ResourceView.Host = host(), seed: String = ""
    ) -> ResourceView {
        ResourceView(limits: ResourceLimits(memory: memory, cpus: cpus), host: host, seed: seed)
    }

    /// The first seed that leads to these processors.
    private func view(of processors: [Int]) throws -> ResourceView {
        let count = Double(processors.count)
        return try #require(
            (0..<100).lazy.map { self.view(cpus: count, seed: "\($0)") }.first { $0.processors == processors })
    }

    @Test(
        "there are as many processors as the limit begins to fill",
        arguments: [(0.01, 1), (1, 1), (1.01, 2), (1.5, 2), (3, 3), (3.5, nil), (4, nil), (64, nil)] as [(Double, Int?)]
    )
    func count(limit: Double, count: Int?) {
        let view = view(cpus: limit)
        #expect(view.processors?.count == count)
        #expect(view.variables["OMP_NUM_THREADS"] == count.map(String.init))
        #expect((view.processFiles["cpuinfo"] == nil) == (count == nil))
        #expect(view.systemFiles.isEmpty == (count == nil))
    }

    @Test func `without limits everything is the host's own, but for what others do there`() {
        let view = view()
        #expect(view.variables.isEmpty && view.systemFiles.isEmpty && view.processors == nil && view.memory == nil)
        #expect(view.processFiles.keys.sorted() == ["loadavg", "stat", "swaps", "vmstat"])
        #expect(view.processFiles["loadavg"] == "0.00 0.00 0.00 1/1 1\n")
        #expect(view.processFiles["swaps"]?.split(separator: "\n").count == 1)
        #expect(view.processFiles["vmstat"]?.contains("pswpin 0\npswpout 0\n") == true)
        let lines = view.processFiles["stat"]?.split(separator: "\n") ?? []
        #expect(lines.count { $0.hasPrefix("cpu") } == 5)
        #expect(ResourceView.whole.variables.isEmpty)
    }

    @Test func `where the host does not tell of its processors none are chosen`() {
        #expect(view(cpus: 1, host: Self.host([])).processors == nil)
    }

    @Test(
        "lists have the form of the kernel",
        arguments: [
            ([0], "0"), ([3], "3"), ([0, 1], "0-1"), ([0, 3], "0,3"), ([0, 1, 3], "0-1,3"), ([1, 2, 3], "1-3"),
        ] as [([Int], String)])
    func lists(processors: [Int], list: String) throws {
        let view = try view(of: processors)
        #expect(
            view.systemFiles == [
                "/sys/devices/system/cpu/online": list + "\n", "/sys/devices/system/cpu/possible": list + "\n",
                "/sys/devices/system/cpu/present": list + "\n",
            ])
        #expect(view.systemDirectories == processors.map { "/sys/devices/system/cpu/cpu\($0)" })
    }

    @Test func `the list keeps the numbers of the host`() {
        let view = view(cpus: 3, host: Self.host([2, 8, 9, 64], text: ""), seed: "")
        let chosen = view.processors ?? []
        #expect(Set(chosen).isSubset(of: [2, 8, 9, 64]))
        #expect(chosen == chosen.sorted())
    }

    @Test func `cpuinfo tells of these processors alone`() throws {
        let text = try #require(try view(of: [0, 3]).processFiles["cpuinfo"])
        let blocks = Self.cpuinfo.components("\n\n")
        #expect(text == blocks[0] + "\n\n" + blocks[3] + "\n\n")
    }

    @Test func `stat counts these processors alone, and tells when the host began`() throws {
        var host = Self.host()
        host.start = 1_700_000_000
        let view = view(cpus: 2, host: host)
        let lines = try #require(view.processFiles["stat"]).split(separator: "\n").map(String.init)
        let names = lines.compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(
            names == ["cpu"] + (view.processors ?? []).map { "cpu\($0)" } + [
                "intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq",
            ])
        #expect(lines.contains("btime 1700000000") && lines[0] == "cpu  0 0 0 0 0 0 0 0 0 0")
    }

    @Test(
        "a cpuinfo of another form is left out",
        arguments: [
            "", "\n\n\n", "processor", "processor\t: \n", "processor : 99999999999999999999999\n", "processor: 0x0\n",
            "Processor: 0\n", ": 0\n", "processor\t: -1\n", "processor\t: 0 \n", "\0\u{FFFD}\n\n",
            String(repeating: "\n", count: 100_000), "model\t: 0\nprocessor\t: 0\n",
        ])
    func oddProcessorText(text: String) throws {
        for seed in ["", "a", "b", "c"] {
            #expect(view(cpus: 1, host: Self.host(text: text), seed: seed).processFiles["cpuinfo"] == "")
        }
    }

    @Test func `the last block may lack its end`() {
        let text = view(cpus: 1, host: Self.host([0, 1], text: "processor: 0\nprocessor: 1"), seed: "").processFiles
        let other = view(cpus: 1, host: Self.host([0, 1], text: "processor: 0\n\nprocessor: 1")).processFiles
        #expect(text["cpuinfo"] == "processor: 0\nprocessor: 1\n\n")
        #expect(other["cpuinfo"] == "processor: 0\n\n")
    }

    @Test func `sandboxes with few processors are spread over those that there are`() {
        var uses: [Int: Int] = [:]
        for number in 0..<400 {
            let seed = "0f8fad5b-d9cb-469f-a165-70867728\(1000 + number)"
            for processor in view(cpus: 1, seed: seed).processors ?? [] { uses[processor, default: 0] += 1 }
        }
        #expect(uses.keys.sorted() == [0, 1, 2, 3])
        #expect(uses.values.allSatisfy { (40...200).contains($0) }, "\(uses)")
    }

    @Test func `the same seed gives the same processors`() {
        #expect(view(cpus: 2, seed: "a") == view(cpus: 2, seed: "a"))
        #expect(view(cpus: 1, seed: String(repeating: "\u{FFFF}", count: 10_000)).processors?.count == 1)
    }

    @Test func `memory below the host's is shown to those who ask`() throws {
        let view = view(memory: .mebibytes(512))
        let text = try #require(view.processFiles["meminfo"])
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.first == "MemTotal:         524288 kB")
        #expect(lines.contains("MemAvailable:     524288 kB"))
        #expect(lines.contains("SwapTotal:             0 kB"))
        #expect(lines.allSatisfy { $0.hasSuffix(" kB") && $0.utf8.count == 27 })
        #expect(view.variables["JAVA_TOOL_OPTIONS"] == "-XX:MaxRAM=536870912")
        let go = try #require(view.variables["GOMEMLIMIT"]?.dropLast().description)
        #expect((Int64(go) ?? 0) < 512 << 20)
        #expect((Int64(go) ?? 0) > 450 << 20)
    }

    @Test("memory that the host has not is not shown", arguments: [8192, 16384] as [UInt32])
    func memoryOfTheHost(limit: UInt32) {
        #expect(view(memory: .mebibytes(limit)).processFiles["meminfo"] == nil)
        #expect(view(memory: .mebibytes(limit)).variables.isEmpty)
    }

    @Test func `sizes at the ends of their range have a line as well`() {
        let host = ResourceView.Host(processors: [], memory: .max, processorText: "")
        for bytes in [0, 1, Int64.max - 1] {
            let view = view(memory: ByteCount(bytes), host: host)
            #expect(view.processFiles["meminfo"]?.hasPrefix("MemTotal:") == true)
        }
    }

    @Test func `the skeleton shows what the view has of sysfs`() throws {
        var skeleton = Skeleton(directories: [:], files: [:])
        skeleton.show(try view(of: [1]))
        #expect(skeleton.files["/sys/devices/system/cpu/online"] == "1\n")
        #expect(skeleton.directories == ["/sys/devices/system/cpu/cpu1": 0o755])
    }

    @Test func `the host is asked for what limits need`() {
        let nothing = ResourceView.Host.probe(for: ResourceLimits())
        #expect(nothing.memory == .max && nothing.processorText == "" && !nothing.processors.isEmpty)
        #expect(abs(Double(nothing.start) + Syscall.secondsSinceBoot() - Syscall.wallClockSeconds()) < 2)
        let everything = ResourceView.Host.probe(for: ResourceLimits(memory: .mebibytes(1), cpus: 1))
        #expect(!everything.processors.isEmpty)
        #expect((1 << 20..<Int64.max).contains(everything.memory))
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] { split(separator: separator).map(String.init) }
}
