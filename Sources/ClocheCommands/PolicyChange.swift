import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Policies
import SystemPackage
import TerminalOutput

/// A change of one policy document that has not been made yet: what it means, and whom it concerns.
struct PolicyChange {
    /// A job that names a policy that changes.
    struct Job: Encodable {
        var name: String, state: String, policy: String
        /// The user of a service whose job it is; nil where it is the store's own.
        var owner: String?
    }

    let name: String
    let store: PolicyStore
    /// The document that is in force, and the one that shall be; nil is none.
    let before: [UInt8]?, after: [UInt8]?
    /// What it means, seen from what is in force; for a policy that is new, from what it extends.
    private(set) var differences: [PolicyDifference] = []
    /// Policies that extend it, and mean something else afterwards.
    private(set) var dependents: [String] = []
    private(set) var jobs: [Job] = []
    private(set) var warnings: [PolicyProblem] = []

    /// Looks at a change; throws where the policy, or one that extends it, would be none any more.
    init(of name: String, in store: PolicyStore, to after: [UInt8]?) throws {
        self.name = name
        self.store = store
        self.after = after
        before = try store.content(name)
        let catalogue = try CommandContext.policies()
        let changed = catalogue.replacing(name, with: after, in: store.layer)
        var base: SandboxPolicy?
        if after != nil {
            let resolved = try changed.resolve(name)
            warnings = resolved.warnings
            let parent = try resolved.lineage.dropFirst().first.map { try changed.policy(named: $0) }
            base = before == nil ? parent : try? catalogue.policy(named: name)
            if let base = base ?? parent { differences = PolicyDifference.between(base, resolved.policy) }
        }
        for other in catalogue.names where other != name {
            guard let present = try? catalogue.resolve(other), present.lineage.contains(name) else { continue }
            guard after != nil else {
                dependents.append(other)
                continue
            }
            // A policy that would be wrong afterwards is an error with its place.
            if try changed.policy(named: other) != present.policy { dependents.append(other) }
        }
    }

    /// Whether nothing changes.
    var isEmpty: Bool { before == after }

    /// Finds the jobs that name the policy, or one that extends it.
    mutating func findJobs() throws {
        let names = Set([name] + dependents)
        // The database of a store that has none yet is not made for this.
        guard Syscall.exists(try CommandContext.storePath().appending("cloche.db")) else { return }
        let own = try CommandContext().openStore()
        let stores = try [own] + (own.owner == nil ? StoreOwner.all(in: own.path).map { try Store.open($0.store) } : [])
        jobs = try stores.flatMap { store in
            try store.database.jobs(limit: 100_000).filter { names.contains($0.policyName) }.map { job in
                Job(
                    name: job.name.description, state: job.state.rawValue, policy: job.policyName,
                    owner: store.owner?.text)
            }
        }
    }

    /// Makes the change.
    func make(_ action: PolicyLogEntry.Action) throws {
        do throws(SyscallError) {
            try store.change(name, to: after, from: before, as: action)
        } catch {
            switch error.errno {
            case .resourceBusy:
                throw CommandFailure(
                    .busy, "change the policy `\(name)`: somebody has changed it meanwhile",
                    hint: "look at it with `cloche policy log \(name)`, and try again")
            case .permissionDenied, .notPermitted, .readOnlyFileSystem:
                throw CommandFailure(
                    .permissionDenied, "change the policy `\(name)` in `\(store.directory)`: \(error)",
                    hint: store.layer == .system ? "be root" : "see to whom the store belongs")
            default: throw error
            }
        }
    }

    /// Tells what would change, and whom it concerns.
    func tell(_ context: CommandContext) throws {
        for warning in warnings { context.say("warning: \(warning)") }
        try PolicyDiffCommand.print(differences, context)
        if !dependents.isEmpty { try context.print("policies that extend it: \(dependents.joined(separator: ", "))") }
        for job in jobs {
            let whose = job.owner.map { " of \(printable($0))" } ?? ""
            try context.print(
                "job \(printable(job.name))\(whose) (\(job.state)) names `\(printable(job.policy))`, and keeps what it "
                    + "pinned")
        }
        if jobs.contains(where: { $0.owner != nil && JobState(rawValue: $0.state)?.isFinal == false }) {
            context.say(
                "who may not use a policy any more starts nothing by it; what waits or is scheduled already goes on until "
                    + "`CLOCHE_OWNER=NAME cloche cancel JOB`")
        }
    }

    /// The same as a document.
    struct Document: Encodable {
        var policy: String, layer: PolicyLayer, file: String
        var digest: String?, previous: String?
        var changed: Bool
        var differences: [PolicyDifference]
        var dependents: [String]
        var jobs: [Job]
    }

    func document(made: Bool) -> Document {
        Document(
            policy: name, layer: store.layer, file: store.path(name).string, digest: after.map(PolicyStore.digest),
            previous: before.map(PolicyStore.digest), changed: made && !isEmpty, differences: differences,
            dependents: dependents, jobs: jobs)
    }
}
