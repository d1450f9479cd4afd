package import Isolation
import PlainText

/// What the database knows of a step of a run, in the newest attempt that said something of it.
package struct StepRecord: Sendable, Hashable {
    /// The identity of the step in its pipeline.
    package var uuid: String
    /// What the step is called.
    package var title: String
    /// Its place in the order of the pipeline, from 0.
    package var position: Int
    /// The attempt that this is about.
    package var attempt: Int
    /// Where the step is in its life.
    package var state = RunState.pending
    /// With what it ended; nil before its end.
    package var verdict: Verdict?
    /// When its command was started; nil while it is to be started again.
    package var started: Timestamp?
    /// When it ended.
    package var finished: Timestamp?
    /// What it used; nil where that was not measured.
    package var usage: RunEvent.Usage?

    /// The record of a step that has not started.
    package init(uuid: String, title: String, position: Int, attempt: Int) {
        self.uuid = uuid
        self.title = title
        self.position = position
        self.attempt = attempt
    }

    /// Takes over what `event` says of this step; other events change nothing.
    package mutating func apply(_ event: RunEvent) {
        switch event.occurrence {
        case .stepStarted(uuid):
            state = .running
            started = event.time
            finished = nil
            verdict = nil
        case .stepEnded(uuid, let verdict, let usage):
            state = RunState(after: verdict.cause)
            finished = state.isFinal ? event.time : nil
            // What is to be started again has not started.
            if state == .pending { started = nil }
            self.verdict = verdict
            self.usage = usage
        case .keeping(.kept(let kept)) where kept.step == uuid:
            state = .succeeded
            started = kept.started
            finished = kept.finished
            verdict = kept.verdict
            usage = kept.usage
        case .runStarted, .stepStarted, .stepEnded, .keeping, .runEnded:
            break
        }
    }
    /// Ends a step of whose end nobody has told although its run ended with `verdict` at `time`: the supervisor was lost,
    /// or nothing could be set up.
    package mutating func end(withRun verdict: Verdict, at time: Timestamp) {
        let next = RunState(after: verdict.cause)
        switch (state, next) {
        case (.running, .failed), (.running, .cancelled), (.running, .pending):
            state = next
            finished = next.isFinal ? time : nil
            if next == .pending { started = nil }
            self.verdict = Verdict(
                verdict.cause, "step `\(printable(title))` ended with its run: \(verdict.summary)",
                remedy: verdict.remedy)
        case (.pending, .failed), (.pending, .cancelled):
            let cause: Verdict.Cause = next == .cancelled ? .cancelled : .dependencyFailed
            state = RunState(after: cause)
            finished = time
            let story = self.verdict == nil ? "was not started" : "was interrupted, and not started again"
            self.verdict = Verdict(cause, "step `\(printable(title))` \(story): \(verdict.summary)")
        default: break
        }
    }
}
