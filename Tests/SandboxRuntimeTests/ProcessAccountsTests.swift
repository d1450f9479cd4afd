import Testing

@testable import SandboxRuntime

/// What the watchdog makes of the numbers of single processes.
struct ProcessAccountsTests {
    private typealias Sample = SandboxProcesses.Sample

    private static func process(
        since beginning: UInt64 = 1, seconds: Double = 0, children: Double = 0, memory: Int64 = 0, tables: Int64 = 0,
        shared: Int64 = 0
    ) -> Sample {
        Sample(
            beginning: beginning, tasks: 1, cpuSeconds: seconds, childrenSeconds: children, memory: memory,
            tables: tables, shared: shared)
    }

    @Test func `a child's time counts once when it has been waited for`() {
        var time = ProcessorTime()
        #expect(time.seconds([1: Self.process(), 2: Self.process(seconds: 3)]) == 3)
        #expect(time.seconds([1: Self.process(children: 3.5)]) == 3.5)
        #expect(time.seconds([1: Self.process(seconds: 1, children: 3.5)]) == 4.5)
    }

    @Test func `time of children that nobody waits for is kept as it was seen last`() {
        var time = ProcessorTime()
        for round in 1...4 {
            let child = Self.process(since: UInt64(round), seconds: 0.5)
            #expect(time.seconds([1: Self.process(), 7: child]) == Double(round) * 0.5)
        }
        #expect(time.seconds([1: Self.process()]) == 2)
    }

    @Test func `a family that goes away takes the time of its own children along`() {
        var time = ProcessorTime()
        _ = time.seconds([1: Self.process(), 2: Self.process(seconds: 1, children: 4)])
        #expect(time.seconds([1: Self.process()]) == 5)
        var waited = ProcessorTime()
        _ = waited.seconds([1: Self.process(), 2: Self.process(seconds: 1, children: 4)])
        #expect(waited.seconds([1: Self.process(children: 5)]) == 5)
    }

    @Test func `pages that processes share count once, files in memory once, tables always`() {
        var memory = ProportionalMemory()
        let samples: [Int32: Sample] = [
            1: Self.process(memory: 100, tables: 5), 2: Self.process(memory: 100, tables: 5, shared: 40),
        ]
        let sum = memory.sum(samples, inMemoryFiles: 30, most: 1000, isInTime: { true }) {
            $0 == 1 ? (50, 0) : (50, 40)
        }
        #expect(sum == 150)
    }

    @Test func `a round that takes too long goes on at the next look, and says nothing before`() {
        var memory = ProportionalMemory()
        let samples = [Int32: Sample](uniqueKeysWithValues: (1...6).map { ($0, Self.process(memory: Int64($0))) })
        var read: [Int32] = []
        func look() -> Int64? {
            let end = read.count + 2
            return memory.sum(samples, inMemoryFiles: 0, most: 100, isInTime: { read.count < end }) {
                read.append($0)
                return (10, 0)
            }
        }
        #expect(look() == nil && look() == nil)
        #expect(look() == 60)
        #expect(read == [6, 5, 4, 3, 2, 1])
    }

    @Test func `what exceeds the limit already needs no complete round`() {
        var memory = ProportionalMemory()
        let samples: [Int32: Sample] = [1: Self.process(memory: 900), 2: Self.process(memory: 10)]
        var read = 0
        let sum = memory.sum(samples, inMemoryFiles: 0, most: 500, isInTime: { read == 0 }) { _ in
            read += 1
            return (800, 0)
        }
        #expect(sum == 800)
    }

    @Test(
        "a process is read by the last parenthesis, whatever its name",
        arguments: ["sh", "a) S 1 (b", "x\u{D8}\u{80}", ") 9 9 9"])
    func status(name: String) throws {
        let fields = "S 1 5 5 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 7 0 4242 1000 10"
        let sample = try #require(Sample(Array("12 (\(name)) \(fields)\n".utf8)))
        #expect(sample.beginning == 4242 && sample.tasks == 7)
        #expect(sample.cpuSeconds == 2 && sample.childrenSeconds == 0.5)
        #expect(Sample(Array("12 (\(name)) S 1 5".utf8)) == nil)
    }
}
