import ArgumentParser
import Runs
import TerminalOutput

/// What `cloche help TOPIC` tells beside the help of commands.
enum HelpTopic: String, CaseIterable {
    case exitCodes = "exit-codes"
    case formats
    case snapshots
    case environment
    case man

    /// The topic that a command line asks for: `cloche help TOPIC`, and nothing more.
    init?(arguments: [String]) {
        guard arguments.count == 3, arguments[1] == "help" else { return nil }
        self.init(rawValue: arguments[2])
    }

    var text: String {
        switch self {
        case .exitCodes: Self.exitCodeText
        case .formats: Self.formatText
        case .snapshots: Self.snapshotText
        case .environment: Self.environmentText
        case .man: ManualPage.text
        }
    }

    private static var exitCodeText: String {
        ExitStatus.allCases.map { status in
            let number = String(status.rawValue)
            return String(repeating: " ", count: 3 - number.count) + "\(number)  \(status.sentence)"
        }.joined(separator: "\n")
            + "\n\n`cloche exec` passes on the command's own exit code. An unknown code means failure."
    }

    private static let formatText = """
        Data goes to standard output, everything else to standard error.

        On a terminal, tables are fitted to its width, with colours (unless NO_COLOR is set) and relative times. Into a
        pipe goes one record a line: fields separated by tabs, complete, `-` where there is nothing, times as RFC 3339 in
        UTC, durations in seconds, sizes in bytes.

        --json prints one document, with names in snake_case: {"jobs": […]} from `ls`, {"runs": […]} from `ls JOB`, each
        run with "state" and "verdict"; times RFC 3339 in UTC, durations in seconds, sizes in bytes. "total" beside a list
        tells how many there are: --limit 0 has all of them in it. `logs --json` prints one document a line. Keys are added
        over time, and none is removed. A failure is {"error": {"code": …, "message": …, "hint": …}}, and the exit code
        tells as well (`cloche help exit-codes`).

        `compare --csv` prints RFC 4180, with an apostrophe before what a spreadsheet would take for a formula.

        Metrics are what a step notes by `orchest.log_metric`, or numbers that it leaves in a JSON object in a file of the
        project: metrics.json at its top, or the one of --metrics; {"val": {"loss": 1}} is the metric val.loss. The file is
        read after each step, where the run has written it: at most 1 MiB and 1000 numbers. Steps in other languages may
        also append lines to $ORCHEST_METRICS_PATH: {"name": "loss", "value": 1}.

        What a command has reported outlives a loss of power: a run's files are synced before its verdict, the verdict
        before it is told; documents of jobs, secrets and policies are written beside, synced, renamed, and their
        directory synced; the database syncs what no directory tells again, and is compared with them after a boot.

        States of a job: draft pending running paused succeeded failed cancelled.
        States of a run or a step: pending running succeeded failed cancelled skipped.
        Causes of a verdict: succeeded exit signal out-of-memory timeout cpu-limit pids-limit disk-full output-limit denied
        setup dependency-failed cancelled interrupted supervisor-lost.

        What `cloche notify` tells is one JSON object in printable ASCII:
          {"id": …, "event": "run.failed", "time": …, "notifier": …,
           "job": {"uuid", "name", "project", "pipeline", "created"},
           "run": {"index", "state", "attempt", "label", "parameters", "started", "finished", "verdict"}}
        For job.* and batch.* the job has "state", "started", "finished", "timed_out" and "counts" as well, a batch has
        its number in "batch", and there is no run. Parameters of more than 8000 bytes are null. Variables and secrets are
        never in it. One that was told twice has the same id.

        A webhook gets it by POST with webhook-id, webhook-timestamp (seconds since 1970, of this delivery) and
        webhook-signature, as Standard Webhooks has them: `v1,` and the base64 of HMAC-SHA256 over
        `ID.TIMESTAMP.BODY`, the bytes as they came. The key is the secret, or what follows `whsec_` in it, in base64. To
        verify one, refuse timestamps of more than some minutes ago, and compare in constant time:
          expected = base64(hmac_sha256(key, id + "." + timestamp + "." + body))
        A program gets it on standard input, and CLOCHE_EVENT, CLOCHE_NOTIFICATION (the id) and CLOCHE_NOTIFIER.

        How a snapshot can be verified with other tools: `cloche help snapshots`.
        """

