package import Isolation

/// Content of a run's `spec.json`: everything that is needed to execute it, on any node that sees the store.
package struct RunSpec: Sendable, Hashable, Codable {
    /// An environment as it is pinned.
    package struct Environment: Sendable, Hashable, Codable {
        /// The uuid by which steps name it, and its name for people.
        package var uuid: String, name: String
        /// Identity of the build.
        package var build: String
        /// Directories of the root file system, topmost first.
        package var layers: [String]
        /// Variables of every command in it.
        package var variables: [String: String]
        /// Programs by language: `python`, `r`, `julia`, `javascript`, `bash`.
        package var interpreters: [String: String]
        /// Whose ids the files have; nil are those of the run.
        package var owner: IdentityMap?

        /// Pins an environment.
        package init(
            uuid: String, name: String, build: String, layers: [String], variables: [String: String],
            interpreters: [String: String], owner: IdentityMap? = nil
        ) {
            self.uuid = uuid
            self.name = name
            self.build = build
            self.layers = layers
            self.variables = variables
            self.interpreters = interpreters
            self.owner = owner
        }
    }

    /// A step of the pipeline.
    package struct Step: Sendable, Hashable, Codable {
        /// Uuid and title as in the pipeline.
        package var uuid: String, title: String
        /// The file's absolute path inside the sandbox.
        package var file: String
        /// Uuid of its environment.
        package var environment: String
        /// Uuids of the steps that must have succeeded before.
        package var parents: [String]

        /// Names a step.
        package init(uuid: String, title: String, file: String, environment: String, parents: [String]) {
            self.uuid = uuid
            self.title = title
            self.file = file
            self.environment = environment
            self.parents = parents
        }

        /// The title, or the file where there is none.
        package var name: String { title.isEmpty ? file.split(separator: "/").last.map(String.init) ?? uuid : title }
    }

    package var format = 1
    /// Identities: of the job, of this run, and the run's number in the job.
    package var job: String, run: String, index: Int
    package var jobName: String
    package var projectUUID: String
    package var pipelineUUID: String
    package var identity: IdentityMap
    package var environments: [Environment]
    /// Lower directories of the project, topmost first.
    package var projectLayers: [String]
    /// Host directory that is shown at `/data`; nil where there is none.
    package var data: String?
    /// Host directory for throw-away changes, on hosts that cannot keep them in memory.
    package var scratch: String?
    /// Host directory with the Python module and the notebook runner.
    package var python: String
    package var policy: SandboxPolicy
    /// Whether the limit of time is the job's own, and not the policy's.
    package var ownTimeLimit: Bool
    /// Variables of the job.
    package var variables: [String: String]
    /// Names of secrets, by the variables that steps see their values as; nil for none.
    ///
    /// The values are nowhere in a run's directory.
    package var secrets: [String: String]?
    /// The file of the project in which steps leave metrics; nil is the usual one.
    package var metricsFile: String?
    /// How long an attempt may take, in seconds; nil for ever.
    package var runTimeoutSeconds: Double?
    /// How long its job may go on, in seconds, which the engine sees to; nil for ever.
    package var jobTimeoutSeconds: Double?
    /// Whether what the steps do is recorded, for a policy to be learnt from it; nil is not.
    package var isRecorded: Bool?
    /// The time of the job's schedule for which the run was made; nil where it was made for none.
    package var scheduled: Timestamp?
    package var steps: [Step]
    /// How many steps may run at once; 0 is any number.
    package var parallelSteps: Int

    /// Makes a specification.
    package init(
        job: String, run: String, index: Int, jobName: String, projectUUID: String, pipelineUUID: String,
        identity: IdentityMap, environments: [Environment], projectLayers: [String], data: String?, scratch: String?,
        python: String,
        policy: SandboxPolicy, ownTimeLimit: Bool, variables: [String: String], steps: [Step], parallelSteps: Int
    ) {
        self.job = job
        self.run = run
        self.index = index
        self.jobName = jobName
        self.projectUUID = projectUUID
        self.pipelineUUID = pipelineUUID
        self.identity = identity
        self.environments = environments
        self.projectLayers = projectLayers
        self.data = data
        self.scratch = scratch
        self.python = python
        self.policy = policy
        self.ownTimeLimit = ownTimeLimit
        self.variables = variables
        self.steps = steps
        self.parallelSteps = parallelSteps
    }

    private enum CodingKeys: String, CodingKey {
        case format, job, run, index
        case jobName = "job_name"
        case projectUUID = "project_uuid"
        case pipelineUUID = "pipeline_uuid"
        case identity, environments
        case projectLayers = "project_layers"
        case data, scratch, python, policy
        case ownTimeLimit = "own_time_limit"
        case variables, secrets
        case metricsFile = "metrics_file"
        case steps
        case runTimeoutSeconds = "run_timeout_seconds"
        case jobTimeoutSeconds = "job_timeout_seconds"
        case isRecorded = "recorded"
        case scheduled
        case parallelSteps = "parallel_steps"
    }
}
