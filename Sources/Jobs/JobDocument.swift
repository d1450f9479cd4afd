package import Isolation

/// The truth of a job: the content of its `job.json`.
///
/// It names everything that the job was pinned to, and what was asked of it since. Together with the directories of
/// its runs it rebuilds what the database knows of the job.
package struct JobDocument: Sendable, Hashable {
    /// The only format there is.
    package static let format = 1

    /// Where the project came from.
    package struct Project: Sendable, Hashable, Codable {
        /// Its directory when the snapshot was taken.
        package var path: String
        /// What it is called.
        package var name: String

        /// Makes a project.
        package init(path: String, name: String) {
            self.path = path
            self.name = name
        }
    }

    /// Which pipeline of the project is executed.
    package struct Pipeline: Sendable, Hashable, Codable {
        /// Its file, from the project's directory.
        package var path: String
        /// Its identity, unique in the project.
        package var uuid: String
        /// What it is called.
        package var name: String

        /// Makes a pipeline.
        package init(path: String, uuid: String, name: String) {
            self.path = path
            self.uuid = uuid
            self.name = name
        }
    }

    /// One environment, as it was built when the job was made.
    package struct Environment: Sendable, Hashable, Codable {
        /// What it is called.
        package var name: String
        /// The identity of the build.
        package var build: String

        /// Makes an environment.
        package init(name: String, build: String) {
            self.name = name
            self.build = build
        }
    }

    /// The policy, as it was when the job was made.
    package struct Policy: Sendable, Hashable, Codable {
        /// What it is called.
        package var name: String
        /// The digest of its effective content.
        package var digest: String

        /// Makes a policy.
        package init(name: String, digest: String) {
            self.name = name
            self.digest = digest
        }
    }

    /// What is executed with which parameters.
    package struct Parameters: Sendable, Hashable, Codable {
        /// The grid: JSON text in the form of a parameters file.
        package var grid: String
        /// The numbers of the grid's combinations that are executed.
        package var selection: RunNumbers
        /// JSON text of the values that were given for one single run; nil when all come from the grid.
        package var singleRun: String?

        /// Makes parameters.
        package init(grid: String, selection: RunNumbers, singleRun: String? = nil) {
            self.grid = grid
            self.selection = selection
            self.singleRun = singleRun
        }

        private enum CodingKeys: String, CodingKey {
            case grid, selection
            case singleRun = "single_run"
        }
    }

    /// Its identity.
    package var uuid: JobID
    /// What its author calls it.
    package var name: JobName
    /// The user id of its owner.
    package var owner: UInt32
    /// When it was made.
    package var created: Timestamp
    /// Where its project came from.
    package var project: Project
    /// The pipeline that it executes.
    package var pipeline: Pipeline
    /// The identity of the project's snapshot.
    package var snapshot: String
    /// The environments of the pipeline's steps, by identity in the project.
    package var environments: [String: Environment] = [:]
    /// The policy.
    package var policy: Policy
    /// The parameters.
    package var parameters: Parameters
    /// Environment variables of the author's, by name; values of secrets are never among them.
    package var variables: [String: String] = [:]
    /// Names of secrets, by the variables that steps see their values as.
    package var secrets: [String: String] = [:]
    /// The file of the project in which steps leave metrics; nil is the usual one.
    package var metricsFile: String?
    /// What the author asked for beside its runs.
    package var options = JobOptions()
    /// When its runs are made; nil makes them when it is started.
    package var schedule: JobSchedule?
    /// How many batches of runs it has had made, and when the next one is due.
    package var batches = JobBatches(made: 1)
    /// What was asked of it since.
    package var will: JobWill

    /// A job without environments, variables and options; these are set afterwards.
    package init(
        uuid: JobID,
        name: JobName,
        owner: UInt32,
        created: Timestamp,
        project: Project,
        pipeline: Pipeline,
        snapshot: String,
        policy: Policy,
        parameters: Parameters
    ) {
        self.uuid = uuid
        self.name = name
        self.owner = owner
        self.created = created
        self.project = project
        self.pipeline = pipeline
        self.snapshot = snapshot
        self.policy = policy
        self.parameters = parameters
        will = JobWill(confirmed: created)
    }

    /// How many runs a batch has.
    package var batchSize: Int { parameters.selection.count }

    /// How many runs it has had made, deleted ones included.
    package var runCount: Int { batches.made * batchSize }
}
