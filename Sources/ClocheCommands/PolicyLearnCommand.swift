import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Policies
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct PolicyLearnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Propose the smallest policy that allows what runs did, or what a command does.",
        discussion: """
            With --from of runs that were made with `--record`; with a command after `--` by running it, contained by the \
            policy as ever. The document goes to standard output, what it changes to standard error. Nothing is put into \
            force: `cloche policy apply FILE` does that.

            What is known to be dangerous is left out unless it is granted by name, with --allow, or with `y` on a \
            terminal: calls that `default` refuses, a network where there was none, private addresses.
            Exit code 0: everything is in it; 1: something was left out, or the command did not succeed.

            Examples:
              cloche policy learn default -- python3 train.py
              cloche run main.orchest --record --name trial
              cloche policy learn default --from trial/0 --output lab.yaml
              cloche policy learn lab --from trial/3      what a run does beyond it
            """)
    @Argument(help: "The policy that the document extends.", completion: Completion.policies) var policy: String
    @Option(
        name: .customLong("from"),
        help: "A recorded run or step: JOB/7, JOB/7/STEP, or JOB where it has one run; may be given several times.")
    var runs: [String] = []
    @Option(name: .customLong("allow"), help: "Grant something dangerous by its name; may be given several times.")
    var allowed: [String] = []
    @Option(name: .customLong("output"), help: "Write the document to a new file.") var file: String?
    @Option(help: "The environment of the command: a base, or the uuid of one of a project's.")
    var environment = SandboxWishes().environment
    @Option(help: "A directory that is shown to the command, with throw-away changes, at /project-dir.")
    var project: String?
    @Option(
        name: .customLong("bind-ro"), help: "Show the command a file or directory of the host: PATH or PATH:INSIDE.")
    var binds: [String] = []
    @Option(name: .customLong("env-var"), help: "Set a variable of the command: NAME=VALUE.") var variables: [String] =
        []
    @OptionGroup var output: OutputOptions
    @Argument(parsing: .postTerminator, help: "A command and its arguments, after `--`.") var command: [String] = []

    func validate() throws {
        if runs.isEmpty == command.isEmpty {
            throw ValidationError("name recorded runs with --from, or a command after `--`")
        }
    }

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        let base = try catalogue.policy(named: policy)
        guard base.name != BuiltInPolicies.build.name else {
            throw CommandFailure(
                .usage, "learn from `build`: it is for builds of environments alone and cannot be extended",
                hint: "name another policy")
        }
        // Before the work, which would be lost.
        if let file, Syscall.exists(FilePath(file)) {
            throw CommandFailure(
                .alreadyExists, "write the policy to `\(file)`: there is such a file already",
                hint: "name a new file: none is replaced")
        }
        let recorded: [RecordedSandbox]
        if command.isEmpty { recorded = try recordings(context) } else { recorded = [try record(base, context)] }
        let failed = recorded.first { $0.verdict.cause != .succeeded }
        let lesson = PolicyLesson(base, from: PolicyEvidence(recorded))
        try checkGrants(lesson)
        let granted = decide(lesson, context)
        let text = lesson.document(granting: granted)
        let resolved = try catalogue.resolve(reading: Array(text.utf8), name: "learnt", file: file ?? "the proposal")
        let report = LearningReport(lesson, granted: granted, resolved.policy, failure: failed?.verdict, document: text)
        if let file { try write(text, to: file) }
        if output.json {
            try context.print(json: report)
        } else {
            report.tell(context)
            if file == nil { try context.write(Array(text.utf8)) }
        }
        if let file { context.say("written to `\(printable(file))`; put it into force with `cloche policy apply`") }
        if failed != nil || !report.leftOut.isEmpty { throw ExitCode(1) }
    }

    /// A name that nothing is known by is a mistake, and no grant for later.
    private func checkGrants(_ lesson: PolicyLesson) throws {
        let names = lesson.questions.map(\.name)
        guard let unknown = allowed.first(where: { !names.contains($0) }) else { return }
        throw CommandFailure(
            .usage, "grant `\(unknown)`: nothing of that name was wanted",
            hint: names.isEmpty ? "leave --allow out" : "what was wanted: \(names.joined(separator: ", "))")
    }

    /// What is granted: by name, or by an answer to each question.
    private func decide(_ lesson: PolicyLesson, _ context: CommandContext) -> Set<String> {
        var granted = Set(allowed)
        let confirmation = Confirmation.standard(isGranted: false, streams: context.streams)
        for question in lesson.questions where !granted.contains(question.name) {
            // Nobody to ask, and any other answer, is no.
            let details = ["\(question.seen): \(question.reason)"]
            do throws(CommandFailure) {
                try confirmation.require("allow `\(question.name)`?", details: details)
                granted.insert(question.name)
            } catch {
                continue
            }
        }
        return granted
    }

    private func write(_ text: String, to file: String) throws {
        do throws(SyscallError) {
            let flags: CInt = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
            let new = try Syscall.open(FilePath(file), flags, mode: 0o644)
            try Syscall.writeAll(new.number, Array(text.utf8))
        } catch {
            let exists = error.errno == .fileExists
            let code: FailureCode = exists ? .alreadyExists : .failed
            let hint = exists ? "name a new file: none is replaced" : "name another place"
            throw CommandFailure(code, "write the policy to `\(file)`: \(error)", hint: hint)
        }
    }

    // MARK: - What is learnt from

    private func recordings(_ context: CommandContext) throws -> [RecordedSandbox] {
        let store = try context.openStore()
        var recorded: [RecordedSandbox] = []
        for name in runs { recorded += try recordings(of: name, in: store) }
        return recorded
    }

    private func recordings(of name: String, in store: Store) throws -> [RecordedSandbox] {
        let target = try Target(name, in: store)
        guard let run = try target.run ?? Self.onlyRun(of: target.job, in: store) else {
            throw ValidationError("name a run, as in `\(printable(name))/0`: the job has several, or none")
        }
        let attempt = run.attempt > 0 ? store.runDirectory(run.address).attempt(run.attempt) : nil
        guard let found = attempt?.recordings(), !found.isEmpty else {
            throw CommandFailure(
                .notFound, "learn from `\(name)`: it was not recorded",
                hint: "make it again with `--record`, as in `cloche run PIPELINE --record`")
        }
        let steps = found.filter { target.step == nil || $0.step == target.step?.uuid }
        guard !steps.isEmpty else {
            throw CommandFailure(
                .notFound, "learn from `\(name)`: the step was not executed in the last attempt",
                hint: "name the run, or another step")
        }
        return steps.map(\.sandbox)
    }

    private static func onlyRun(of job: JobRecord, in store: Store) throws -> RunRecord? {
        let runs = try store.database.runs(of: job.uuid, limit: 2)
        return runs.count == 1 ? runs[0] : nil
    }

    private func record(_ policy: SandboxPolicy, _ context: CommandContext) throws -> RecordedSandbox {
        let store = try SandboxStore(try CommandContext.storePath())
        let record = try context.environment(environment, of: store)
        let shown = context.withoutJob(policy)
        var wishes = SandboxWishes()
        wishes.project = project
        wishes.binds = binds
        wishes.variables = variables
        var request = try wishes.request(command, under: shown, in: record, of: store)
        request.sandbox.isRecorded = true
        context.sayClips(of: policy)
        return try RecordedCommand(request, store, context).run()
    }
}
