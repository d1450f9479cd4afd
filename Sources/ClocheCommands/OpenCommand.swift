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

struct OpenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open", abstract: "Show the notebook of a run's step as a page, the failing cell first.",
        discussion: """
            The page is made by the nbconvert of the step's environment, in a sandbox without network, and is safe to open: what \
            the notebook put into it can run no script and load nothing. It goes to a file, to standard output, or, on a \
            desktop, to the program that shows pages.

            The values that the run's secrets have now are replaced by ***, as in logs. Not replaced are values that were \
            set anew or removed since, which is told; values of fewer than four bytes; and what a program has made of a \
            value in a way of its own, such as a picture, or text with formatting in the middle of it.

            Examples:
              cloche open sweep/7/train
              cloche open sweep/7/train --output train.html
              cloche open sweep/7/train --output - > train.html
            """)

    @Argument(help: "JOB/7/train; JOB/7 where only one step is a notebook.", completion: Completion.references)
    var reference: String
    @Option(name: .shortAndLong, help: "Write the page to this file; - is standard output.") var output: String?
    @Option(help: "Of this attempt, from 1 on; by default of the last one.") var attempt: Int?

    func run() throws {
        if let attempt, attempt < 1 { throw ValidationError("--attempt is a number from 1 on") }
        let context = CommandContext()
        let hasDisplay = ["DISPLAY", "WAYLAND_DISPLAY"].contains { environmentVariable($0)?.isEmpty == false }
        guard output != nil || (hasDisplay && Syscall.isTerminal(1)) else {
            throw CommandFailure(
                .usage, "open the notebook: there is no desktop here to show it on",
                hint: "name a file for the page: `--output run.html`, or `--output -` for standard output")
        }
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        guard let run = target.run else {
            throw CommandFailure(
                .usage, "open the notebook: `\(printable(reference))` is a job",
                hint: "name a step of a run: JOB/7/train")
        }
        let directory = store.runDirectory(run.address)
        let attempts = directory.attempts()
        guard let number = attempt ?? attempts.last, attempts.contains(number) else {
            throw CommandFailure(
                .notFound, "open the notebook: there is no attempt \(attempt.map(String.init) ?? "yet") at the run",
                hint: attempts.isEmpty
                    ? "it is \(run.state.rawValue)" : "there are \(attempts.map(String.init).joined(separator: ", "))")
        }
        if let failure = CommandFailure(readingFilesOf: directory, "open the notebook") { throw failure }
        let spec = try directory.spec()
        let step = try notebook(of: spec, target.step)
        let page = try NotebookPage(
            step, of: spec, attempt: directory.attempt(number),
            title: "\(target.job.name)/\(run.address.number)/\(step.name)",
            verdict: try store.database.steps(of: run.address).first { $0.uuid == step.uuid && $0.attempt == number },
            mask: try secretMask(spec, made: target.job.created, store, context))
        try write(try page.html(context), context, name: step.name)
    }

    private func notebook(of spec: RunSpec, _ record: StepRecord?) throws -> RunSpec.Step {
        let notebooks = spec.steps.filter { $0.file.lowercased().hasSuffix(".ipynb") }
        if let record {
            if let step = notebooks.first(where: { $0.uuid == record.uuid }) { return step }
            throw CommandFailure(
                .wrongState, "open the notebook: step `\(record.title)` has none",
                hint: "`cloche logs \(shellWord(reference))` prints what it printed, `cloche diff` what it changed")
        }
        guard notebooks.count == 1 else {
            throw CommandFailure(
                .usage,
                notebooks.isEmpty
                    ? "open the notebook: no step of the run is one" : "open the notebook: the run has several",
                hint: notebooks.isEmpty
                    ? nil : "name one of them: " + notebooks.prefix(10).map { "`\($0.name)`" }.joined(separator: ", "))
        }
        return notebooks[0]
    }

    /// What hides the values of the run's secrets; tells of those whose value of then cannot be known.
    private func secretMask(
        _ spec: RunSpec, made: Timestamp, _ store: Store, _ context: CommandContext
    ) throws -> SecretMask {
        guard let names = spec.secrets.map({ Set($0.values) }), !names.isEmpty else { return SecretMask([]) }
        let kept = try store.secrets.list().filter { names.contains($0.name) }
        for name in names.subtracting(kept.map(\.name)).sorted() {
            context.say(
                "warning: the secret `\(printable(name))` was removed: its value is not masked in the page")
        }
        // The engine reads a value once for many runs, so that it cannot be told which of two a run has had.
        for secret in kept where secret.changed > made {
            context.say(
                "warning: the secret `\(secret.name)` was set since the job was made: a value that it had before is "
                    + "not masked in the page")
        }
        let values = try store.secrets.values(Dictionary(uniqueKeysWithValues: kept.map { ($0.name, $0.name) }))
        return SecretMask(Array(values.byVariable.values))
    }

    private func write(_ html: [UInt8], _ context: CommandContext, name: String) throws {
        if output == "-" { return try context.write(html) }
        if let output {
            // Beside a file of that name first: a page that is half written never takes its place.
            let path = FilePath(output)
            let parent = path.removingLastComponent()
            guard let file = path.lastComponent else { throw ValidationError("`\(printable(output))` names no file") }
            let directory = try Syscall.open(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY)
            try Syscall.replaceFile(FilePath(file.string), at: directory.number, html, mode: 0o600)
            return context.say("wrote \(printable(output))")
        }
        var template = Array("/tmp/cloche-open-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure(
                .hostUnsupported, "make a directory in /tmp: \(String(cString: strerror(errno)))",
                hint: "name a file for the page: `--output run.html`")
        }
        let directory = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        let file = directory.appending("notebook.html")
        try Syscall.writeFile(file, html, mode: 0o600)
        for program in ["/usr/bin/xdg-open", "/usr/local/bin/xdg-open"] where Syscall.exists(FilePath(program)) {
            let number = try HostProcess.spawn(
                FilePath(program), ["xdg-open", file.string], descriptors: [(1, 1), (2, 2)])
            if case .exited(0)? = try ProcessHandle(opening: number).wait()?.end { return }
            break
        }
        throw CommandFailure(
            .hostUnsupported, "open the page: no program (xdg-open) shows it", hint: "it is the file `\(file)`")
    }
}
