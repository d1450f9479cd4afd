import ArgumentParser
import Environments
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct NotifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify", abstract: "Tell servers and programs when runs and jobs end.",
        discussion: """
            Notifiers belong to the store's owner: no project can add one, and a webhook's address is never shown again. What \
            is to be told is kept until it is delivered: a service or a command that is killed loses none, and may deliver one \
            twice, with the same id. It never delays a run, nor changes its verdict. What was answered is in `notify log`; \
            what is sent, and how it is signed, in `cloche help formats`.

            Examples:
              cloche notify add ops --url https://hooks.example.org/x --secret HOOK_KEY
              pass show chat-url | cloche notify add chat --url - --job 'nightly*'
              cloche notify add pager --command /usr/local/bin/page-me --on job.failed
              cloche notify test ops
            """,
        subcommands: [
            NotifyAddCommand.self, NotifyListCommand.self, NotifyTestCommand.self, NotifyLogCommand.self,
            NotifyRemoveCommand.self, NotifyDeliverCommand.self,
        ])
}

struct NotifyAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a webhook, or a program of yours.",
        discussion: """
            A webhook gets a POST by HTTPS from curl, without redirections; an answer of 2xx is success, 408, 425, 429, 5xx \
            and no answer are tried again, for 16 hours with growing waits. A program gets the same JSON on standard input, \
            runs as the store's owner with next to no environment, and is tried again when it does not end with 0; what it \
            prints is in `notifications/NAME.log` of the store.

            Events: \(NotificationEvent.words.joined(separator: ", ")).

            Examples:
              cloche notify add ops --url https://hooks.example.org/x --secret HOOK_KEY
              cloche notify add ops --url https://hooks.example.org/x --on run.failed
              cloche notify add pager --command /usr/local/bin/page-me --job 'nightly*'
            """)

    @Argument(help: "What to call it.") var name: String
    @Option(help: "The address of a webhook; `-` reads it from standard input, as it may hold a key.") var url: String?
    @Option(help: "The absolute path of a program that only you, or root, can change.") var command: String?
    @Option(
        name: .customLong("on"),
        help: "What it is told of: run.failed,job.finished; by default ends of jobs and batches, and failed runs.")
    var events: [String] = []
    @Option(name: .customLong("job"), help: "Only jobs of this name; `*` and `?` stand for any text, any character.")
    var jobs: [String] = []
    @Option(help: "Sign with this secret of `cloche secret`.") var secret: String?
    @Option(help: "Give it so long: 10s by default for a webhook, 30s for a program; 5m at most.") var timeout: String?
    @Flag(help: "Allow plain HTTP to other machines, where everybody on the way can read it.") var insecure = false

    func run() throws {
        let context = CommandContext()
        guard Notifier.isName(name) else {
            throw ValidationError(
                "`\(printable(name))` is no name of a notifier: use letters, digits, `_`, `-` and `.`")
        }
        guard (url == nil) != (command == nil) else {
            throw ValidationError("give either --url or --command: a notifier is one or the other")
        }
        let store = try context.openStore()
        let events = try chosenEvents()
        let seconds = try timeout.map { try JobSettings.seconds($0) } ?? (url == nil ? 30 : 10)
        guard seconds <= Notifier.longestTime else { throw ValidationError("--timeout is at most 5m") }
        for job in jobs where job.isEmpty || job.utf8.count > 255 {
            throw ValidationError("--job needs the name of a job, or a pattern, of at most 255 bytes")
        }
        let notifier = Notifier(
            name: name, events: events, jobs: jobs, means: try means(context, store), timeLimit: seconds)
        try store.add(notifier)
        context.say("notifier \(name): \(events.map(\.rawValue).joined(separator: ", "))")
        if url != nil, secret == nil {
            context.say("note: it is not signed; with --secret the other side can tell who sent it")
        }
        context.say("try it by `cloche notify test \(name)`")
    }

    private func chosenEvents() throws -> [NotificationEvent] {
        let words = events.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        if words.isEmpty { return NotificationEvent.usual }
        let chosen = try words.flatMap { word in
            if let events = NotificationEvent.named(word) { return events }
            let nearest = EditDistance.nearest(to: word, in: NotificationEvent.words).map { "; did you mean `\($0)`?" }
            throw ValidationError(
                "--on: there is no event `\(printable(word))`\(nearest ?? ""); there are "
                    + NotificationEvent.words.joined(separator: ", "))
        }
        return NotificationEvent.allCases.filter(chosen.contains)
    }

    private func means(_ context: CommandContext, _ store: Store) throws -> Notifier.Means {
        if let command {
            guard secret == nil, !insecure else {
                throw ValidationError("--secret and --insecure are for webhooks: a program of yours knows who calls it")
            }
            _ = try CommandHook(command)
            return .command(.init(path: command))
        }
        let text = url == "-" ? try Self.addressFromInput(context) : url ?? ""
        guard let message = WebMessage(address: text) else {
            let (problem, hint) = Self.problem(ofAddress: text)
            throw CommandFailure(.usage, "add the notifier `\(name)`: \(problem)", hint: hint)
        }
        try WebMessage.check()
        if let secret { try store.secrets.require([secret: secret]) }
        var reaches = try message.reaches()
        guard message.isSecure || insecure || reaches == [WebMessage.thisMachine] else {
            throw CommandFailure(
                .usage, "add the notifier `\(name)`: `\(message.server)` is not HTTPS",
                hint: "for a server without, that you trust the network to, use --insecure")
        }
        if reaches.isEmpty {
            context.say("note: the host of `\(message.server)` has no address now; only public ones will do later")
            reaches = [WebMessage.everywhere]
        }
        return .webhook(
            .init(url: text, secret: secret, isPlainAllowed: insecure, reaches: reaches.sorted()))
    }

    /// What is wrong with an address, and what to do; nothing of it is told, as it may hold a key.
    private static func problem(ofAddress text: String) -> (problem: String, hint: String) {
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
            return ("its address is none of HTTP or HTTPS", "write https://HOST/PATH")
        }
        if text.unicodeScalars.contains(where: { $0.properties.isWhitespace }) {
            return ("there is a space in its address", "write %20 for it, or leave it out")
        }
        if text.dropFirst(scheme.count).prefix(while: { !"/?#".contains($0) }).contains("@") {
            return (
                "there is the name of a user, or a password, in its address, and none is ever sent",
                "leave it out: what is told is signed by --secret, so that the other side knows who sent it"
            )
        }
        return (
            "its address has no host or port that can be read, or characters that no address has",
            "write https://HOST:PORT/PATH, with %22 and the like for other characters, and at most 8192 in all"
        )
    }

    private static func addressFromInput(_ context: CommandContext) throws -> String {
        String(decoding: try SecretInput(context).read("the address"), as: UTF8.self)
    }
}

