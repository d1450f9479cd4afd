import ArgumentParser
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Synchronization
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The program: parses the command line, does what it says, and ends with the exit code that tells what came of it.
package enum CommandLineMain {
    /// Never returns.
    package static func run() -> Never {
        // Swift reads the arguments from the stack, which it finds by /proc/self/maps.
        guard !CommandLine.arguments.isEmpty else { refuse("read the command line: there is no /proc/self/maps") }
        do throws(SyscallError) {
            try HostProcess.holdStandardStreams()
            try HostProcess.keepDescriptors()
        } catch {
            refuse("keep descriptors: \(error)")
        }
        // A reader that goes away ends a command quietly, by the failing write.
        signal(SIGPIPE, SIG_IGN)
        do {
            if let client = ServedClient.current {
                try client.serve()
                exit(0)
            }
            if HelpTopic(arguments: CommandLine.arguments) == nil, let service = try RemoteService.selected() {
                exit(try service.run())
            }
            if let request = ExecRequest(CommandLine.arguments.dropFirst()) {
                try request.run()
            } else if let topic = HelpTopic(arguments: CommandLine.arguments) {
                try CommandContext().print(topic.text)
            } else if let word = unknownTopic() {
                throw CommandFailure(
                    .usage, "there is no command or topic `\(printable(word))` to help with",
                    hint: didYouMean(word, among: HelpTopic.allCases.map(\.rawValue) + commandNames)
                        ?? "`cloche help` lists the commands; topics are "
                        + HelpTopic.allCases.map(\.rawValue).joined(separator: ", "))
            } else {
                var command = try ClocheCommand.parseAsRoot()
                try command.run()
            }
            exit(0)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            if let failure = Failures.failure(error) { end(failure) }
            // Help and version are the parser's own.
            if ClocheCommand.exitCode(for: error).isSuccess { print(ClocheCommand.fullMessage(for: error)) }
            end(wrongUsage(error))
        }
    }

    /// Prints what the parser has to say where nothing is wrong; it would not notice itself that nobody can read it.
    private static func print(_ text: String) -> Never {
        do {
            if !text.isEmpty { try CommandContext().print(text) }
            exit(0)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            end(Failures.failure(error) ?? wrongUsage(error))
        }
    }

    /// What the parser, or a command, has to say about its arguments, in the form of every other failure.
    private static func wrongUsage(_ error: any Error) -> CommandFailure {
        let message = ClocheCommand.message(for: error)
        if let (commands, word, known) = unknownCommand() {
            return CommandFailure(
                .usage, "there is no command `\(commands) \(printable(word))`",
                hint: EditDistance.nearest(to: word, in: known).map { "did you mean `\(commands) \($0)`?" }
                    // Those of jobs and runs need no group before them.
                    ?? (commandNames.contains(word)
                        ? "did you mean `cloche \(word)`?" : "`\(commands) --help` lists the commands"))
        }
        if let (options, command) = ExecRequest.bareCommand(CommandLine.arguments) {
            let (options, command) = (
                options.map { shellWord($0) + " " }.joined(), command.map { shellWord($0) }.joined(separator: " ")
            )
            return CommandFailure(
                .usage, "run `\(command)`: the command stands behind `--`",
                hint: "`cloche exec \(options)-- \(command)`")
        }
        if let (option, number) = negativeNumber(message) {
            return CommandFailure(
                .usage, "take `\(printable(number))` for \(option): no option takes a number below 0",
                hint: "leave \(option) out, or see what it takes by `--help`")
        }
        let lines = ClocheCommand.fullMessage(for: error).split(separator: "\n")
        // Of an error that a command found, the parser knows no usage but that of the whole program.
        let usage = lines.first { $0.hasPrefix("Usage: ") && !$0.hasPrefix("Usage: cloche <subcommand>") }
        let hint = usage.map { "usage: \($0.dropFirst("Usage: ".count))" }
        // A directory that cannot be read has none to propose; the usage is told all the same.
        let pipelines = message.hasSuffix("'<pipeline>'") ? (try? JobCreation.pipelineNames(in: ".")) ?? [] : []
        let here = pipelines.prefix(5).map { "`\(printable($0))`" }.joined(separator: ", ")
        return CommandFailure(
            .usage, message.prefix(1).lowercased() + message.dropFirst(),
            hint: pipelines.isEmpty ? hint : "this directory has \(here)" + (hint.map { "; \($0)" } ?? ""))
    }

    /// The option of which the parser says that it has no value, and the number behind it, which it takes for an option.
    private static func negativeNumber(_ message: String) -> (option: String, number: String)? {
        guard let match = message.prefixMatch(of: /Missing value for '(-[^ ']+)/) else { return nil }
        let option = String(match.output.1)
        let words = CommandLine.arguments
        let pair = zip(words, words.dropFirst()).first { $0 == option && $1.prefixMatch(of: /-\.?[0-9]/) != nil }
        return pair.map { (option, $0.1) }
    }

    private static let commandNames = ClocheCommand.configuration.subcommands.compactMap {
        $0.configuration.commandName
    }

    /// The word behind `help` that is neither a command nor a topic; the parser would show the help of everything.
    private static func unknownTopic() -> String? {
        guard CommandLine.arguments.count > 2, CommandLine.arguments[1] == "help" else { return nil }
        var commands = ClocheCommand.configuration.subcommands
        for word in CommandLine.arguments.dropFirst(2) {
            if word.hasPrefix("-") { return nil }
            let next = commands.first {
                $0.configuration.commandName == word || $0.configuration.aliases.contains(word)
            }
            guard let next else { return word }
            commands = next.configuration.subcommands
        }
        return nil
    }

    /// The first word that names no command, the commands before it, and those that there are.
    private static func unknownCommand() -> (commands: String, word: String, known: [String])? {
        var (path, commands) = ("cloche", ClocheCommand.configuration.subcommands)
        for word in CommandLine.arguments.dropFirst() {
            if commands.isEmpty || word.hasPrefix("-") || word == "help" { return nil }
            let next = commands.first {
                $0.configuration.commandName == word || $0.configuration.aliases.contains(word)
            }
            guard let next else { return (path, word, commands.compactMap { $0.configuration.commandName }) }
            path += " \(word)"
            commands = next.configuration.subcommands
        }
        return nil
    }

    private static func end(_ failure: CommandFailure) -> Never {
        let streams = OutputStreams.standard()
        if CommandLine.arguments.contains("--json"), !CommandContext.hasPrinted.load(ordering: .relaxed) {
            try? streams.output.write(failure.json)
        } else {
            try? streams.error.write(failure.rendered(styling: streams.error.styling))
        }
        exit(failure.exitCode)
    }

    /// Ends before anything has been looked at.
    private static func refuse(_ text: String) -> Never {
        // There is nobody else to tell that standard error is closed; the exit code tells.
        try? Syscall.writeAll(2, Array("error: \(text)\nhint: use Linux 6.1 or later, with /proc mounted\n".utf8))
        exit(78)
    }
}

