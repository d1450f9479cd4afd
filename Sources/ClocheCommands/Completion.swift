import ArgumentParser
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Policies
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print a script by which a shell completes commands, jobs, runs and names.",
        discussion: """
            Examples:
              cloche completion bash > /etc/bash_completion.d/cloche
              source <(cloche completion bash)                 in this shell alone
              cloche completion zsh > "${fpath[1]}/_cloche"
              cloche completion fish > ~/.config/fish/completions/cloche.fish
            """)

    @Argument(help: "bash, zsh or fish.", completion: .list(CompletionShell.allCases.map(\.rawValue))) var shell: String

    func run() throws {
        guard let known = CompletionShell.allCases.first(where: { $0.rawValue == shell }) else {
            throw ValidationError("there is no completion for `\(printable(shell))`, only for bash, zsh and fish")
        }
        try CommandContext().print(ClocheCommand.completionScript(for: known))
    }
}

/// What a shell proposes while a name is being typed.
///
/// It never makes a store, changes nothing, and says nothing of errors: a proposal that cannot be made is none.
enum Completion {
    /// So many names are proposed.
    private static let most = 500

    /// Jobs; behind `JOB/` the numbers of its runs, behind `JOB/7/` its steps.
    static let references = CompletionKind.custom { _, _, word in references(word) }
    /// Jobs alone.
    static let jobs = CompletionKind.custom { _, _, word in references(String(word.prefix { $0 != "/" })) }
    /// Policies.
    static let policies = CompletionKind.custom { _, _, _ in policyNames }
    /// Policies, jobs, their runs and steps.
    static let policiesAndReferences = CompletionKind.custom { _, _, word in policyNames + references(word) }
    /// Documents of policies, and directories on the way to them.
    static let documents = CompletionKind.file(extensions: ["yaml"])
    /// Environments that have been built.
    static let environments = CompletionKind.custom { _, _, _ in builtEnvironments }
    /// Bases that can be built.
    static let bases = CompletionKind.custom { _, _, _ in baseNames }
    /// Names of secrets.
    static let secrets = CompletionKind.custom { _, _, _ in names(in: "secrets") }
    /// Names of notifiers.
    static let notifiers = CompletionKind.custom { _, _, _ in documents(in: "notifications") }
    /// States of jobs and runs.
    static let states = CompletionKind.list(
        JobState.allCases.map(\.rawValue) + [RunState.skipped.rawValue])
    /// Snapshots, by the beginnings of their identities.
    static let snapshots = CompletionKind.custom { _, _, _ in identities }
    /// Snapshots, and jobs.
    static let snapshotsAndJobs = CompletionKind.custom { _, _, word in
        identities + references(String(word.prefix { $0 != "/" }))
    }
    /// Steps of the run that an earlier word names.
    static let stepsOfReference = CompletionKind.custom { words, _, _ in
        words.lazy.map { references($0.split(separator: "/").count == 2 ? $0 + "/" : "") }.first { steps in
            steps.contains { $0.split(separator: "/").count == 3 }
        }?.compactMap { $0.split(separator: "/", maxSplits: 2).last.map(String.init) } ?? []
    }
    /// Pipelines and directories on the way to them.
    static let pipelines = CompletionKind.file(extensions: ["orchest"])

    private static func database() -> JobDatabase? {
        guard let path = try? CommandContext.storePath().appending("cloche.db"), Syscall.exists(path) else {
            return nil
        }
        return try? JobDatabase(reading: path.string)
    }

    private static func references(_ word: String) -> [String] {
        guard let database = database() else { return [] }
        let parts = word.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else {
            let jobs = (try? database.jobs(limit: most)) ?? []
            return (["@last"] + jobs.map(\.name.description)).filter { $0.hasPrefix(word) && isPlain($0) }
        }
        guard let reference = try? RunReference(parts[0]).job, let job = try? database.job(matching: reference) else {
            return []
        }
        guard parts.count > 2 else {
            let outlines = (try? database.outlines(of: job.uuid, limit: 10_000)) ?? []
            return outlines.lazy.map { "\(parts[0])/\($0.number)" }.filter { $0.hasPrefix(word) }.prefix(most)
                .map { $0 }
        }
        guard let number = Int(parts[1]), let run = try? database.run(number, of: job),
            let steps = try? database.steps(of: run.address)
        else { return [] }
        return steps.map { "\(parts[0])/\(parts[1])/\($0.title)" }.filter { $0.hasPrefix(word) && isPlain($0) }
    }

    private static var policyNames: [String] { (try? CommandContext.policies().names) ?? [] }

    private static var identities: [String] {
        names(in: "snapshots").filter { $0.utf8.count == 64 }.map { String($0.prefix(16)) }
    }

    /// Names of the recipes of bases.
    static var baseNames: [String] {
        EnvironmentProvider.baseNames(recipes: environmentVariable("CLOCHE_ENVIRONMENTS").map { FilePath($0) })
    }

    /// Names of environments that have a build in force.
    static var builtEnvironments: [String] { documents(in: "environments/names") }

    /// Names of the documents in a directory of the store.
    private static func documents(in directory: String) -> [String] {
        names(in: directory).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
    }

    private static func names(in directory: String) -> [String] {
        guard let path = try? CommandContext.storePath().appending(directory),
            let opened = try? Syscall.open(path, O_RDONLY | O_DIRECTORY),
            let entries = try? Syscall.directoryEntries(opened.number)
        else { return [] }
        return entries.map { String(decoding: $0.name, as: UTF8.self) }.filter(isPlain).sorted()
    }

    /// A name that a shell's script passes on as it is: whoever named a job or a step must not reach a command line.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.unicodeScalars.allSatisfy { scalar in
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "@-_.+/".unicodeScalars.contains(scalar)
            }
    }
}
