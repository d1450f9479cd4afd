import Isolation
import Jobs
import Testing

@Suite("Steps and events of a run") struct StepRecordTests {
    private let verdict = Verdict(.exit, "it ended with 3", detail: ["status": .integer(3)], remedy: "see its log")

    private func step() -> StepRecord { StepRecord(uuid: "s1", title: "Load", position: 0, attempt: 1) }

    @Test func `events of a step make its record, those of others do not`() {
        var step = step()
        step.apply(RunEvent(.runStarted(attempt: 1), at: Samples.time(0)))
        step.apply(RunEvent(.stepStarted(step: "s2"), at: Samples.time(1)))
        step.apply(RunEvent(.stepEnded(step: "s2", verdict: verdict, usage: nil), at: Samples.time(2)))
        step.apply(RunEvent(.runEnded(verdict: verdict), at: Samples.time(3)))
        #expect(step == self.step())
        step.apply(RunEvent(.stepStarted(step: "s1"), at: Samples.time(4)))
        #expect(step.state == .running && step.started == Samples.time(4) && step.finished == nil)
        let usage = RunEvent.Usage(wallSeconds: 1.5, cpuSeconds: 0.5, memoryPeakBytes: 1 << 40)
        step.apply(RunEvent(.stepEnded(step: "s1", verdict: verdict, usage: usage), at: Samples.time(5)))
        #expect(step.state == .failed && step.finished == Samples.time(5))
        #expect(step.verdict == verdict && step.usage == usage)
    }

    @Test func `a step that was interrupted has not ended`() {
        var step = step()
        step.apply(RunEvent(.stepStarted(step: "s1"), at: Samples.time(1)))
        let interrupted = Verdict(.interrupted, "stopped")
        step.apply(RunEvent(.stepEnded(step: "s1", verdict: interrupted, usage: nil), at: Samples.time(2)))
        #expect(step.state == .pending && step.started == nil && step.finished == nil)
    }

    @Test func `a step that never starts is skipped`() {
        var step = step()
        let skipped = Verdict(.dependencyFailed, "`Load` failed")
        step.apply(RunEvent(.stepEnded(step: "s1", verdict: skipped, usage: nil), at: Samples.time(2)))
        #expect(step.state == .skipped && step.started == nil && step.finished == Samples.time(2))
    }

    @Test func `an event is one line, and is read as it was written`() throws {
        let usage = RunEvent.Usage(wallSeconds: 0.25, cpuSeconds: nil, memoryPeakBytes: 7)
        let events = [
            RunEvent(.runStarted(attempt: 2), at: Samples.time(0)),
            RunEvent(.stepStarted(step: "a\nb/ü"), at: Samples.time(1)),
            RunEvent(.stepEnded(step: "s", verdict: verdict, usage: usage), at: Samples.time(2)),
            RunEvent(.stepEnded(step: "s", verdict: verdict, usage: nil), at: Samples.time(3)),
            RunEvent(.runEnded(verdict: verdict), at: Samples.time(4)),
        ]
        let lines = try events.map { try #require($0.line) }
        for line in lines { #expect(line.count { $0 == UInt8(ascii: "\n") } == 1 && line.last == UInt8(ascii: "\n")) }
        let first = #"{"attempt":2,"time":"2027-01-15T08:00:00.000Z","type":"run_started"}"# + "\n"
        #expect(String(decoding: lines[0], as: UTF8.self) == first)
        for (event, line) in zip(events, lines) {
            #expect(try decoded(RunEvent.self, String(decoding: line, as: UTF8.self)) == event)
        }
    }

    @Test func `an event with a number that JSON does not have is no line`() {
        let usage = RunEvent.Usage(wallSeconds: .infinity)
        #expect(RunEvent(.stepEnded(step: "s", verdict: verdict, usage: usage), at: Samples.time(0)).line == nil)
    }

    @Test func `lines are read however they come, and foreign ones are passed over`() throws {
        let event = RunEvent(.runEnded(verdict: verdict), at: Samples.time(4))
        let line = try #require(event.line)
        let bytes = line + Array("nonsense\n{\"type\":\"run_flown\"}\n".utf8) + line + line.dropLast()
        for size in [1, 7, bytes.count] {
            var reader = RunEventReader()
            var found: [RunEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                found += reader.read(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(found == [event, event])
            #expect(reader.passedOver == 2)
        }
    }

    @Test("no step outlives its run") func endOfRun() {
        let lost = Verdict(.supervisorLost, "the supervisor of the run was killed", remedy: "run it again")
        let time = Timestamp(seconds: 20)
        var running = step()
        running.apply(RunEvent(.stepStarted(step: "s1"), at: Timestamp(seconds: 10)))
        var pending = step()
        running.end(withRun: lost, at: time)
        pending.end(withRun: lost, at: time)
        #expect(running.state == .failed && running.finished == time)
        #expect(running.verdict?.cause == .supervisorLost && running.verdict?.remedy == "run it again")
        #expect(running.verdict?.summary.contains("`Load` ended with its run: the supervisor") == true)
        #expect(pending.state == .skipped && pending.verdict?.summary.contains("was not started") == true)

        // What has an end of its own keeps it; a run that goes on later takes its steps along.
        var again = running
        again.end(withRun: Verdict(.cancelled, "the run was cancelled"), at: Timestamp(seconds: 30))
        #expect(again == running)
        var waiting = step()
        waiting.end(withRun: Verdict(.interrupted, "the run was interrupted"), at: time)
        #expect(waiting == step())
        waiting.apply(RunEvent(.stepStarted(step: "s1"), at: time))
        waiting.end(withRun: Verdict(.interrupted, "the run was interrupted"), at: time)
        #expect(waiting.state == .pending && waiting.started == nil && waiting.finished == nil)
    }
}
