import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Print what the steps of a run printed.",
        discussion: """
            Examples:
              cloche logs sweep/3
              cloche logs -f sweep/3 --step train
              cloche logs sweep/3 --tail 20 --timestamps
              cloche logs sweep/3/train --raw > train.log
            """)

    @Argument(
        help: "JOB/7 or JOB/7/train; JOB means its first run, or the last that has begun where it has a schedule.",
        completion: Completion.references) var reference: String
    @Flag(name: .shortAndLong, help: "Go on until the run has ended, with the attempts that follow.") var follow = false
    @Option(name: .customLong("step"), help: "Only this step, or these.", completion: Completion.stepsOfReference)
    var names: [String] = []
    @Option(help: "Of this attempt alone, from 1 on; by default of the last one and, for steps kept in it, of theirs.")
    var attempt: Int?
    @Option(help: "Begin with the last lines of each step, so many.") var tail: Int?
    @Option(help: "Begin with what came since a time, or so long ago: 2026-03-01T12:00:00Z, 15m.") var since: String?
    @Option(help: "Only lines that contain this text.") var grep: String?
    @Flag(help: "Begin each line with the time at which it came.") var timestamps = false
    @Flag(help: "Print the bytes as they are.") var raw = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let selection = try selection()
        if let attempt, attempt < 1 { throw ValidationError("--attempt is a number from 1 on") }
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        let run = try target.run ?? Self.run(of: target.job, in: store, context)
        // By the log's path: each attempt at a step has its own.
        var readers: [FilePath: LogReader] = [:]
        var shown: Int?
        while true {
            let record = try store.database.run(run.address)
            let steps = try store.database.steps(of: run.address)
            let named = Set(try names.map { try Target.step($0, of: run.address, in: store).uuid })
            let wanted = (named.isEmpty ? target.step.map { [$0] } ?? steps : steps.filter { named.contains($0.uuid) })
                .sorted {
                    ($0.started?.milliseconds ?? .max, $0.position) < ($1.started?.milliseconds ?? .max, $1.position)
                }
            let isDriven = store.isDriven(try store.database.job(run.address.job))
            let attempts = try attempts(of: run.address, since: shown, in: store)
            if attempts.isEmpty {
                if follow, !record.state.isFinal, isDriven {
                    _ = try Syscall.poll([], milliseconds: 100)
                    continue
                }
                throw CommandFailure(
                    .notFound, "read the logs: the run has not started", hint: "it is \(record.state.rawValue)")
            }
            let isLast = !follow || record.state.isFinal || !isDriven
            for number in attempts {
                // What comes in an attempt that is followed from its beginning is new.
                let selection = number == shown ?? number ? selection : selection.withoutTail
                for step in wanted {
                    let log = log(of: step.uuid, run.address, number, in: store)
                    var reader =
                        readers[log]
                        ?? LogReader(
                            log, selection, step: step.title, isAlone: wanted.count == 1,
                            colours: context.streams.output.styling.colours)
                    try reader.read { try context.write($0) }
                    if isLast || number != attempts.last { try reader.finish { try context.write($0) } }
                    readers[log] = reader
                }
            }
            shown = attempts.last
            if isLast { break }
            _ = try Syscall.poll([], milliseconds: 100)
        }
    }

    /// The run that a job alone means, told where there are others: some may have been removed, or not kept.
    private static func run(of job: JobRecord, in store: Store, _ context: CommandContext) throws -> RunRecord {
        let runs = try store.database.outlines(of: job.uuid)
        let meant = job.schedule == nil ? runs.first : runs.last { $0.attempt > 0 } ?? runs.first
        if let meant, runs.count > 1 {
            context.say(
                "note: this is run \(meant.number) of \(counted(runs.count, "run")); `cloche logs "
                    + "\(shellWord(job.name.description))/NUMBER` prints another one")
        }
        return try store.database.run(meant?.number ?? 0, of: job)
    }

    /// The log of a step that was kept is in the attempt in which it ran.
    private func log(of step: String, _ run: RunAddress, _ number: Int, in store: Store) -> FilePath {
        let shown = store.runDirectory(run).attempt(number)
        let owner = attempt == nil ? store.runDirectory(run).attempt(withLogOf: step, shownBy: shown) : shown
        return owner.logPath(step: step)
    }

    private func selection() throws -> LogSelection {
        if let tail, tail < 0 { throw ValidationError("--tail needs a number of lines") }
        if raw, timestamps || output.json { throw ValidationError("--raw prints nothing but the log's own bytes") }
        return LogSelection(
            tail: tail, since: try since.map(Self.time), text: grep.map { Array($0.utf8) },
            form: raw ? .raw : output.json ? .json : timestamps ? .timestamps : .text)
    }

    private static func time(_ text: String) throws -> Timestamp {
        if let time = Timestamp(text) { return time }
        guard let seconds = try? JobSettings.seconds(text) else {
            throw ValidationError("`\(printable(text))` is no time; write 2026-03-01T12:00:00Z, 90s, 15m or 2h")
        }
        return Timestamp(seconds: Syscall.wallClockSeconds() - seconds)
    }

    /// The attempt that is asked for, or the last one and those that have begun since `shown` was; none before the first.
    private func attempts(of run: RunAddress, since shown: Int?, in store: Store) throws -> [Int] {
        let attempts = store.runDirectory(run).attempts()
        guard let attempt else {
            return (shown ?? attempts.last).map { first in attempts.filter { $0 >= first } } ?? []
        }
        guard attempts.contains(attempt) else {
            throw CommandFailure(
                .notFound, "read the logs: there is no attempt \(attempt) at the run",
                hint: attempts.isEmpty
                    ? "it has not started" : "there are \(attempts.map(String.init).joined(separator: ", "))"
            )
        }
        return [attempt]
    }
}
