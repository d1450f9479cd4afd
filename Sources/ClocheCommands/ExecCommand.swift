import ArgumentParser

struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run any command in a sandbox; ends with the command's own exit code.",
        discussion: """
            Everything that the command writes is thrown away, but for /data.

            Examples:
              cloche exec -- python3 -c 'print("inside")'
              cloche exec --project . --policy online -- bash -c 'pip download requests'
            """)

    @OptionGroup var options: SandboxOptions
    @Flag(help: "Print what the sandbox would be, and start nothing.") var explain = false
    @Flag(help: "With --explain: one JSON document.") var json = false
    @Flag(name: .customLong("timings"), help: "Tell on standard error where the time of the launch went.")
    var showsTimings = false
    @Argument(parsing: .postTerminator, help: "The command and its arguments, after `--`.") var command: [String]

    var request: ExecRequest {
        ExecRequest(
            wishes: options.wishes, explains: explain, json: json, showsTimings: showsTimings, command: command)
    }

    func run() throws { try request.run() }
}
