import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Policies
import PreparedCommands
import Runs
import Snapshots
import Synchronization
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// Options that every command has which prints data.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON document.")
    var json = false
}

/// What commands share: where they write, and the store.
struct CommandContext {
    let streams = OutputStreams.standard()

    /// The directory of the store, or of the one that it keeps for the user whom CLOCHE_OWNER names.
    static func storePath() throws -> FilePath {
        let store = try StorePlace.path(environmentVariable)
        guard let name = environmentVariable("CLOCHE_OWNER"), !name.isEmpty, ServedClient.current == nil else {
            return store
        }
        let owners = try StoreOwner.all(in: store)
        if let found = owners.first(where: { $0.owner.name == name || String($0.owner.user) == name }) {
            return found.store
        }
        throw CommandFailure(
            .notFound, "find the store of the user `\(printable(name))`: the store `\(store)` keeps none for him",
            hint: owners.isEmpty
                ? "it keeps none for anybody; unset CLOCHE_OWNER"
                : "it has those of " + owners.map { $0.owner.text }.joined(separator: ", "))
    }

    /// Opens the store, after bringing its database to the truth of its run directories.
    func openStore() throws -> Store {
        var store = try Store.open(try Self.storePath())
        store.quota = ServedClient.current?.quota
        do {
            for warning in try Recovery.reconcile(store) { say("warning: \(printable(warning))") }
        } catch {
            // What there is can be looked at, and removed, on a full disk too.
            guard let failure = Failures.failure(error), failure.code == .quotaExceeded else { throw error }
            say("warning: what became of runs cannot be written down: \(printable("\(error)")); make room on the disk")
        }
        return store
    }

    /// Opens the snapshots of the store alone; who owns what is captured comes with them.
    func openSnapshots() throws -> (SnapshotStore, owner: FileOwner?) {
        try Store.openSnapshots(try Self.storePath())
    }

    /// The present time.
    static func now() -> Timestamp { Timestamp(seconds: Syscall.wallClockSeconds()) }

    /// The environments of a store.
    func environments(_ store: Store) throws -> EnvironmentProvider {
        try EnvironmentProvider(store, recipes: environmentVariable("CLOCHE_ENVIRONMENTS").map { FilePath($0) })
    }

    /// The policy of that name.
    ///
    /// Refused where it is not for the client of a service.
    static func policy(_ name: String) throws -> SandboxPolicy { try resolvedPolicy(name).policy }

    /// The policy of that name, and where it comes from; refused like `policy(_:)`.
    static func resolvedPolicy(_ name: String) throws -> ResolvedPolicy {
        let resolved = try policies().resolve(name)
        try ServedClient.current?.requireUse(of: resolved)
        return resolved
    }

    /// All policies.
    static func policies() throws -> PolicyCatalogue {
        try PolicyCatalogue.standard(store: try storePath())
    }

    /// Tells what the administrator's ceiling took from a policy.
    func sayClips(of policy: SandboxPolicy) {
        for clip in policy.clipped ?? [] { say("note: the policy `\(policy.name)` is clipped: \(printable(clip))") }
    }

    /// Prints data.
    func print(_ text: String) throws { try write(text + "\n", to: streams.output) }

    /// Prints a document as JSON.
    func print(json value: some Encodable) throws {
        guard let bytes = JSONFile.encode(value) else {
            throw CommandFailure(.internalFault, "write JSON: a number is not finite")
        }
        try write(String(decoding: bytes, as: UTF8.self), to: streams.output)
    }

    /// Tells something that is not data.
    func say(_ text: String) { try? streams.error.write(text + "\n") }

    /// Tells what does not keep a document from being used, and once what to do about several of a kind.
    func say(_ warnings: [Diagnostic]) {
        for (index, warning) in warnings.enumerated() {
            say("warning: \(warning)")
            let next = index + 1 < warnings.count ? warnings[index + 1].hint : nil
            if let hint = warning.hint, hint != next { say("hint: \(hint)") }
        }
    }

    /// Tells a failure that does not end the command.
    func say(_ failure: CommandFailure) {
        // There is nobody else to tell that standard error is closed.
        try? streams.error.write(failure.rendered(styling: streams.error.styling))
    }