/// A notifier as it may be shown: without the path of its address, which can be a key.
private enum NotifierText {
    static func target(_ notifier: Notifier) -> String {
        switch notifier.means {
        case .webhook(let webhook): WebMessage(address: webhook.url)?.server ?? "?"
        case .command(let command): command.path
        }
    }

    static func document(_ notifier: Notifier, waiting: Int) -> JSONValue {
        let isWebhook = if case .webhook = notifier.means { true } else { false }
        return Documents.object([
            ("name", .string(notifier.name)), ("kind", .string(isWebhook ? "webhook" : "command")),
            ("target", .string(target(notifier))), ("secret", Documents.value(notifier.secret)),
            ("events", Documents.value(notifier.events)), ("jobs", Documents.value(notifier.jobs)),
            ("timeout_seconds", Documents.value(notifier.timeLimit)), ("waiting", Documents.value(waiting)),
        ])
    }
}

struct NotifyListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List who is told of what.",
        discussion: """
            Examples:
              cloche notify ls
            """, aliases: ["list"])

    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let notifiers = try store.notifiers.list().notifiers
        let waiting = try store.database.waitingNotifications()
        if output.json {
            let documents = notifiers.map { NotifierText.document($0, waiting: waiting[$0.name] ?? 0) }
            return try context.print(Documents.object([("notifiers", .array(documents))]))
        }
        if notifiers.isEmpty { return context.say("no notifiers yet; `cloche notify add` adds one") }
        var table = Table([
            Table.Column("NAME"), Table.Column("TARGET", minimum: 20), Table.Column("SIGNED", priority: 1),
            Table.Column("WAITING", alignment: .trailing), Table.Column("JOBS", priority: 1),
            Table.Column("EVENTS", priority: 2),
        ])
        for notifier in notifiers {
            table.append([
                Table.Cell(notifier.name), Table.Cell(printable(NotifierText.target(notifier))),
                Table.Cell(notifier.secret.map { "by \($0)" } ?? "no"), Table.Cell(String(waiting[notifier.name] ?? 0)),
                Table.Cell(notifier.jobs.isEmpty ? "all" : printable(notifier.jobs.joined(separator: ","))),
                Table.Cell(notifier.events.map(\.rawValue).joined(separator: ",")),
            ])
        }
        try context.print(table)
    }
}

struct NotifyTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Deliver an example once, and print what was answered.",
        discussion: """
            Examples:
              cloche notify test ops
            """)

    @Argument(help: "The notifier.", completion: Completion.notifiers) var name: String

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let notifier = try store.notifiers.notifier(name)
        var record = NotificationBody.example(for: name, id: NotificationBody.newIdentity(), at: CommandContext.now())
        let begun = Syscall.monotonicSeconds()
        let outcome = NotificationCourier(store, variables: CommandContext.environment()).tell(notifier, of: record)
        record.attempts = 1
        record.state = outcome.isDelivered ? .delivered : .givenUp
        record.due = nil
        record.finished = CommandContext.now()
        record.answer = outcome.answer
        try store.database.add(record)
        let time = humanDuration(.seconds(Syscall.monotonicSeconds() - begun))
        try context.print("\(outcome.answer)  (\(time))")
        guard outcome.isDelivered else {
            throw CommandFailure(
                .failed, "tell `\(name)`: \(outcome.answer)",
                hint: outcome.isPassing
                    ? "an event would be delivered again later" : "an event would not be delivered again")
        }
    }
}

