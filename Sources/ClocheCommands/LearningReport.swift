import Isolation
import PlainText
import Policies
import SandboxRuntime
import TerminalOutput

/// What was learnt, and what was left out.
struct LearningReport: Encodable {
    var policy: String
    /// Different calls that were made, without those of every program, and those of them that were made once.
    var calls: Int, once: Int
    /// What the document changes of the policy that it extends.
    var differences: [PolicyDifference]
    /// What is dangerous and was granted, or was not.
    var granted: [PolicyLesson.Question], leftOut: [PolicyLesson.Question]
    /// Calls beyond the list of the policy, and those of its list that were not made.
    var beyond: [String], unused: [String]
    var notes: [String]
    /// What the administrator's ceiling would take from it.
    var clipped: [String]
    /// Why what was recorded did not succeed, where it did not.
    var failure: Verdict?
    var document: String

    init(
        _ lesson: PolicyLesson, granted: Set<String>, _ learnt: SandboxPolicy, failure: Verdict?, document: String
    ) {
        policy = lesson.policy.name
        (calls, once) = lesson.counts
        differences = PolicyDifference.between(lesson.policy, learnt)
        self.granted = lesson.questions.filter { granted.contains($0.name) }
        leftOut = lesson.questions.filter { !granted.contains($0.name) }
        (beyond, unused, notes) = (lesson.beyond, lesson.unused, lesson.notes)
        clipped = learnt.clipped ?? []
        self.failure = failure
        self.document = document
    }

    private enum CodingKeys: String, CodingKey {
        case policy, calls, once, differences, granted
        case leftOut = "left_out"
        case beyond, unused, notes, clipped, failure, document
    }

    /// Tells it to people.
    func tell(_ context: CommandContext) {
        context.say(
            "\(counted(calls, "system call")) beside those of every program; \(once) seen once, which may be missing in "
                + "another run")
        for (effect, title) in [(PolicyDifference.Effect.less, "allows less"), (.more, "allows more")] {
            for difference in differences where difference.effect == effect {
                let what =
                    difference.calls.count > Self.mostCalls
                    ? counted(difference.calls.count, "call") : difference.calls.joined(separator: " ")
                context.say(
                    "  \(title): \(difference.key): \(difference.before) -> \(difference.after)"
                        + (what.isEmpty ? "" : ": \(what)"))
            }
        }
        if !beyond.isEmpty { context.say("beyond what `\(policy)` lists: \(beyond.joined(separator: " "))") }
        if !unused.isEmpty { context.say("listed by `\(policy)` and not used: \(unused.joined(separator: " "))") }
        for question in granted { context.say("granted: \(printable(question.name))") }
        for question in leftOut {
            context.say(
                "left out: \(printable(question.seen)): \(printable(question.reason))\n"
                    + "  hint: if that is wanted, add `--allow \(shellWord(question.name))`")
        }
        for note in notes { context.say("note: \(printable(note))") }
        for clip in clipped { context.say("note: the administrator's ceiling takes \(printable(clip))") }
        if let failure { context.say("warning: learnt from what did not succeed: \(printable(failure.summary))") }
    }

    private static let mostCalls = 12
}

extension PolicyEvidence {
    /// What several recorded sandboxes come to.
    init(_ sandboxes: [RecordedSandbox]) {
        self.init()
        for sandbox in sandboxes {
            recordings.append(sandbox.recording)
            refused += sandbox.denials.map { denial in
                Refused(
                    call: String(denial.attempt.prefix { $0 != "(" }), group: denial.rule, count: denial.count,
                    summary: denial.summary())
            }
            unroutedPackets += min(sandbox.unroutedDatagrams, UInt64(Int32.max))
            peakMemory = Self.most(peakMemory, sandbox.peakMemory)
            peakProcesses = Self.most(peakProcesses, sandbox.peakProcesses)
            longestSeconds = Self.most(longestSeconds, sandbox.seconds)
            mostProcessorSeconds = Self.most(mostProcessorSeconds, sandbox.cpuSeconds)
            mostOutputBytes = Self.most(mostOutputBytes, sandbox.outputBytes)
        }
    }

    private static func most<Value: Comparable>(_ first: Value?, _ second: Value?) -> Value? {
        [first, second].compactMap(\.self).max()
    }
}