    /// Prints a table, and tells which of its columns a narrow terminal has no room for.
    func print(_ table: Table) throws {
        try write(table.rendered(for: streams.output), to: streams.output)
        let leftOut = table.leftOut(for: streams.output)
        guard !leftOut.isEmpty else { return }
        say(
            "note: \(counted(leftOut.count, "column")) left out: \(leftOut.joined(separator: ", ")); "
                + "a wider terminal or --json shows \(leftOut.count == 1 ? "it" : "them")")
    }

    /// Prints bytes as they are.
    func write(_ bytes: [UInt8]) throws { try write(bytes, to: streams.output) }

    private func write(_ text: String, to channel: OutputChannel) throws { try write(Array(text.utf8), to: channel) }

    /// Whether there is data on standard output; a failure is no part of the document then.
    static let hasPrinted = Atomic(false)

    private func write(_ bytes: [UInt8], to channel: OutputChannel) throws {
        Self.hasPrinted.store(true, ordering: .relaxed)
        do throws(SyscallError) {
            try channel.write(bytes)
        } catch {
            if let failure = CommandFailure(writing: "standard output", error) { throw failure }
            throw ExitCode(0)
        }
    }
}

/// A job, a run or a step, as a command's argument names it.
struct Target {
    let job: JobRecord
    let run: RunRecord?
    let step: StepRecord?

    /// Finds what a reference names.
    init(_ text: String, in store: Store) throws {
        let reference = try RunReference(text)
        do {
            job = try store.database.job(matching: reference.job)
        } catch {
            guard case .notFound(let name, _) = error, let owner = Self.owner(of: reference.job, in: store) else {
                throw error
            }
            throw CommandFailure(
                .notFound, "find the job `\(printable(name))`: it is a job of \(printable(owner))",
                hint: "set CLOCHE_OWNER=\(shellWord(owner)) for jobs of that user")
        }
        guard let number = reference.run else {
            run = nil
            step = nil
            return
        }
        let record = try store.database.run(number, of: job)
        run = record
        guard let name = reference.step else {
            step = nil
            return
        }
        step = try Self.step(name, of: record.address, in: store)
    }

    /// The user of the store's service who has a job that this one does not have.
    private static func owner(of job: RunReference.Job, in store: Store) -> String? {
        // A hint: where a user's store cannot be read, the job is told as not found, as without it.
        guard store.owner == nil, let owners = try? StoreOwner.all(in: store.path) else { return nil }
        return owners.first { _, path in
            (try? JobDatabase(reading: path.appending("cloche.db").string).job(matching: job)) != nil
        }?.owner.text
    }

    /// The step of that title, file or uuid, or of a uuid that begins so.
    static func step(_ name: String, of run: RunAddress, in store: Store) throws -> StepRecord {
        let steps = try store.database.steps(of: run)
        var files: [String: String] = [:]
        // A run that has not started has no directory yet; its steps still have titles and uuids.
        if let spec = try? store.runDirectory(run).spec() {
            for step in spec.steps { files[step.uuid] = step.file }
        }
        let matches: [(StepRecord) -> Bool] = [
            { $0.title == name || $0.uuid == name },
            { files[$0.uuid] == name || files[$0.uuid] == "/project-dir/\(name)" },
            { $0.uuid.hasPrefix(name) || $0.title.lowercased() == name.lowercased() },
            { files[$0.uuid]?.hasSuffix("/\(name)") ?? false },
        ]
        for matches in matches {
            let found = steps.filter(matches)
            if found.count == 1 { return found[0] }
            guard found.count > 1 else { continue }
            throw CommandFailure(
                .ambiguous, "find the step `\(name)`: that means \(found.count) steps",
                hint: "use the uuid of one of them: \(found.map(\.uuid).joined(separator: ", "))")
        }
        let meant = EditDistance.nearest(to: name, in: steps.map(\.title) + files.values)
        throw CommandFailure(
            .notFound, "find the step `\(printable(name))`: the run has no such step",
            hint: meant.map { "did you mean `\(printable($0))`?" }
                ?? (steps.isEmpty
                    ? "the run has not started"
                    : "its steps are " + steps.map { printable($0.title) }.joined(separator: ", ")))
    }
}
