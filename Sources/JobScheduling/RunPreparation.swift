import Environments
import Isolation
import JobStorage
package import Jobs
import LinuxSystem
package import Pipelines
import Policies
import Runs
import Snapshots
import SystemPackage

/// What all runs of a job have in common, read once: makes the directory of each run.
struct RunPreparation {
    private let store: Store
    private let document: JobDocument
    /// The document's file, before it was read: each change makes another one.
    private let file: FileStatus
    private let pipeline: Pipeline
    private let projectLayers: [FilePath]
    private let environments: [RunSpec.Environment]
    private let policy: SandboxPolicy
    private let python: FilePath
    private let data: FilePath
    /// Values of the job's secrets as they are now: all runs that are made from here on get these.
    let secrets: SecretValues

    init(_ store: Store, job: JobID) throws {
        self.store = store
        file = try Syscall.lstat(store.jobDirectory(job).appending("job.json"))
        document = try store.document(job)
        guard let identity = SnapshotIdentity(document.snapshot) else {
            throw StoreError(message: "read the job's snapshot: `\(document.snapshot)` is no identity", hint: nil)
        }
        projectLayers = try store.snapshots.snapshot(identity).layers
        pipeline = try ProjectFiles(layers: projectLayers).pipeline(document.pipeline.path)
        environments = try PinnedEnvironments.resolve(document.environments, in: store)
        policy = document.limited(try store.policy(of: document))
        data =
            switch policy.dataScope {
            case .shared: try store.data.shared()
            case .project: try store.data.project(document.projectUUID)
            case .job: try store.data.job(job.description)
            }
        python = try PythonSupport.install(in: store)
        secrets = try store.secrets.values(document.secrets)
    }

    /// What the runs have in common now: its author may have changed the policy or the limits of later batches.
    func current() throws -> RunPreparation {
        let file = try Syscall.lstat(store.jobDirectory(document.uuid).appending("job.json"))
        if file == self.file { return self }
        return try RunPreparation(store, job: document.uuid)
    }

    /// Rows for the steps of a run that begins.
    func stepRecords(attempt: Int) -> [String: StepRecord] {
        var records: [String: StepRecord] = [:]
        for (position, step) in pipeline.steps.enumerated() {
            records[step.uuid] = StepRecord(
                uuid: step.uuid, title: step.displayName, position: position, attempt: attempt)
        }
        return records
    }

    /// Makes the run's directory, unless an earlier attempt has.
    func prepare(_ run: RunRecord) throws -> RunDirectory {
        let directory = store.runDirectory(run.address)
        if Syscall.exists(directory.path.appending("spec.json")) {
            try renewLimits(of: directory)
            return directory
        }
        let parameters = try Pipelines.RunParameters(json: try JSONValue(parsing: run.parameters.json))
        let definition = try parameters.apply(to: pipeline)
        try directory.create(spec(run), pipeline: definition.text(pretty: true, sortedKeys: true))
        return directory
    }

    /// The limits of time may have been changed since the last attempt.
    private func renewLimits(of directory: RunDirectory) throws {
        var spec = try directory.spec()
        let options = document.options
        guard
            spec.runTimeoutSeconds != options.runTimeoutSeconds || spec.jobTimeoutSeconds != options.jobTimeoutSeconds
        else { return }
        spec.runTimeoutSeconds = options.runTimeoutSeconds
        spec.jobTimeoutSeconds = options.jobTimeoutSeconds
        try directory.replace(spec)
    }

    private func spec(_ run: RunRecord) -> RunSpec {
        var spec = RunSpec(
            job: document.uuid.description, run: run.uuid.description, index: run.address.number,
            jobName: document.name.description, projectUUID: document.projectUUID, pipelineUUID: pipeline.uuid,
            identity: store.identity, environments: environments, projectLayers: projectLayers.map(\.string),
            data: data.string,
            scratch: ScratchPlace.directory(of: store.path), python: python.string, policy: policy,
            ownTimeLimit: document.options.timeoutSeconds != nil, variables: document.variables,
            steps: pipeline.steps.map { step in
                RunSpec.Step(
                    uuid: step.uuid, title: step.title, file: step.resolvedFile.sandboxPath,
                    environment: step.environment ?? PinnedEnvironments.standard, parents: step.incomingConnections)
            },
            parallelSteps: pipeline.settings.maxStepsParallelism ?? 0)
        if !document.secrets.isEmpty { spec.secrets = document.secrets }
        spec.metricsFile = document.metricsFile
        spec.runTimeoutSeconds = document.options.runTimeoutSeconds
        spec.jobTimeoutSeconds = document.options.jobTimeoutSeconds
        spec.isRecorded = document.options.isRecorded
        spec.scheduled = run.scheduled
        return spec
    }
}

extension Store {
    /// The pipeline of a job, as its snapshot has it.
    package func pipeline(of document: JobDocument) throws -> Pipeline {
        guard let identity = SnapshotIdentity(document.snapshot) else {
            throw StoreError(message: "read the job's snapshot: `\(document.snapshot)` is no identity", hint: nil)
        }
        return try ProjectFiles(layers: try snapshots.snapshot(identity).layers).pipeline(document.pipeline.path)
    }
}

extension JobDocument {
    /// The policy with what the job asked for on top.
    func limited(_ policy: SandboxPolicy) -> SandboxPolicy {
        var policy = policy
        if let seconds = options.timeoutSeconds { policy.limits.wallTime = .seconds(seconds) }
        return policy
    }

    /// An identity for the project, for steps that ask: the same for the same project directory.
    var projectUUID: String { ProjectIdentity.uuid(ofPath: project.path) }
}

/// An identity for a project, made of where it is.
package enum ProjectIdentity {
    /// The uuid of the project in the directory of that absolute path.
    package static func uuid(ofPath path: String) -> String {
        var first: UInt64 = 0xCBF2_9CE4_8422_2325
        var second: UInt64 = 0x9E37_79B9_7F4A_7C15
        for byte in path.utf8 {
            first = (first ^ UInt64(byte)) &* 0x100_0000_01B3
            second = (second ^ UInt64(byte)) &* 0x1000_0000_01B3 &+ first
        }
        let digits = [first, second].map { value in
            let text = String(value, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
        let part = { (from: Int, to: Int) in String(Array(digits)[from..<to]) }
        return "\(part(0, 8))-\(part(8, 12))-4\(part(13, 16))-8\(part(17, 20))-\(part(20, 32))"
    }
}
