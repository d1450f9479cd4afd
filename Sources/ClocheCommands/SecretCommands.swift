import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct SecretCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "Set values that steps get and nobody is shown again.",
        discussion: """
            A job is given secrets by name (`--secret`); its steps see them as environment variables. Values are kept in \
            files of the store that only its owner can read (0600), and are read when a job is taken up: a value that is \
            set anew is what later runs get. In the logs of steps a value is replaced by ***, also where it is encoded by \
            base64, in a URL, in JSON or in HTML; of a value of several lines also each line. Values of fewer than four \
            bytes, and lines of fewer than eight that stand alone, are not replaced, and what a step writes to files is \
            its own affair (`cloche open` masks the page that it makes of a notebook).

            Examples:
              cloche secret set DB_PASSWORD            asks for it, and shows nothing
              pass show db | cloche secret set DB_PASSWORD
              cloche run main.orchest --secret DB_PASSWORD --secret PROD_TOKEN=TOKEN
            """,
        subcommands: [SecretSetCommand.self, SecretListCommand.self, SecretRemoveCommand.self])
}

struct SecretSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set a secret, from the terminal or standard input.",
        discussion: """
            One line end at the end of standard input is not part of the value.

            Examples:
              cloche secret set DB_PASSWORD
              pass show db | cloche secret set DB_PASSWORD
            """)

    @Argument(help: "Its name: letters, digits, `_` and `-`.", completion: Completion.secrets) var name: String
    @Flag(help: "Set it to nothing, on purpose; no value is read.") var empty = false

    func run() throws {
        let context = CommandContext()
        guard SecretStore.isName(name) else {
            throw ValidationError("`\(printable(name))` is no name of a secret: use letters, digits, `_` and `-`")
        }
        let store = try context.openStore()
        let value = empty ? [] : try SecretInput(context).read(name)
        if value.isEmpty, !empty { throw missing }
        try store.secrets.set(name, to: value)
        context.say("secret \(name) is set")
        if value.count < SecretStore.fewestMaskedBytes {
            context.say(
                "note: it has fewer than \(SecretStore.fewestMaskedBytes) bytes, and is not replaced in logs")
        } else if SecretMask.leavesLines(of: value) {
            context.say(
                "note: lines of it with fewer than \(SecretMask.shortestLine) bytes are not replaced in logs where "
                    + "they stand alone")
        }
    }

    /// Mostly a command before it has failed, or a variable was not set: steps would find that out much later.
    private var missing: CommandFailure {
        CommandFailure(
            .invalidData, "set the secret `\(name)`: its value is empty, and nothing was changed",
            hint:
                "see whether what writes to standard input does so; `cloche secret set \(name) --empty` sets it to nothing"
        )
    }
}

struct SecretListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the names of secrets.",
        discussion: """
            Examples:
              cloche secret ls
            """, aliases: ["list"])

    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let secrets = try context.openStore().secrets.list()
        if output.json {
            let documents = secrets.map {
                Documents.object([("name", .string($0.name)), ("changed", Documents.value($0.changed))])
            }
            return try context.print(Documents.object([("secrets", .array(documents))]))
        }
        if secrets.isEmpty { return context.say("no secrets yet; `cloche secret set NAME` sets one") }
        var table = Table([Table.Column("SECRET"), Table.Column("SET", priority: 1)])
        for secret in secrets {
            let age = Duration.seconds(max(0, Syscall.wallClockSeconds() - secret.changed.seconds))
            table.append([
                Table.Cell(secret.name), Table.Cell(relativeTime(age: age), exact: secret.changed.description),
            ])
        }
        try context.print(table)
    }
}

