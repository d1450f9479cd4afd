import ArgumentParser
import Isolation
import JobScheduling
import LinuxSystem
import PlainText
import Policies
import SystemPackage
import TerminalOutput

/// Which directory of policies is meant.
struct PolicyPlaceOptions: ParsableArguments {
    @Flag(help: "The system's policies in /etc/cloche/policies, instead of the store's; needs root.") var system = false

    func store() throws -> PolicyStore {
        system ? .system : try PolicyStore(ofStore: CommandContext.storePath())
    }
}

struct PolicyApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Put a policy document into force, and tell what changes.",
        discussion: """
            Jobs keep the policy that they were made with; new ones get the new one. In a shared service, whoever may not \
            use it any more can start, resume, trigger, retry and copy no job of it; runs that wait and times of schedules \
            go on until the job is cancelled. What was in force before is kept:
            `policy log` lists it, `policy rollback` brings it back.

            Examples:
              cloche policy apply lab.yaml --dry-run
              cloche policy apply ./drafts/new.yaml --name lab --system
            """)
    @Argument(help: "The document.", completion: Completion.documents) var file: String
    @Option(help: "The policy's name; by default that of the file.") var name: String?
    @Flag(name: .customLong("dry-run"), help: "Only tell what would change.") var dryRun = false
    @OptionGroup var place: PolicyPlaceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let path = FilePath(file)
        let name = name ?? path.lastComponent?.stem ?? ""
        if path.lastComponent?.string == PolicyCeiling.fileName, self.name == nil {
            throw CommandFailure(
                .usage, "put the ceiling into force: it is no policy",
                hint: "check it with `cloche policy validate \(shellWord(file))` and install it in /etc/cloche/policies"
            )
        }
        let bytes = try Syscall.readFile(path, limit: PolicyDocument.sizeLimit + 1)
        // Faults are told in the file that the user has.
        _ = try CommandContext.policies().resolve(reading: bytes, name: name, file: file)
        var change = try PolicyChange(of: name, in: place.store(), to: bytes)
        try change.findJobs()
        if !dryRun, !change.isEmpty { try change.make(.apply) }
        if output.json { return try context.print(json: change.document(made: !dryRun)) }
        if change.isEmpty { return context.say("policy `\(name)` is in force already, as it is") }
        try change.tell(context)
        context.say(
            dryRun ? "nothing was changed: --dry-run" : "policy `\(name)` is in force: \(change.store.path(name))")
    }
}

struct PolicyRollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Bring back the document of a policy that was in force before.",
        discussion: """
            A second rollback takes the first one back.

            Examples:
              cloche policy rollback lab --dry-run
              cloche policy rollback lab
            """)
    @Argument(help: "The policy's name.", completion: Completion.policies) var name: String
    @Option(help: "The document with this digest, or the beginning of one: see `policy log`.") var to: String?
    @Flag(name: .customLong("dry-run"), help: "Only tell what would change.") var dryRun = false
    @OptionGroup var place: PolicyPlaceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try place.store()
        let digest = try digest(store)
        guard let bytes = try store.kept(digest, of: name) else {
            throw CommandFailure(
                .notFound, "bring back the policy `\(printable(name))`: the document \(digest.prefix(12)) is not kept",
                hint: "choose another one of `cloche policy log \(shellWord(name))`")
        }
        var change = try PolicyChange(of: name, in: store, to: bytes)
        try change.findJobs()
        if !dryRun, !change.isEmpty { try change.make(.rollback) }
        if output.json { return try context.print(json: change.document(made: !dryRun)) }
        if change.isEmpty { return context.say("policy `\(name)` is in force already, as it is") }
        try change.tell(context)
        context.say(dryRun ? "nothing was changed: --dry-run" : "policy `\(name)` is \(digest.prefix(12)) again")
    }

    private func digest(_ store: PolicyStore) throws -> String {
        let entries = try store.log().entries.filter { $0.policy == name }
        guard let to else {
            guard let previous = entries.last?.previous else {
                throw CommandFailure(
                    .notFound, "bring back the policy `\(printable(name))`: nothing was in force before",
                    hint: "`cloche policy log \(shellWord(name))` lists what was")
            }
            return previous
        }
        let found = Set(entries.flatMap { [$0.digest, $0.previous] }.compactMap(\.self).filter { $0.hasPrefix(to) })
        guard let digest = found.first, found.count == 1, to.utf8.count >= 4 else {
            throw CommandFailure(
                found.isEmpty ? .notFound : .ambiguous,
                "find the document `\(printable(to))` of the policy `\(printable(name))`: there "
                    + (found.isEmpty ? "was none" : "are several, or it is too short"),
                hint: "`cloche policy log \(shellWord(name))` lists them")
        }
        return digest
    }
}

