package import Isolation
import JobStorage
package import Jobs
import LinuxSystem
package import Pipelines
import Runs
package import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a user asks of a new job.
package struct JobRequest: Sendable {
    /// The pipeline's file, where its author works.
    package var pipeline: FilePath
    /// The project that was received of a client, in place of the directory around the pipeline's file.
    package var received: ReceivedProject?
    /// The job's name; nil makes one from the pipeline's.
    package var name: String?
    /// A parameters file beside the one that belongs to the pipeline.
    package var parametersFile: FilePath?
    /// Numbers of the grid to leave out, or to take alone.
    package var skip: RunSelection?, only: RunSelection?
    /// Values for a single run instead of a grid.
    package var overrides: [ParameterOverride]
    /// Whether only one run is asked for: no parameters file is looked for.
    package var isSingle = false
    package var variables: [String: String]
    /// Names of secrets, by the variables that steps see their values as.
    package var secrets: [String: String] = [:]
    /// The file of the project in which steps leave metrics; nil is the usual one.
    package var metricsFile: String?
    package var policy: SandboxPolicy
    package var options: JobOptions
    /// When its runs are made; nil makes them at once.
    package var schedule: JobSchedule?
    /// Whether it is to wait until its author starts it.
    package var isDraft = false

    /// Asks for the whole grid of a pipeline.
    package init(pipeline: FilePath, policy: SandboxPolicy) {
        self.pipeline = pipeline
        self.policy = policy
        overrides = []
        variables = [:]
        options = JobOptions()
    }
}

/// A request that has been looked through: the project, its pipeline, and the runs that would be made.
package struct JobPlan: Sendable {
    package let project: FilePath
    /// The pipeline's path in the project.
    package let pipelinePath: String
    package let pipeline: Pipeline
    package let grid: ParameterGrid
    /// Numbers of the grid's combinations that are taken, in order.
    package let selected: [Int]
    /// Values for a single run that replace those of the grid.
    package let overrides: [ParameterOverride]
    /// Variables of every step: the project's, the pipeline's, and the job's own over them.
    package let variables: [String: String]
    package let warnings: [Diagnostic]

    /// The parameters of the run with that number in the job.
    package func parameters(_ number: Int) -> Pipelines.RunParameters {
        grid[selected[number]].setting(overrides, in: pipeline)
    }
}

