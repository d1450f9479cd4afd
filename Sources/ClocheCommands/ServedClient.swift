import ArgumentParser
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Policies
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A command that the client of a shared service may have executed.
///
/// The command line comes from the client, and the process has the rights of the service: a command that takes a path
/// takes what was received in its place, and refuses what it would open otherwise.
protocol ServedCommand: ParsableCommand {
    /// What the client's command sends along.
    var sent: SentFiles { get }
    /// Makes sure that nothing is opened that the client names; throws where that cannot be had.
    mutating func restrict(to client: ServedClient) throws
}

/// What goes from a client to the service beside the words of his command.
struct SentFiles {
    /// A pipeline's file: its project is sent.
    var pipeline: String?
    /// A parameters file.
    var parameters: String?
    /// The name of a secret of which the value is read here.
    var secret: String?
}

extension ServedCommand {
    var sent: SentFiles { SentFiles() }
    mutating func restrict(to client: ServedClient) throws {}
}

/// A command that needs no store: a client's own process executes it, with his rights.
protocol StorelessCommand: ParsableCommand {}

extension ServedClient {
    /// The client for whom this process executes a command; nil where its user does it himself.
    static let current: ServedClient? = environmentVariable(variable).map { text in
        // Whoever cannot be told who asks does nothing for him.
        JSONFile.decode(ServedClient.self, Array(text.utf8))
            ?? ServedClient(
                user: .max, groups: [], userName: nil, groupNames: [], isAdministrator: false, quota: nil)
    }

    /// Executes the command of this process for the client.
    func serve() throws {
        // What shells ask the parser for would be answered without a look at who asks.
        if let word = CommandLine.arguments.dropFirst().first(where: { $0.hasPrefix("---") }) {
            throw Self.notServed(printable(word))
        }
        var command = try ClocheCommand.parseAsRoot()
        // Nobody would read what it prints.
        try Syscall.setParentDeathSignal(SIGTERM)
        guard var served = command as? any ServedCommand else {
            // Help is the parser's own.
            guard let name = Self.name(of: type(of: command)) else { return try command.run() }
            throw Self.notServed(name)
        }
        try served.restrict(to: self)
        try served.run()
    }

    /// The words with which a command of ours is called; nil for those of the parser.
    static func name(of command: any ParsableCommand.Type) -> String? {
        func find(_ commands: [any ParsableCommand.Type], _ path: String) -> String? {
            for next in commands {
                let path = "\(path) \(next.configuration.commandName ?? "")"
                if next == command { return path }
                if let found = find(next.configuration.subcommands, path) { return found }
            }
            return nil
        }
        return find([ClocheCommand.self], "").map { String($0.dropFirst()) }
    }

    static func notServed(_ name: String) -> CommandFailure {
        CommandFailure(
            .permissionDenied, "`\(name)`: a shared service does not do that for its users",
            hint: "unset CLOCHE_SERVICE to do it in a store of your own, or ask whoever runs the service")
    }

    /// Refuses a policy that is for others.
    func requireUse(of policy: ResolvedPolicy) throws {
        guard !mayUse(policy) else { return }
        let reason =
            if let users = policy.users {
                "it is for \(users.entries.joined(separator: ", ")), and you are \(userName ?? String(user))"
            } else {
                "it opens \(policy.policy.devices == nil ? "the network" : "devices") of the host, and does not say for "
                    + "which users of the service"
            }
        throw CommandFailure(
            .policyDenied, "use the policy `\(printable(policy.policy.name))`: \(reason)",
            hint: "`cloche policy ls` lists those that you may use; whoever runs the service sets `users` in others")
    }

    /// Refuses new runs of a job by a policy that was for its owner when the job was made, and is not any more.
    ///
    /// A policy that has been removed since is kept, as by all jobs.
    static func requireUse(ofPolicyOf job: JobID, in store: Store) throws {
        guard let client = current else { return }
        do {
            try client.requireUse(of: CommandContext.policies().resolve(store.document(job).policy.name))
        } catch PolicyError.notFound {
            return
        }
    }

    /// Whether the client may use a policy; what opens something of the host itself is for those alone whom it names.
    func mayUse(_ policy: ResolvedPolicy) -> Bool {
        let opensHost = policy.policy.devices != nil || policy.policy.network == .host
        return isAdministrator
            || policy.users?.allows(user: user, name: userName, groups: groups, groupNames: groupNames) ?? !opensHost
    }

    /// The parameters file that was received, in place of the one that the client names.
    func received(_ parameters: String?) throws -> String? {
        guard parameters != nil else { return nil }
        return try require(self.parameters, "the parameters file")
    }

    func requireProject() throws { _ = try require(project, "the project") }

    private func require<Value>(_ value: Value?, _ what: String) throws -> Value {
        if let value { return value }
        throw CommandFailure(
            .usage, "serve the client: \(what) was not sent", hint: "use the version of `cloche` that the service has")
    }

    /// Refuses the name of a policy that is a path.
    static func requireName(_ name: String) throws {
        guard PolicyName.isWellFormed(name) else {
            throw CommandFailure(
                .permissionDenied, "read the policy `\(printable(name))`: a service reads no file that its users name",
                hint: "give the name of one of its policies; `cloche policy ls` lists them")
        }
    }
}

extension JobRequest {
    /// Makes it a request of the client for whom this process works, if it works for one.
    mutating func serve() {
        guard let client = ServedClient.current else { return }
        received = client.project
    }
}