struct NotifyLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "List deliveries, the newest last, and what was answered.",
        discussion: """
            The last \(JobDatabase.keptNotifications) that are over are kept, and all that wait.

            Examples:
              cloche notify log
              cloche notify log ops --limit 5
            """)

    @Argument(help: "Of this notifier alone.", completion: Completion.notifiers) var name: String?
    @Option(help: "Show at most so many; 0 is all.") var limit = 50
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let records = try store.database.notifications(of: name, limit: limit <= 0 ? .max : limit).reversed()
        // One that was removed may still have deliveries; without any, the name is checked.
        if records.isEmpty, let name { _ = try store.notifiers.notifier(name) }
        if output.json {
            return try context.print(Documents.object([("deliveries", .array(records.map(Self.document)))]))
        }
        if records.isEmpty {
            return context.say("nothing has been told to \(name.map { "`\($0)`" } ?? "anybody") yet")
        }
        var table = Table([
            Table.Column("TIME"), Table.Column("NOTIFIER"), Table.Column("EVENT"), Table.Column("OF", minimum: 8),
            Table.Column("STATE"), Table.Column("TRIES", alignment: .trailing, priority: 1),
            Table.Column("ANSWER", priority: 1, minimum: 20),
        ])
        for record in records {
            let next = record.due.map { ", next \($0)" } ?? ""
            table.append([
                Table.Cell(record.time.description), Table.Cell(printable(record.notifier)),
                Table.Cell(printable(record.event)),
                Table.Cell(printable(record.job) + (record.run.map { "/\($0)" } ?? "")),
                Table.Cell(record.state.rawValue), Table.Cell(String(record.attempts)),
                Table.Cell(printable(record.answer ?? "", limit: 300) + (record.attempts > 0 ? next : "")),
            ])
        }
        try context.print(table)
    }

    private static func document(_ record: NotificationRecord) -> JSONValue {
        Documents.object([
            ("id", .string(record.id)), ("notifier", .string(record.notifier)), ("event", .string(record.event)),
            ("job", .string(record.job)), ("run", Documents.value(record.run)), ("time", Documents.value(record.time)),
            ("state", .string(record.state.rawValue)), ("attempts", Documents.value(record.attempts)),
            ("due", Documents.value(record.due)), ("finished", Documents.value(record.finished)),
            ("answer", Documents.value(record.answer)),
        ])
    }
}

struct NotifyRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a notifier; what it was still to be told is given up.",
        discussion: """
            Examples:
              cloche notify rm ops
            """, aliases: ["remove"]
    )

    @Argument(help: "The notifier.", completion: Completion.notifiers) var name: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        _ = try store.notifiers.notifier(name)
        let waiting = try store.database.waitingNotifications()[name] ?? 0
        try Confirmation.standard(isGranted: yes, streams: context.streams).require(
            "remove the notifier `\(name)`?",
            details: waiting > 0 ? ["\(counted(waiting, "notification")) to it would not be delivered"] : [])
        try store.removeNotifier(name)
        context.say("removed notifier \(name)")
    }
}

/// What an engine starts when something is to be delivered.
struct NotifyDeliverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliver", abstract: "Deliver what is due.", shouldDisplay: false)

    @Argument(help: "The process with which it ends.") var parent: Int32
    @Argument(help: "The store.") var store: String
    @Argument(help: "The notifier.") var notifier: String

    func run() throws {
        try Syscall.endWithParent(parent)
        guard chdir("/") == 0 else { return }
        try NotificationCourier(try Store.open(FilePath(store)), variables: CommandContext.environment())
            .run(for: notifier)
    }
}

extension CommandContext {
    /// All variables of this process, by name.
    static func environment() -> [String: String] {
        var values: [String: String] = [:]
        for name in [
            "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
            "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
        ] {
            if let value = environmentVariable(name) { values[name] = value }
        }
        return values
    }

    /// Delivers what is due, where no service does; for the end of a command that has ended runs.
    func deliverNotifications(_ store: Store) {
        // What is not delivered here stays in the outbox, for the next command or a service; `notify log` shows it.
        guard let next = try? store.database.nextNotificationTime(), next.seconds <= Syscall.wallClockSeconds(),
            (try? Self.servicePlace().isServed) == false
        else { return }
        let left = CourierProcess(store).flush(within: 5)
        if left > 0 {
            say(
                "note: \(counted(left, "notification")) could not be delivered yet, and \(left == 1 ? "is" : "are") tried "
                    + "again by the next command that runs a job, or a service; see `cloche notify log`")
        }
    }
}