/// Makes jobs: everything is decided and frozen before anything is started.
package struct JobCreation {
    private let store: Store

    /// Makes jobs of a store.
    package init(_ store: Store) { self.store = store }

    /// How many runs a job may have.
    package static let mostRuns = 1_000_000

    /// Finds the project of a pipeline: the nearest directory above it with `.orchest` or `.git`, else its own.
    package static func project(of pipeline: FilePath) throws -> FilePath {
        let file = try absolute(pipeline)
        if try Syscall.lstat(file).isDirectory {
            throw ParameterError(
                "read the pipeline `\(pipeline)`: it is a directory",
                hint: "name a pipeline's file, such as `\(pipeline.appending(try pipelineName(in: file)))`")
        }
        let own = file.removingLastComponent()
        if file.extension != nil, let name = file.lastComponent?.string, StepFileType(name: name) != nil {
            throw ParameterError(
                "read the pipeline `\(pipeline)`: it is a file for a step",
                hint: "name a pipeline's file, such as "
                    + "`\(pipeline.removingLastComponent().appending(try pipelineName(in: own)))`")
        }
        var directory = own
        while !directory.isEmpty {
            if Syscall.exists(directory.appending(".orchest")) || Syscall.exists(directory.appending(".git")) {
                return directory
            }
            if directory == "/" { break }
            directory = directory.removingLastComponent()
        }
        return own
    }

    /// The first pipeline of a directory, or a name that one could have.
    private static func pipelineName(in directory: FilePath) throws -> String {
        try pipelineNames(in: directory).first ?? "main.orchest"
    }

    /// The names of the pipelines of a directory, in order.
    package static func pipelineNames(in directory: FilePath) throws -> [String] {
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        let names = try Syscall.directoryEntries(opened.number).map { String(decoding: $0.name, as: UTF8.self) }
        return names.filter { $0.hasSuffix(".orchest") && $0 != ".orchest" }.sorted()
    }

    private static func absolute(_ path: FilePath) throws -> FilePath {
        let location = try Syscall.openLocation(path)
        return FilePath(bytes: try Syscall.readLink(FilePath("/proc/self/fd/\(location.number)")))
    }

    /// Reads and checks everything that a job would be made of, from the author's directory, and changes nothing.
    package static func plan(_ request: JobRequest) throws -> JobPlan {
        if let received = request.received {
            // Nothing of it is looked for elsewhere: its links may lead to anything.
            return try plan(
                request, project: received.directory, path: received.pipeline,
                files: ProjectFiles(layers: [received.directory]))
        }
        let (project, relative) = try place(of: request.pipeline)
        return try plan(request, project: project, path: relative, files: ProjectFiles(layers: [project]))
    }

    /// The project of a pipeline, and the pipeline's path in it.
    package static func place(of pipeline: FilePath) throws -> (project: FilePath, pipeline: String) {
        let project = try project(of: pipeline)
        let file = try absolute(pipeline)
        guard let relative = Self.relative(file, to: project) else {
            throw StoreError(message: "find the project of `\(pipeline)`", hint: nil)
        }
        return (project, relative)
    }

    private static func plan(
        _ request: JobRequest, project: FilePath, path: String, files: ProjectFiles
    ) throws -> JobPlan {
        let pipeline = try files.pipeline(path)
        let problems = pipeline.check(against: files.listing())
        let errors = problems.filter { $0.severity == .error }
        if !errors.isEmpty { throw InvalidDocument(errors) }
        let (grid, remarks) = try grid(request, pipeline, path, files)
        guard let count = grid.count, count <= mostRuns else {
            throw ParameterError(
                "make the runs of the grid: there are \(grid.count.map(String.init) ?? "more than 10^18") combinations",
                hint: "leave values out, or make several jobs with a part of the values each, by --parameters; at most "
                    + "\(mostRuns) runs are made")
        }
        let brought = try files.read(ProjectVariables.path).map {
            try ProjectVariables(contentsOf: $0, own: StepCommand.ownVariables)
        }
        // What is a secret is not also shown in clear.
        let variables = (brought ?? ProjectVariables()).variables(ofPipeline: pipeline.uuid, under: request.variables)
            .filter { request.secrets[$0.key] == nil }
        try brought?.requireAll(among: Set(variables.keys).union(request.secrets.keys))
        let selected = try selected(of: count, only: request.only, skip: request.skip)
        return JobPlan(
            project: project, pipelinePath: path, pipeline: pipeline, grid: grid, selected: selected,
            overrides: request.overrides, variables: variables,
            warnings: pipeline.warnings + (brought?.warnings ?? []) + problems.filter { $0.severity == .warning }
                + remarks)
    }

    /// Numbers of combinations that are taken, of so many.
    static func selected(of count: Int, only: RunSelection?, skip: RunSelection?) throws -> [Int] {
        var selected = Array(0..<count)
        for (selection, option) in [(only, "--only"), (skip, "--skip")] {
            guard let selection else { continue }
            if let missing = selection.firstMissing(of: count) {
                throw ParameterError(
                    "select runs by \(option): there is no run \(missing), only 0 to \(count - 1)",
                    hint: "see them with `cloche job plan`")
            }
        }
        if let only { selected = selected.filter { only.contains($0) } }
        if let skip { selected = selected.filter { !skip.contains($0) } }
        guard !selected.isEmpty else {
            throw ParameterError(
                "make the runs of the grid: no run is left", hint: "see them with `cloche job plan`")
        }
        return selected
    }

    private static func grid(
        _ request: JobRequest, _ pipeline: Pipeline, _ path: String, _ files: ProjectFiles
    ) throws -> (ParameterGrid, [Diagnostic]) {
        if request.isSingle { return (ParameterGrid(defaultsOf: pipeline), []) }
        if let file = request.parametersFile {
            let bytes = try Syscall.readFile(file, limit: 17 << 20)
            return try ParameterGrid.reading(bytes, file: file.string, for: pipeline)
        }
        let beside = Pipeline.parametersFile(for: path)
        guard let bytes = try files.read(beside) else {
            return (ParameterGrid(defaultsOf: pipeline), [])
        }
        return try ParameterGrid.reading(bytes, file: beside, for: pipeline)
    }

    private static func relative(_ file: FilePath, to project: FilePath) -> String? {
        var file = file
        guard file.removePrefix(project) else { return nil }
        return file.string
    }

    /// Environments of the pipeline's steps that the job will pin.
    package static func environmentUUIDs(_ plan: JobPlan) -> [String] {
        var seen: [String] = []
        for step in plan.pipeline.steps {
            let uuid = step.environment ?? PinnedEnvironments.standard
            if !seen.contains(uuid) { seen.append(uuid) }
        }
        return seen
    }

    /// Freezes the project, and makes the job with its runs pending.
    ///
    /// What the job is made of is read again from the snapshot: that is what its runs will see. The caller holds a lease
    /// on the snapshot until this returns: from then on the job's document keeps it.
    package func create(
        _ request: JobRequest, pins: [String: JobDocument.Environment], snapshot: Snapshot, project: FilePath
    ) throws -> JobDocument {
        let path: String
        if let received = request.received {
            path = received.pipeline
        } else {
            guard let found = Self.relative(try Self.absolute(request.pipeline), to: project) else {
                throw StoreError(message: "find the pipeline in its project", hint: nil)
            }
            path = found
        }
        let plan = try Self.plan(request, project: project, path: path, files: ProjectFiles(layers: snapshot.layers))
        try checkInterpreters(of: plan.pipeline, try PinnedEnvironments.resolve(pins, in: store))
        let owner = store.ownerID
        let projectName = request.received?.name ?? project.lastComponent?.string ?? "project"
        let name: JobName
        if let wanted = request.name {
            name = try JobName(wanted)
        } else {
            let proposal = try (try? JobName(Self.proposal(plan, project: projectName))) ?? JobName("job")
            name = try store.database.freeName(like: proposal, owner: owner)
        }
        let policyBytes = try Self.policyBytes(request.policy)
        var document = JobDocument(
            uuid: .random(), name: name, owner: owner, created: Timestamp(seconds: Syscall.wallClockSeconds()),
            project: .init(
                path: request.received?.source ?? project.string, name: projectName),
            pipeline: .init(path: path, uuid: plan.pipeline.uuid, name: plan.pipeline.name),
            snapshot: snapshot.identity.description,
            policy: .init(name: request.policy.name, digest: Digest.hexadecimal(policyBytes)),
            parameters: .init(
                grid: plan.grid.json.text(pretty: false, sortedKeys: false), selection: RunNumbers(plan.selected),
                singleRun: plan.overrides.isEmpty ? nil : plan.parameters(0).json.text(pretty: false, sortedKeys: false)
            ))
        document.environments = pins
        document.variables = plan.variables
        document.secrets = request.secrets
        document.metricsFile = request.metricsFile
        document.options = request.options
        document.schedule = request.schedule
        if request.isDraft { document.will = JobWill(confirmed: nil) }
        document.batches = try JobBatches(beginning: document, at: document.created)
        try store.quota?.check(adding: document.runCount, to: store)
        let making = try JobLock.hold(store, forMaking: document.uuid)
        defer { withExtendedLifetime(making) {} }
        // The document first: a job in the database always has one; one without a row is found by a rebuild.
        try store.write(document, policy: policyBytes)
        do {
            try store.database.insert(document, runCount: document.runCount) { number in
                let parameters = plan.parameters(number)
                let label = plan.overrides.isEmpty ? plan.grid.label(at: plan.selected[number], limit: 200) : ""
                return Jobs.RunParameters(label: label, json: parameters.json.text(pretty: false, sortedKeys: false))
            }
        } catch {
            try removeDocument(document.uuid)
            throw error
        }
        return document
    }

    private func checkInterpreters(of pipeline: Pipeline, _ environments: [RunSpec.Environment]) throws {
        let problems = pipeline.check { step in
            let uuid = step.environment ?? PinnedEnvironments.standard
            guard let environment = environments.first(where: { $0.uuid == uuid }) else { return nil }
            do throws(StepCommand.Unsupported) {
                _ = try StepCommand.arguments(file: step.resolvedFile.sandboxPath, environment: environment)
                return nil
            } catch {
                return (error.reason, error.remedy)
            }
        }
        if !problems.isEmpty { throw InvalidDocument(problems) }
    }

    private func removeDocument(_ job: JobID) throws(SyscallError) {
        let parent = try Syscall.open(store.path.appending("jobs"), O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: parent.number, name: FilePath(job.description))
    }

    /// After its pipeline; after its project where the pipeline is called as most are.
    private static func proposal(_ plan: JobPlan, project: String) -> String {
        var name = plan.pipeline.name.isEmpty ? plan.pipelinePath : plan.pipeline.name
        if name.lowercased() == "main" { name = project }
        return String(name.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" }.prefix(60))
    }

    static func policyBytes(_ policy: SandboxPolicy) throws -> [UInt8] {
        guard let bytes = JSONFile.encode(policy) else {
            throw StoreError(message: "write the job's policy", hint: nil)
        }
        return bytes
    }
}
