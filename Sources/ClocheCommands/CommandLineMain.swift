import ArgumentParser
import LinuxSystem
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The program: parses the command line, does what it says, and ends with the exit code that tells what came of it.
package enum CommandLineMain {
    /// Never returns.
    package static func run() -> Never {
        // A reader that goes away ends a command quietly, by the failing write.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try ClocheCommand.parseAsRoot()
            try command.run()
            exit(0)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            // Help, version and wrong usage are the parser's own.
            if let failure = Failures.failure(error) { end(failure) }
            ClocheCommand.exit(withError: error)
        }
    }

    private static func end(_ failure: CommandFailure) -> Never {
        let streams = OutputStreams.standard()
        if CommandLine.arguments.contains("--json") {
            try? streams.output.write(failure.json + "\n")
        } else {
            try? streams.error.write(failure.rendered(styling: streams.error.styling))
        }
        exit(failure.exitCode)
    }
}

struct ClocheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloche",
        abstract: "Run data pipelines that nobody has to trust.",
        discussion: """
            Examples:
              cloche run main.orchest                     one run, followed to its end
              cloche job create main.orchest --name grid  every combination of main.parameters.json
              cloche ls grid                              its runs
              cloche logs grid/3 --step train             what a step printed
              cloche exec -- python3 -c 'print(1)'        any command in a sandbox

            References: JOB (a name, the beginning of an id, or @last), JOB/7 (a run), JOB/7/train (a step).
            The store is $CLOCHE_HOME; by default /var/lib/cloche for root, ~/.local/share/cloche for others.
            """,
        version: "cloche 0.1",
        subcommands: [
            RunCommand.self, ExecCommand.self, ListCommand.self, ShowCommand.self, LogsCommand.self, WatchCommand.self,
            CancelCommand.self, RemoveCommand.self, JobCommand.self, PipelineCommand.self, EnvironmentCommand.self,
            PolicyCommand.self, SystemCommand.self,
        ])
}
