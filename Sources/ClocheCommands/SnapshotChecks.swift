import ArgumentParser
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct SnapshotVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read snapshots again, and find every bit that is not as it was.",
        discussion: """
            Without an argument all snapshots are read. One that is damaged is used no more: its jobs do not start until \
            a snapshot of the same content replaces it. The exit code is 1 when something is damaged.

            Examples:
              cloche snapshot verify
              cloche snapshot verify sweep
            """)
    @Argument(help: "Beginnings of identities, or jobs.", completion: Completion.snapshotsAndJobs) var references:
        [String] = []
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let stored = try StoredSnapshots(context)
        let identities =
            references.isEmpty ? try stored.snapshots.identities() : try references.map { try stored.identity($0) }
        var documents: [JSONValue] = []
        var damaged = 0
        for identity in identities {
            let (differences, cause) = try verify(context, stored.snapshots, identity)
            let isSound = differences.isEmpty && cause == nil
            if !isSound { damaged += 1 }
            documents.append(
                Documents.object([
                    ("identity", .string(identity.description)), ("sound", .bool(isSound)),
                    ("cause", cause.map { .string($0) } ?? .null),
                    ("differences", .array(differences.map(Documents.difference))),
                ]))
            guard !output.json else { continue }
            try context.print("\(SnapshotTarget.short(identity)): \(cause ?? (isSound ? "sound" : "damaged"))")
            for difference in differences.prefix(Self.shown) { try context.print("  \(difference)") }
            if differences.count > Self.shown { try context.print("  and \(differences.count - Self.shown) more") }
        }
        if output.json { try context.print(Documents.object([("snapshots", .array(documents))])) }
        guard damaged > 0 else { return }
        if !output.json {
            context.say(
                "\(counted(damaged, "snapshot")) of \(identities.count) damaged; take them again of the same project")
        }
        throw ExitCode(1)
    }

    private static let shown = 20

    private func verify(
        _ context: CommandContext, _ snapshots: SnapshotStore, _ identity: SnapshotIdentity
    ) throws -> ([SnapshotDifference], cause: String?) {
        do {
            let differences = try SnapshotProgress(context, "verifying \(SnapshotTarget.short(identity))").show {
                try snapshots.verify(identity, progress: $0)
            }
            return (differences, nil)
        } catch let error as SnapshotError {
            guard case .damaged(let cause) = error.reason else { throw error }
            return ([], "damaged: \(cause)")
        }
    }
}

struct SnapshotExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a snapshot as a tar archive, to restore it anywhere.",
        discussion: """
            Modes, times, links, holes, extended attributes and names of any bytes are kept.

            Examples:
              cloche snapshot export grid grid.tar
              cloche snapshot export grid - | tar --extract --xattrs --directory restored
            """)
    @Argument(help: "The beginning of its identity, or a job.", completion: Completion.snapshotsAndJobs) var reference:
        String
    @Argument(help: "The archive's file, or - for standard output.", completion: .file()) var file: String

    func run() throws {
        let context = CommandContext()
        guard !file.isEmpty else {
            throw CommandFailure(
                .usage, "write the archive: its name is empty", hint: "name a file, or `-` for standard output")
        }
        let stored = try StoredSnapshots(context)
        let (snapshots, identity) = (stored.snapshots, try stored.identity(reference))
        if file == "-" {
            guard !Syscall.isTerminal(STDOUT_FILENO) else {
                throw CommandFailure(
                    .usage, "write the archive: standard output is a terminal",
                    hint: "name a file, or put a pipe behind it")
            }
            do {
                try export(context, snapshots, identity, to: STDOUT_FILENO)
            } catch let error as SyscallError {
                if let failure = CommandFailure(writing: "standard output", error) { throw failure }
                throw ExitCode(0)
            }
            return
        }
        let path = FilePath(file)
        guard !Syscall.exists(path) else { throw exists() }
        // Half an archive is none, and is called so: whoever is stopped leaves it to the next one.
        let partial = FilePath(file + ".cloche-part")
        let opened = try Syscall.open(partial, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o666)
        let status = try Syscall.fstat(opened.number)
        guard status.isRegular, status.links == 1, status.user == Syscall.effectiveUser else {
            throw CommandFailure(
                .alreadyExists, "write `\(printable(partial.string))`: it exists, and is no file that an export left",
                hint: "remove it, or name another file")
        }
        do throws(SyscallError) {
            try Syscall.flock(opened.number, LOCK_EX | LOCK_NB)
        } catch {
            guard error.errno == .wouldBlock else { throw error }
            throw CommandFailure(
                .alreadyExists, "write `\(printable(file))`: another command is just writing it",
                hint: "wait for it, or name another file")
        }
        do {
            try Syscall.truncate(opened.number, to: 0)
            try export(context, snapshots, identity, to: opened.number)
            try Syscall.fsync(opened.number)
            try Syscall.rename(partial, to: path, replacing: false)
        } catch {
            // What stays is overwritten by the next one; the failure itself is told.
            try? Syscall.unlink(partial)
            if let error = error as? SyscallError, error.errno == .fileExists { throw exists() }
            throw error
        }
        context.say("wrote \(printable(file)): \(humanBytes(try Syscall.fstat(opened.number).size))")
    }

    private func exists() -> CommandFailure {
        CommandFailure(
            .alreadyExists, "write `\(printable(file))`: it exists", hint: "remove it, or name another file")
    }

    private func export(
        _ context: CommandContext, _ snapshots: SnapshotStore, _ identity: SnapshotIdentity, to descriptor: CInt
    ) throws {
        try SnapshotProgress(context, "exporting").show { report in
            try snapshots.export(identity, progress: report) { try Syscall.writeWaiting(descriptor, $0) }
        }
    }
}