struct ClocheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloche",
        abstract: "Run data pipelines that nobody has to trust.",
        discussion: """
            Examples:
              cloche run main.orchest                     one run, followed to its end
              cloche job create main.orchest --name grid  all of main.parameters.json
              cloche ls grid                              its runs
              cloche diff grid/3                          what a run changed
              cloche logs grid/3 --step train             what a step printed
              cloche exec -- python3 -c 'print(1)'        any command in a sandbox
              cloche serve                                drives jobs for `--detach`

            References: JOB (a name, the beginning of an id, or @last), JOB/7 (a run), JOB/7/train (a step).
            The store is $CLOCHE_HOME; by default /var/lib/cloche for root, ~/.local/share/cloche for others. \
            CLOCHE_SERVICE=/run/cloche.sock uses the service that listens there (`cloche serve --share`) in its place.
            More: cloche help exit-codes, help formats, help environment; help man (a manual page for `man -l -`).
            """,
        version: "cloche \(VersionCommand.version)",
        subcommands: [
            RunCommand.self, ExecCommand.self, ListCommand.self, ShowCommand.self, LogsCommand.self, WatchCommand.self,
            CompareCommand.self, CancelCommand.self, RetryCommand.self, RemoveCommand.self, DiffCommand.self,
            JobCommand.self,
            PipelineCommand.self,
            EnvironmentCommand.self,
            NotifyCommand.self, SecretCommand.self,
            SnapshotCommand.self, PolicyCommand.self, ServeCommand.self, SystemCommand.self, OpenCommand.self,
            CompletionCommand.self, VersionCommand.self, AttendCommand.self,
        ])
}

struct VersionCommand: ParsableCommand {
    static let version = "0.1"
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version, as `--version` does.",
        discussion: """
            Examples:
              cloche version --json
            """)
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        if output.json { return try context.print(Documents.object([("version", .string(Self.version))])) }
        try context.print("cloche \(Self.version)")
    }
}
