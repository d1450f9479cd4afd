import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
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
              cloche logs sweep/3/train --raw > train.log
            """)

    @Argument(help: "JOB/7 or JOB/7/train; JOB means its first run.") var reference: String
    @Flag(name: .shortAndLong, help: "Go on until the run has ended.") var follow = false
    @Option(help: "Only this step.") var step: String?
    @Option(help: "Of this attempt, from 1 on; by default of the last one.") var attempt: Int?
    @Flag(help: "Begin each line with the time at which it came.") var timestamps = false
    @Flag(help: "Print the bytes as they are.") var raw = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        let run = try target.run ?? store.database.run(0, of: target.job)
        var readers: [String: LogReader] = [:]
        while true {
            let record = try store.database.run(run.address)
            let steps = try store.database.steps(of: run.address)
            let wanted =
                try step.map { [try Target.step($0, of: run.address, in: store)] } ?? target.step.map { [$0] } ?? steps
            guard let attempt = try attempt(of: run.address, in: store) else {
                if follow, !record.state.isFinal, JobLock.isHeld(store, run.address.job) {
                    _ = try Syscall.poll([], milliseconds: 100); continue
                }
                throw CommandFailure(
                    .notFound, "read the logs: the run has not started", hint: "it is \(record.state.rawValue)")
            }
            let ended = record.state.isFinal
            for step in wanted.sorted(by: {
                ($0.started?.milliseconds ?? .max, $0.position) < ($1.started?.milliseconds ?? .max, $1.position)
            }) {
                if readers[step.uuid] == nil {
                    readers[step.uuid] = LogReader(
                        attempt.logPath(step: step.uuid), step: step.title, isAlone: wanted.count == 1,
                        colours: context.streams.output.styling.colours)
                }
                try readers[step.uuid]?.print(self, context)
            }
            if !follow || ended || !JobLock.isHeld(store, run.address.job) { break }
            _ = try Syscall.poll([], milliseconds: 100)
        }
    }

    private func attempt(of run: RunAddress, in store: Store) throws -> AttemptDirectory? {
        let directory = store.runDirectory(run)
        let attempts = directory.attempts()
        guard let attempt else { return attempts.last.map { directory.attempt($0) } }
        guard attempts.contains(attempt) else {
            throw CommandFailure(
                .notFound, "read the logs: there is no attempt \(attempt) at the run",
                hint: attempts.isEmpty
                    ? "it has not started" : "there are \(attempts.map(String.init).joined(separator: ", "))"
            )
        }
        return directory.attempt(attempt)
    }
}

/// Reads one log from where it stopped.
struct LogReader {
    private let path: FilePath
    private let step: String
    private let isAlone: Bool
    private var offset: UInt64 = 0
    private var sanitizer: LogSanitizer
    private var rest: [UInt8] = []

    init(_ path: FilePath, step: String, isAlone: Bool, colours: Bool) {
        self.path = path
        self.step = step
        self.isAlone = isAlone
        sanitizer = LogSanitizer(colours: colours, prefix: isAlone ? "" : "\(step) | ", prefixStyle: .dim)
    }

    mutating func print(_ options: LogsCommand, _ context: CommandContext) throws {
        guard let file = try? Syscall.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            try Syscall.fstat(file.number).isRegular
        else { return }
        _ = lseek(file.number, off_t(offset), SEEK_SET)
        let times = options.timestamps || options.output.json ? LogTimes(path) : nil
        while true {
            let bytes = try Syscall.read(file.number, upTo: 1 << 16)
            if bytes.isEmpty { return }
            let start = offset
            offset += UInt64(bytes.count)
            if options.raw {
                do throws(SyscallError) {
                    try Syscall.writeAll(1, bytes)
                } catch {
                    if let failure = CommandFailure(writing: "standard output", error) { throw failure }
                    throw ExitCode(0)
                }
            } else if let times {
                try printLines(bytes, from: start, times, options, context)
            } else {
                let text = sanitizer.feed(bytes)
                if !text.isEmpty { try context.print(String(text.hasSuffix("\n") ? text.dropLast() : text[...])) }
            }
        }
    }

    private mutating func printLines(
        _ bytes: [UInt8], from start: UInt64, _ times: LogTimes, _ options: LogsCommand, _ context: CommandContext
    ) throws {
        var position = start - UInt64(rest.count)
        var parts = (rest + bytes).split(separator: 0x0A, omittingEmptySubsequences: false)
        rest = Array(parts.removeLast())
        for part in parts {
            var line = LogSanitizer(colours: false)
            let text = (line.feed(part) + line.finish()).filter { $0 != "\n" }
            let time = times.time(at: position)
            position += UInt64(part.count) + 1
            if options.output.json {
                struct Line: Encodable {
                    var time: Timestamp?
                    var step: String
                    var line: String
                }
                try context.print(json: Line(time: time, step: step, line: text))
            } else {
                let stamp = time.map(\.description) ?? ""
                try context.print("\(stamp)  \(isAlone ? "" : printable(step) + " | ")\(text)")
            }
        }
    }
}

/// The index beside a log: when the bytes at an offset came.
struct LogTimes {
    private var records: [(offset: UInt64, time: Timestamp)] = []

    init(_ log: FilePath) {
        let path = log.removingLastComponent().appending((log.stem ?? "") + ".idx")
        guard let bytes = try? Syscall.readFile(path, limit: 64 << 20) else { return }
        for index in stride(from: 0, to: bytes.count - 15, by: 16) {
            func word(_ at: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64($1 * 8) } }
            records.append((word(index), Timestamp(milliseconds: Int64(clamping: word(index + 8)))))
        }
    }

    func time(at offset: UInt64) -> Timestamp? {
        var low = 0
        var high = records.count
        while low < high {
            let middle = (low + high) / 2
            if records[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? records[low - 1].time : records.first?.time
    }
}
