import Isolation
import Testing

@testable import Runs

@Suite("What a new attempt keeps") struct KeptResultsTests {
    private static let success = Verdict(.succeeded, "fine"), failure = Verdict(.exit, "not fine")
    private static let steps = [("a", []), ("b", ["a"]), ("c", ["b"]), ("d", [])].map {
        RunSpec.Step(uuid: $0.0, title: $0.0, file: "/project-dir/\($0.0)", environment: "e", parents: $0.1)
    }

    private static func events(_ occurrences: RunEvent.Occurrence...) -> [RunEvent] {
        occurrences.enumerated().map { RunEvent($0.element, at: Timestamp(seconds: Double($0.offset))) }
    }

    private static func sealed(_ layer: String?, _ steps: String..., boot: String = "now") -> RunEvent.Occurrence {
        .keeping(.sealed(RunEvent.Seal(layer: layer, steps: steps, metricsBytes: 7, boot: boot)))
    }

    private static func ended(_ step: String, _ verdict: Verdict = success) -> RunEvent.Occurrence {
        .stepEnded(step: step, verdict: verdict, usage: RunEvent.Usage(wallSeconds: 2))
    }

    /// `a` is set aside, `b` is not, `c` fails.
    private static let first = events(
        .runStarted(attempt: 1), .stepStarted(step: "a"), ended("a"), sealed("1", "a"), .stepStarted(step: "b"),
        ended("b"), .stepStarted(step: "c"), ended("c", failure), .runEnded(verdict: failure))

    private static func results(
        _ attempts: [RunEvent]..., ignored: Int = 0, isSynced: Bool = false, boot: String = "now"
    ) -> KeptResults {
        KeptResults(
            attempts.enumerated().map { .init(number: $0.offset + 1, events: $0.element, isSynced: isSynced) },
            ignored: ignored, steps: steps, boot: boot)
    }

    @Test func `a first attempt keeps nothing, and needs no reasons`() {
        let kept = Self.results()
        #expect(kept == KeptResults() && kept.reasons.isEmpty)
    }

    @Test func `what was set aside is kept as it was, and every other step has its reason`() {
        let kept = Self.results(Self.first)
        #expect(kept.layers == ["attempts/1/layers/1"])
        #expect(kept.steps.map(\.step) == ["a"] && kept.steps.first?.attempt == 1)
        #expect(kept.steps.first?.started == Timestamp(seconds: 1))
        #expect(kept.steps.first?.finished == Timestamp(seconds: 2))
        #expect(kept.steps.first?.usage?.wallSeconds == 2)
        #expect(kept.metricsAttempt == 1 && kept.metricsBytes == 7)
        #expect(kept.reasons["b"]?.contains("succeeded in attempt 1") == true)
        #expect(kept.reasons["c"] == "it failed in attempt 1")
        #expect(kept.reasons["d"] == "it had not been started in attempt 1")
    }

    @Test func `what a kept attempt has kept is kept again, from where it ran`() {
        let result = Self.results(Self.first).steps[0]
        let second = Self.events(
            .runStarted(attempt: 2),
            .keeping(.begun(.init(layers: ["attempts/1/layers/1"], reasons: [:], metricsBytes: 7))),
            .keeping(.kept(result)), .stepStarted(step: "b"), Self.ended("b"), Self.sealed("1", "b"),
            .stepStarted(step: "c"))
        let kept = Self.results(Self.first, second)
        #expect(kept.layers == ["attempts/1/layers/1", "attempts/2/layers/1"])
        #expect(kept.steps.map(\.attempt) == [1, 2])
        #expect(kept.reasons["c"] == "it was running when attempt 2 ended")
        // An attempt that could not even begin says nothing of the results.
        #expect(Self.results(Self.first, second, []).layers == kept.layers)
    }

    @Test func `attempts that are to be ignored are, and it is said`() {
        let kept = Self.results(Self.first, ignored: 1)
        #expect(kept.layers.isEmpty && kept.steps.isEmpty)
        #expect(kept.reasons["a"] == "everything runs again, as asked")
        // Nor does an attempt that could not begin bring them back.
        #expect(Self.results(Self.first, [], ignored: 1).steps.isEmpty)
    }

    @Test func `what may not have reached the disk before another boot is not kept`() {
        let kept = Self.results(Self.first, boot: "later")
        #expect(kept.steps.isEmpty && kept.reasons["a"]?.contains("restarted") == true)
        #expect(Self.results(Self.first, isSynced: true, boot: "later").steps.map(\.step) == ["a"])
    }

    @Test func `a step whose parent is not kept is not kept`() {
        let odd = Self.events(.runStarted(attempt: 1), Self.ended("b"), Self.sealed("1", "a", "b"))
        let kept = Self.results(odd)
        #expect(kept.steps.isEmpty && kept.reasons["b"] == "a step before it runs again")
    }

    @Test(arguments: [
        "../../../etc", "attempts/1/layers/../../..", "/etc", "attempts/x/layers/1", "attempts/1/layers/",
    ])
    func `nothing but a layer of an attempt is taken for one`(_ path: String) {
        let begun = RunEvent.Keeping.begun(.init(layers: [path], reasons: [:], metricsBytes: 0))
        #expect(Self.results(Self.events(.runStarted(attempt: 1), .keeping(begun))).layers.isEmpty)
        #expect(Self.results(Self.events(.runStarted(attempt: 1), Self.sealed(path, "a"))).layers.isEmpty)
    }

    @Test func `events about kept results are read as they were written`() throws {
        let result = Self.results(Self.first).steps[0]
        let all: [RunEvent.Keeping] = [
            .begun(.init(layers: ["attempts/1/layers/1"], reasons: ["b": "why"], metricsBytes: 3)), .kept(result),
            .sealed(.init(layer: nil, steps: ["a"], metricsBytes: 3, boot: "x")), .ended(reason: "full"),
        ]
        for keeping in all {
            let event = RunEvent(.keeping(keeping), at: Timestamp(seconds: 1))
            let line = try #require(JSONFile.encode(event))
            #expect(JSONFile.decode(RunEvent.self, line) == event)
        }
    }
}