struct PolicyRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a policy; its documents are kept for `policy rollback`.",
        discussion: """
            Jobs keep the policy that they were made with. What another policy extends is not removed.

            Examples:
              cloche policy rm lab --dry-run
              cloche policy rm lab
            """, aliases: ["remove"])
    @Argument(help: "The policy's name.", completion: Completion.policies) var name: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @Flag(name: .customLong("dry-run"), help: "Only tell whom it concerns.") var dryRun = false
    @OptionGroup var place: PolicyPlaceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try place.store()
        if BuiltInPolicies.names.contains(name) {
            throw CommandFailure(.wrongState, "remove the policy `\(name)`: it is built in", hint: "leave it unused")
        }
        guard PolicyName.isWellFormed(name), try store.content(name) != nil else {
            throw CommandFailure(
                .notFound, "remove the policy `\(printable(name))`: there is none in `\(store.directory)`",
                hint: place.system ? "without --system that of the store is removed" : "`cloche policy ls` lists them")
        }
        var change = try PolicyChange(of: name, in: store, to: nil)
        guard change.dependents.isEmpty else {
            throw CommandFailure(
                .wrongState,
                "remove the policy `\(name)`: \(change.dependents.joined(separator: ", ")) "
                    + (change.dependents.count == 1 ? "extends it" : "extend it"),
                hint: "remove those first, or let them extend another one")
        }
        try change.findJobs()
        if output.json {
            if !dryRun { try confirm(context, change) }
            return try context.print(json: change.document(made: !dryRun))
        }
        try change.tell(context)
        guard !dryRun else { return context.say("nothing was changed: --dry-run") }
        try confirm(context, change)
        context.say("removed; `cloche policy rollback \(name)` brings it back")
    }

    private func confirm(_ context: CommandContext, _ change: PolicyChange) throws {
        try Confirmation.standard(isGranted: yes, streams: context.streams).require("remove the policy `\(name)`?")
        try change.make(.remove)
    }
}

struct PolicyLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "List the changes of policies: who, when, and to which document.",
        discussion: """
            The log is only ever appended to, and each line carries the digest of the one before it: a line that was \
            changed or taken out is told, with exit code 1.

            Examples:
              cloche policy log
              cloche policy log lab
            """)
    @Argument(help: "Only this policy.", completion: Completion.policies) var name: String?
    @OptionGroup var place: PolicyPlaceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let log = try place.store().log()
        let entries = log.entries.filter { name == nil || $0.policy == name }
        if output.json {
            struct Document: Encodable {
                var entries: [PolicyLogEntry]
                var breaks: [Int]
            }
            try context.print(json: Document(entries: entries, breaks: log.breaks))
        } else if entries.isEmpty {
            context.say("no changes yet; `cloche policy apply FILE` makes one")
        } else {
            var table = Table([
                Table.Column("TIME"), Table.Column("USER"), Table.Column("ACTION"), Table.Column("POLICY"),
                Table.Column("DIGEST"), Table.Column("BEFORE", priority: 1),
            ])
            for entry in entries {
                table.append([
                    Table.Cell(entry.time.description), Table.Cell(entry.userName ?? String(entry.user)),
                    Table.Cell(entry.action.rawValue), Table.Cell(entry.policy),
                    Table.Cell(entry.digest.map { String($0.prefix(12)) } ?? ""),
                    Table.Cell(entry.previous.map { String($0.prefix(12)) } ?? ""),
                ])
            }
            try context.print(table)
        }
        if let first = log.breaks.first {
            throw CommandFailure(
                .failed, "trust the log of `\(try place.store().directory)`: it was changed before line \(first)",
                hint: "compare it with a backup")
        }
    }
}