struct SecretRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a secret for good.",
        discussion: """
            Examples:
              cloche secret rm DB_PASSWORD
            """, aliases: ["remove"])

    @Argument(help: "Its name.", completion: Completion.secrets) var name: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        try store.secrets.require([name: name], kind: .missing)
        let unfinished = try store.database.jobs(limit: .max).filter { !$0.state.isFinal }
        let users = unfinished.filter { (try? store.document($0.uuid))?.secrets.values.contains(name) == true }
        let signed = try store.notifiers.list().notifiers.filter { $0.secret == name }
        try Confirmation.standard(isGranted: yes, streams: context.streams).require(
            "remove the secret `\(name)`?",
            details: users.prefix(10).map { "the job `\($0.name)` has not ended, and cannot go on without it" }
                + signed.map { "the notifier `\($0.name)` signs with it, and is told of nothing without it" })
        try store.secrets.remove(name)
        context.say("removed secret \(name)")
    }
}

/// Where the value of a secret comes from: never from the command line, which others can see.
struct SecretInput {
    private let context: CommandContext

    init(_ context: CommandContext) { self.context = context }

    func read(_ name: String) throws -> [UInt8] {
        guard Syscall.isTerminal(STDIN_FILENO) else {
            var bytes = try input()
            if bytes.last == 0x0A { bytes.removeLast() }
            if bytes.last == 0x0D { bytes.removeLast() }
            return bytes
        }
        let first = try ask("value of \(name): ")
        guard try ask("once more: ") == first else {
            throw CommandFailure(.usage, "set the secret `\(name)`: the two values differ", hint: "type it again")
        }
        return first
    }

    private func input() throws -> [UInt8] {
        // One byte more than any value has tells that there are too many.
        var bytes: [UInt8] = []
        while bytes.count <= SecretStore.mostBytes + 2 {
            let part = try Syscall.read(STDIN_FILENO, upTo: 65536)
            if part.isEmpty { return bytes }
            bytes += part
        }
        throw CommandFailure(
            .invalidData, "take the value of the secret: it has more than \(SecretStore.mostBytes) bytes",
            hint: "keep it in an encrypted file, and its key as the secret")
    }

    /// Reads one line from the terminal, which shows nothing of it, and is put back whatever happens.
    private func ask(_ prompt: String) throws -> [UInt8] {
        let signals = try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])
        let before = try TerminalMode(of: STDIN_FILENO)
        try before.silent.apply(to: STDIN_FILENO)
        defer {
            // The terminal is there: it has just been changed.
            try? before.apply(to: STDIN_FILENO)
            context.say("")
        }
        try context.streams.error.write(prompt)
        var line: [UInt8] = []
        while true {
            let ready = try Syscall.poll([STDIN_FILENO, signals.number], milliseconds: -1)
            if ready.contains(where: { $0.number == signals.number }) {
                throw CommandFailure(.interrupted, "set the secret: interrupted", hint: "nothing was changed")
            }
            let bytes = try Syscall.read(STDIN_FILENO, upTo: 4096)
            line += bytes
            if bytes.isEmpty || line.last == 0x0A { break }
        }
        if line.last == 0x0A { line.removeLast() }
        return line
    }
}

/// The option `--secret`.
enum SecretOption {
    static func apply(_ texts: [String], to request: inout JobRequest) throws {
        request.secrets.merge(try names(texts, beside: Set(request.variables.keys))) { $1 }
    }

    /// Names of secrets by the variables that show them, which are none of `taken`.
    static func names(_ texts: [String], beside taken: Set<String>) throws -> [String: String] {
        var names: [String: String] = [:]
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let variable = parts.count == 2 ? parts[1] : parts[0]
            guard SecretStore.isName(parts[0]), ProjectVariables.isName(variable) else {
                throw ValidationError(
                    "--secret needs NAME or NAME=VARIABLE, names of letters, digits, `_` and `-`; a value is set by "
                        + "`cloche secret set`")
            }
            guard !taken.contains(variable), names[variable] == nil else {
                throw ValidationError("the variable `\(variable)` is given twice, by --secret and before")
            }
            names[variable] = parts[0]
        }
        return names
    }
}