    private static let environmentText = """
        CLOCHE_HOME          the store; by default /var/lib/cloche for root, else $XDG_DATA_HOME/cloche or
                             ~/.local/share/cloche
        CLOCHE_SERVICE       the socket of a service that others share (`cloche serve --share`), such as
                             /run/cloche.sock: commands are done there, on jobs of yours alone, in place of a store
        CLOCHE_OWNER         of a store that a service shares: the user whose jobs are meant, for whoever runs it
        CLOCHE_ENVIRONMENTS  a directory of recipes instead of the one that came with the program
        CLOCHE_SCRATCH       disk: throw-away changes of steps are kept on the disk and not in memory
        NO_COLOR             no colours, where it is set and not empty
        TERM, COLUMNS        what the terminal can do, and its width where it does not tell

        In a step, beside the variables of its environment and of the job (--env-var):
        CLOCHE_JOB, CLOCHE_RUN, CLOCHE_STEP
                             the job's name, the run's number, the step's title
        CLOCHE_SCHEDULED_TIME
                             of runs that a schedule made: the time that they are for, RFC 3339 in UTC, however late it
                             was; not set for those of `cloche job trigger`
        ORCHEST_STEP_UUID, ORCHEST_PIPELINE_UUID, ORCHEST_PIPELINE_PATH, ORCHEST_PROJECT_UUID, ORCHEST_SESSION_UUID,
        ORCHEST_SESSION_TYPE
                             as in Orchest; ORCHEST_SESSION_UUID is the run
        """
}

/// The manual page, made from the commands as they are.
enum ManualPage {
    /// The part of the parser's description that a page needs.
    private struct Tool: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String

            var text: String { (kind == "long" ? "--" : "-") + name }
        }

        struct Argument: Decodable {
            var kind: String
            var shouldDisplay: Bool
            var isRepeating: Bool
            var names: [Name]?
            var valueName: String?
            var defaultValue: String?
            var abstract: String?
        }

        struct Command: Decodable {
            var commandName: String
            var shouldDisplay: Bool
            var abstract: String?
            var discussion: String?
            var subcommands: [Command]?
            var arguments: [Argument]?
        }

        var command: Command
    }

    /// The page for man(1), in the macros of groff_man(7).
    static var text: String {
        guard let tool = JSONFile.decode(Tool.self, Array(ClocheCommand._dumpHelp().utf8)) else { return "" }
        var lines = [#".TH CLOCHE 1 "" "\#(ClocheCommand.configuration.version)" "User Commands""#, ".SH NAME"]
        lines.append(#"cloche \- \#(escaped((tool.command.abstract ?? "").lowercased().trimmingFullStop))"#)
        lines += [".SH SYNOPSIS", ".B cloche", ".I COMMAND ...", ".SH DESCRIPTION"]
        lines += preformatted(tool.command.discussion ?? "")
        lines.append(".SH COMMANDS")
        for command in tool.command.subcommands ?? [] { lines += section(command, path: "cloche") }
        for (title, topic) in [
            ("EXIT STATUS", HelpTopic.exitCodes), ("ENVIRONMENT", .environment), ("OUTPUT FORMATS", .formats),
            ("SNAPSHOTS", .snapshots),
        ] {
            lines.append(".SH \"\(title)\"")
            lines += preformatted(topic.text)
        }
        return lines.joined(separator: "\n")
    }

    private static func section(_ command: Tool.Command, path: String) -> [String] {
        if command.commandName == "help" || !command.shouldDisplay { return [] }
        let name = "\(path) \(command.commandName)"
        let arguments = (command.arguments ?? []).filter { $0.shouldDisplay && $0.names?.first?.name != "help" }
        var lines = [".SS \"\(escaped(name))\""]
        if let abstract = command.abstract { lines += [escaped(abstract), ".PP"] }
        for argument in arguments {
            lines.append(".TP")
            lines.append(heading(argument))
            var text = argument.abstract ?? ""
            if let value = argument.defaultValue, argument.kind != "flag" { text += " (default: \(value))" }
            lines.append(escaped(text.isEmpty ? "\u{2014}" : text))
        }
        if let discussion = command.discussion { lines += [".PP"] + preformatted(discussion) }
        for subcommand in command.subcommands ?? [] { lines += section(subcommand, path: name) }
        return lines
    }

    private static func heading(_ argument: Tool.Argument) -> String {
        let value = argument.valueName ?? "value"
        let more = argument.isRepeating ? " ..." : ""
        if argument.kind == "positional" { return #"\fI\#(escaped(value))\fR\#(more)"# }
        let names = (argument.names ?? []).map { #"\fB\#(escaped($0.text))\fR"# }.joined(separator: ", ")
        return argument.kind == "option" ? #"\#(names) \fI\#(escaped(value))\fR\#(more)"# : names
    }

    private static func preformatted(_ text: String) -> [String] {
        [".nf"] + text.split(separator: "\n", omittingEmptySubsequences: false).map { escaped(String($0)) } + [".fi"]
    }

    /// Text that groff takes for text: neither a request at the beginning of a line, nor an escape, nor a typographic dash.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += #"\e"#
            case "-": result += #"\-"#
            case "\n": result += " "
            default: result.unicodeScalars.append(character)
            }
        }
        return result.hasPrefix(".") || result.hasPrefix("'") ? #"\&"# + result : result
    }
}

extension String {
    fileprivate var trimmingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
