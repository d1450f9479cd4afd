import Isolation
import Pipelines
import SandboxRuntime

/// How a step's file becomes a sandboxed command: interpreter, variables, working directory, mounts.
package enum StepCommand {
    /// Where the Python module and the notebook runner are inside.
    package static let pythonDirectory = "/opt/cloche/python"
    /// Where a step writes what the supervisor reads: metrics.
    package static let exchangeDirectory = "/run/cloche"
    /// What that is in the attempt's directory.
    static let exchange = "exchange"

    /// A step that cannot be executed in its environment.
    package struct Unsupported: Error, Sendable, Hashable {
        package let reason: String
        package let remedy: String
    }

    /// The command of a step's file: by its extension, with the environment's interpreter.
    package static func arguments(
        file: String, environment: RunSpec.Environment
    ) throws(Unsupported) -> [String] {
        let name = file.split(separator: "/").last.map(String.init) ?? file
        func interpreter(_ language: String) throws(Unsupported) -> String {
            if let program = environment.interpreters[language.lowercased()] { return program }
            throw Unsupported(
                reason: "environment `\(environment.name)` has no interpreter for \(language)",
                remedy: "choose an environment with \(language) for the step")
        }
        switch StepFileType(name: name) {
        case .python: return [try interpreter("Python"), file]
        case .notebook: return [try interpreter("Python"), "\(pythonDirectory)/cloche_notebook.py", file]
        case .r: return [try interpreter("R"), file]
        case .julia: return [try interpreter("Julia"), file]
        case .javascript: return [try interpreter("JavaScript"), file]
        case .shell: return [environment.interpreters["bash"] ?? "/bin/bash", file]
        case nil:
            throw Unsupported(
                reason: "files with the extension of `\(name)` are not supported as steps",
                remedy: "use .ipynb, .py, .sh, .R, .jl or .js")
        }
    }

    /// The whole process environment of a step: the environment's, then the job's with its secrets, then what Orchest
    /// steps rely on.
    package static func variables(
        _ spec: RunSpec, step: RunSpec.Step, environment: RunSpec.Environment, secrets: SecretValues
    ) -> [String: String] {
        var variables = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/jovyan",
            "LANG": "C.UTF-8", "TMPDIR": "/tmp",
        ]
        variables.merge(environment.variables) { $1 }
        variables.merge(spec.variables) { $1 }
        variables.merge(secrets.byVariable) { $1 }
        addPython(to: &variables)
        variables.merge([
            "ORCHEST_STEP_UUID": step.uuid, "ORCHEST_SESSION_UUID": spec.run,
            "ORCHEST_SESSION_TYPE": "noninteractive", "ORCHEST_PIPELINE_UUID": spec.pipelineUUID,
            "ORCHEST_PIPELINE_PATH": "/pipeline.json", "ORCHEST_PROJECT_UUID": spec.projectUUID,
            "ORCHEST_METRICS_PATH": "\(exchangeDirectory)/metrics.jsonl", "CLOCHE_JOB": spec.jobName,
            "CLOCHE_RUN": String(spec.index), "CLOCHE_STEP": step.name,
        ]) { $1 }
        if let time = spec.scheduled { variables[scheduledTime] = time.description }
        return variables
    }

    private static let scheduledTime = "CLOCHE_SCHEDULED_TIME"

    /// The variables that steps have from here, whatever else is asked for.
    package static let ownVariables: Set<String> = [
        "ORCHEST_STEP_UUID", "ORCHEST_SESSION_UUID", "ORCHEST_SESSION_TYPE", "ORCHEST_PIPELINE_UUID",
        "ORCHEST_PIPELINE_PATH", "ORCHEST_PROJECT_UUID", "ORCHEST_METRICS_PATH", "CLOCHE_JOB", "CLOCHE_RUN",
        "CLOCHE_STEP", scheduledTime,
    ]

    /// Has Python find what lies in `pythonDirectory`, before everything else.
    package static func addPython(to variables: inout [String: String]) {
        let path = variables["PYTHONPATH"]
        variables["PYTHONPATH"] = path.map { "\(pythonDirectory):\($0)" } ?? pythonDirectory
    }

    /// The stage of a run: environments, project, the attempt's directory, and the binds in the order of `BindIndex`.
    ///
    /// `kept` are layers of earlier attempts, the oldest first, by their paths in the run's directory.
    static func stage(
        _ spec: RunSpec, runDirectory: String, attempt: String, kept: [String], devices: DevicePlan?
    ) -> StageSpec {
        var binds = [
            StageSpec.Bind(source: spec.python, readOnly: true),
            StageSpec.Bind(source: "\(runDirectory)/pipeline.json", readOnly: true),
        ]
        if let data = spec.data, spec.policy.data != .none {
            binds.append(StageSpec.Bind(source: data, readOnly: spec.policy.data == .readOnly))
        }
        var stage = StageSpec(
            environments: environments(spec),
            project: StageSpec.Project(
                lowers: spec.projectLayers,
                kept: kept.isEmpty ? nil : StageSpec.Project.Kept(root: runDirectory, layers: kept.reversed())),
            writable: attempt, binds: binds)
        stage.connect(spec.policy.network)
        stage.devices = devices
        return stage
    }

    static func environments(_ spec: RunSpec) -> [StageSpec.Environment] {
        spec.environments.map { StageSpec.Environment(layers: $0.layers, owner: $0.owner) }
    }

    static func mounts(_ spec: RunSpec) -> [SandboxSpec.Mount] {
        var mounts = [
            SandboxSpec.Mount(.project, at: "/project-dir"), SandboxSpec.Mount(.bind(0), at: pythonDirectory),
            SandboxSpec.Mount(.bind(1), at: "/pipeline.json"),
            SandboxSpec.Mount(.writable(exchange), at: exchangeDirectory),
        ]
        if spec.data != nil, spec.policy.data != .none { mounts.append(SandboxSpec.Mount(.bind(2), at: "/data")) }
        return mounts
    }

    static func skeleton(_ spec: RunSpec) -> Skeleton {
        var skeleton = Skeleton.standard(
            targets: mounts(spec).map { (path: $0.target, directory: $0.target != "/pipeline.json") },
            hostName: "cloche", network: spec.policy.network)
        // A policy without data still has the directory that projects expect: empty, and thrown away.
        if skeleton.directories["/data"] == nil { skeleton.directories["/data"] = 0o1777 }
        return skeleton
    }
}
