package import Isolation
import JobStorage
package import Jobs
import LinuxSystem
package import Pipelines
import PlainText
import Runs
import Snapshots
package import SystemPackage

/// What an author wants to be different of a job that there is already.
package struct JobEdit {
    package var name: JobName?
    /// A parameters file whose grid takes the place of the old one.
    package var parametersFile: FilePath?
    /// Numbers of the grid to leave out, or to take alone.
    package var skip: RunSelection?, only: RunSelection?
    /// Variables to set.
    package var variables: [String: String] = [:]
    package var policy: SandboxPolicy?
    /// How the limits change; nil leaves them.
    package var limits: ((inout JobOptions) -> Void)?
    /// Gives the new schedule for the old one; nil leaves it.
    package var schedule: ((JobSchedule?) throws -> JobSchedule?)?

    /// Changes nothing.
    package init() {}

    /// What it changes.
    package var parts: [JobPart] {
        var parts: [JobPart] = []
        if name != nil { parts.append(.name) }
        if limits != nil { parts.append(.limits) }
        if policy != nil { parts.append(.policy) }
        if schedule != nil { parts.append(.schedule) }
        if parametersFile != nil || skip != nil || only != nil || !variables.isEmpty { parts.append(.runs) }
        return parts
    }
}

extension Store {
    /// Changes a job as its author wants, wholly or not at all.
    package func edit(_ job: JobID, _ edit: JobEdit, at now: Timestamp) throws {
        try change(job) { document in
            let record = try database.job(job)
            for part in edit.parts {
                do throws(RefusedEdit) {
                    try part.checkChange(in: record.state, awaitsBatches: record.next != nil)
                } catch {
                    throw JobEditError(job: record.name, refusal: error)
                }
            }
            var new = document
            if let name = edit.name { new.name = name }
            edit.limits?(&new.options)
            if let problem = new.options.problemOfOption {
                throw ParameterError("change the job: \(problem)", hint: "see `cloche job edit --help`")
            }
            new.variables.merge(edit.variables) { _, new in new }
            try changeRuns(&new, edit)
            if let schedule = edit.schedule {
                new.schedule = try schedule(document.schedule)
                if record.state != .draft { try changeTimes(&new, at: now) }
            }
            if let policy = edit.policy {
                let bytes = try JobCreation.policyBytes(policy)
                new.policy = .init(name: policy.name, digest: Digest.hexadecimal(bytes))
                // The file before whatever names it.
                try write(document, policy: bytes, name: Self.policyName(new.policy.digest))
            }
            document = new
        } then: { document in
            // The document first: it is the truth, and an interrupted change is found by the next one.
            try database.update(document)
        }
        try removeRunsBeyondKeep(of: job)
    }

    private func changeTimes(_ document: inout JobDocument, at now: Timestamp) throws {
        guard let schedule = document.schedule else {
            throw JobRefusal(
                message: "take the schedule of the job `\(shellWord(document.name.description))` away: it was started",
                hint: "end it by `cloche cancel \(shellWord(document.name.description))`, or change its times")
        }
        document.batches.next = try schedule.first(after: now)
        document.batches.decided = schedule.isRecurring ? now : nil
    }

    private func changeRuns(_ document: inout JobDocument, _ edit: JobEdit) throws {
        guard edit.parametersFile != nil || edit.skip != nil || edit.only != nil else { return }
        guard document.parameters.singleRun == nil, let identity = SnapshotIdentity(document.snapshot) else {
            throw ParameterError("change the grid: the job has a single run", hint: "make a job by `cloche job create`")
        }
        let files = ProjectFiles(layers: try snapshots.snapshot(identity).layers)
        let pipeline = try files.pipeline(document.pipeline.path)
        let bytes = try edit.parametersFile.map { try Syscall.readFile($0, limit: 17 << 20) }
        let grid = try ParameterGrid(
            contentsOf: bytes ?? Array(document.parameters.grid.utf8),
            file: edit.parametersFile?.string ?? "parameters of the job", for: pipeline)
        guard let count = grid.count, count <= JobCreation.mostRuns else {
            throw ParameterError(
                "make the runs of the grid: there are \(grid.count.map(String.init) ?? "more than 10^18") combinations",
                hint: "leave values out; at most \(JobCreation.mostRuns) runs are made")
        }
        document.parameters.grid = grid.json.text(pretty: false, sortedKeys: false)
        document.parameters.selection = RunNumbers(
            try JobCreation.selected(of: count, only: edit.only, skip: edit.skip))
    }

    /// Makes a draft of the same snapshot, environments, policy, parameters and options as a job has.
    package func copy(_ job: JobID, named name: JobName?, owner: UInt32, at now: Timestamp) throws -> JobDocument {
        let lock = try lockDocument(job)
        defer { withExtendedLifetime(lock) {} }
        // As long as the lock is held the source stays, and keeps what it is pinned to.
        var copy = try document(job)
        let policy = try JobCreation.policyBytes(try policy(of: copy))
        copy.policy.digest = Digest.hexadecimal(policy)
        copy.uuid = .random()
        copy.name = try name ?? database.freeName(like: copy.name, owner: owner)
        copy.owner = owner
        copy.created = now
        copy.will = JobWill(confirmed: nil)
        copy.batches = JobBatches(made: 0)
        let making = try JobLock.hold(self, forMaking: copy.uuid)
        defer { withExtendedLifetime(making) {} }
        try write(copy, policy: policy)
        do {
            try database.insert(copy, runCount: 0) { _ in RunParameters(label: "", json: "{}") }
        } catch {
            try removeTree(copy.uuid.description, in: path.appending("jobs"))
            throw error
        }
        return copy
    }
}

/// A change of a job that its state does not allow.
package struct JobEditError: Error, Sendable, CustomStringConvertible {
    /// What the job is called.
    package let job: JobName
    /// Why.
    package let refusal: RefusedEdit

    /// One sentence, safe to show.
    package var description: String { "edit the job `\(job)`: \(refusal)" }
}
