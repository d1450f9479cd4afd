package import Isolation

/// What a new attempt at a run takes over from those before it, and why each step is kept or runs.
///
/// Pure: made of what the attempts have recorded. Results count only when what their steps had written was set aside
/// while no step ran, so that nothing of a step that did not finish is among it.
package struct KeptResults: Sendable, Hashable {
    /// What is known of an earlier attempt.
    package struct Attempt: Sendable {
        /// Its number.
        package var number: Int
        /// What it has recorded.
        package var events: [RunEvent]
        /// Whether all of it has reached the disk.
        package var isSynced: Bool

        /// Describes an attempt.
        package init(number: Int, events: [RunEvent], isSynced: Bool) {
            self.number = number
            self.events = events
            self.isSynced = isSynced
        }
    }

    /// Layers of the project, the oldest first, by their paths in the run's directory.
    package private(set) var layers: [String] = []
    /// The steps that are kept, in the order of the pipeline.
    package private(set) var steps: [RunEvent.Kept] = []
    /// Why the others run, by uuid; empty in a first attempt.
    package private(set) var reasons: [String: String] = [:]
    /// The attempt from whose metrics `metricsBytes` are taken over; nil for none.
    package private(set) var metricsAttempt: Int?
    package private(set) var metricsBytes: Int64 = 0

    /// Nothing: a first attempt.
    package init() {}

    /// Decides from the attempts, in ascending order; those up to the number `ignored` do not count, as somebody asked.
    package init(_ attempts: [Attempt], ignored: Int, steps: [RunSpec.Step], boot: String) {
        guard let last = attempts.last?.number else { return }
        var reason = "no step had been started in attempt \(last)"
        if last <= ignored { reason = "everything runs again, as asked" }
        var base: (attempt: Attempt, state: State)?
        for attempt in attempts where attempt.number > ignored {
            guard let state = State(attempt) else { continue }
            guard attempt.isSynced || state.boots.allSatisfy({ $0 == boot }) else {
                reason = "the host was restarted before the results of attempt \(attempt.number) were safe on its disk"
                continue
            }
            base = (attempt, state)
        }
        guard let (attempt, state) = base else {
            for step in steps { reasons[step.uuid] = reason }
            return
        }
        take(state, of: attempt, steps: steps)
    }

    private mutating func take(_ state: State, of attempt: Attempt, steps: [RunSpec.Step]) {
        layers = state.layers
        metricsAttempt = attempt.number
        metricsBytes = state.metricsBytes
        var kept: Set<String> = []
        for step in steps {
            let rests = step.parents.allSatisfy { kept.contains($0) }
            if rests, let result = state.kept[step.uuid] {
                kept.insert(step.uuid)
                self.steps.append(result)
            } else {
                reasons[step.uuid] =
                    state.kept[step.uuid] == nil
                    ? state.reason(step.uuid, attempt.number) : "a step before it runs again"
            }
        }
    }
}

extension KeptResults {
    /// Whether a path is `attempts/N/layers/K`, both numbers: nothing else that was recorded is taken for a layer.
    static func isLayer(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "attempts" && parts[2] == "layers" && isNumber(parts[1])
            && isNumber(parts[3])
    }

    private static func isNumber(_ text: Substring) -> Bool {
        (1...9).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}

/// What one attempt has left.
private struct State {
    var layers: [String] = []
    var kept: [String: RunEvent.Kept] = [:]
    var metricsBytes: Int64 = 0
    var boots: Set<String> = []
    private var verdicts: [String: Verdict] = [:]
    private var started: Set<String> = []
    private var sealingEnded: String?

    /// Nil where nothing was begun, or where what was recorded is of no use.
    init?(_ attempt: KeptResults.Attempt) {
        var ends: [String: RunEvent.Kept] = [:]
        var times: [String: Timestamp] = [:]
        var isBegun = false
        for event in attempt.events {
            switch event.occurrence {
            case .runStarted: isBegun = true
            case .stepStarted(let step):
                started.insert(step)
                times[step] = event.time
            case .stepEnded(let step, let verdict, let usage):
                verdicts[step] = verdict
                ends[step] = RunEvent.Kept(
                    step: step, attempt: attempt.number, started: times[step], finished: event.time, verdict: verdict,
                    usage: usage)
            case .keeping(.begun(let beginning)):
                layers = beginning.layers
                metricsBytes = beginning.metricsBytes
            case .keeping(.kept(let result)): kept[result.step] = result
            case .keeping(.sealed(let seal)):
                boots.insert(seal.boot)
                metricsBytes = seal.metricsBytes
                if let layer = seal.layer { layers.append("attempts/\(attempt.number)/layers/\(layer)") }
                for step in seal.steps where ends[step]?.verdict.cause == .succeeded { kept[step] = ends[step] }
            case .keeping(.ended(let reason)): sealingEnded = reason
            case .runEnded: break
            }
        }
        guard isBegun, layers.allSatisfy(KeptResults.isLayer) else { return nil }
    }

    /// Why a step runs that is not kept.
    func reason(_ step: String, _ attempt: Int) -> String {
        guard let verdict = verdicts[step] else {
            return started.contains(step)
                ? "it was running when attempt \(attempt) ended" : "it had not been started in attempt \(attempt)"
        }
        switch verdict.cause {
        case .succeeded:
            return "it succeeded in attempt \(attempt), but what it wrote was not set apart from other steps: "
                + (sealingEnded ?? "there was no moment without a running step after it")
        case .cancelled, .interrupted:
            return started.contains(step)
                ? "it was stopped in attempt \(attempt)" : "it had not been started in attempt \(attempt)"
        case .dependencyFailed: return "it had not been started in attempt \(attempt)"
        default: return "it failed in attempt \(attempt)"
        }
    }
}

/// Where the result of a step in an attempt comes from.
package enum StepOrigin: Sendable, Hashable, CustomStringConvertible {
    /// From the attempt of that number.
    case kept(from: Int)
    /// It ran, or is to run, for this reason.
    case runs(because: String)

    package var description: String {
        switch self {
        case .kept(let attempt): "kept from attempt \(attempt)"
        case .runs(let reason): reason
        }
    }
}
