import PlainText

extension Pipeline {
    /// Everything that keeps the steps from running in this project, in the order of the pipeline file.
    ///
    /// Files must exist and have an extension that steps may have, environments must be chosen and known, and no two
    /// steps may share a notebook. Files below `/data` are not looked at: they may come into being during the run. A
    /// project without environments runs every step in the base environment, so none needs to be chosen there. What
    /// is wrong with the files of environments that steps name comes last.
    package func check(against project: ProjectListing) -> [Diagnostic] {
        var check = PipelineCheck(project: project, problems: DiagnosticList(source: source))
        for step in steps { check.run(step) }
        if steps.isEmpty { check.problems.warning("the pipeline has no steps: a run of it does nothing", at: nil) }
        return check.problems.diagnostics + check.environmentProblems
    }

    /// The steps whose files cannot be executed, where `obstacle` tells why and what to do.
    package func check(_ obstacle: (Step) -> (reason: String, remedy: String)?) -> [Diagnostic] {
        var problems = DiagnosticList(source: source)
        for step in steps {
            guard let found = obstacle(step) else { continue }
            problems.error(
                "the step \(step.reference) cannot be run: \(printable(found.reason))", at: step.offsets.filePath,
                hint: printable(found.remedy))
        }
        return problems.diagnostics
    }
}

private struct PipelineCheck {
    let project: ProjectListing
    var problems: DiagnosticList
    /// What is wrong with the files of environments.
    private(set) var environmentProblems: [Diagnostic] = []
    private var notebooks: [ExactText: Step] = [:]
    private var reportedEnvironments: Set<String> = []

    init(project: ProjectListing, problems: DiagnosticList) {
        self.project = project
        self.problems = problems
    }

    mutating func run(_ step: Step) {
        checkFile(step)
        checkNotebook(step)
        checkEnvironment(step)
    }

    private mutating func checkFile(_ step: Step) {
        if step.resolvedFile.type == nil {
            let name = step.resolvedFile.name
            problems.error(
                "the step \(step.reference) has a file with an extension that cannot be run: \(quoted(name))",
                at: step.offsets.filePath,
                hint: "steps are \(StepFileType.extensions.map { "." + $0 }.joined(separator: ", ")) files, "
                    + "or have no extension and are run by bash"
            )
        }
        guard case .project(let path) = step.resolvedFile else { return }
        switch project.kind(path) {
        case .file, .symlink:
            break
        case .unreadable:
            problems.warning(
                "the file of the step \(step.reference) may not be read by its owner, whom steps run as: "
                    + quoted(path),
                at: step.offsets.filePath, hint: "allow it by `chmod u+r`"
            )
        case .outside(let link):
            problems.error(
                "the file of the step \(step.reference) leads out of the project by the link to \(quoted(link)): "
                    + quoted(path),
                at: step.offsets.filePath, hint: StepFile.Problem.leavesProject.hint
            )
        case .dangling(let link):
            problems.error(
                "the file of the step \(step.reference) is a link to \(quoted(link)), which does not exist: "
                    + quoted(path),
                at: step.offsets.filePath, hint: "let it lead to a file of the project, by a relative path"
            )
        case .directory:
            problems.error(
                "the file of the step \(step.reference) is a directory: \(quoted(path))",
                at: step.offsets.filePath
            )
        case .special:
            problems.error(
                "the file of the step \(step.reference) is no regular file: \(quoted(path))",
                at: step.offsets.filePath, hint: "a pipe, a socket or a device is not part of a snapshot"
            )
        case .missing:
            problems.error(
                "the file of the step \(step.reference) does not exist: \(quoted(path))",
                at: step.offsets.filePath,
                hint: project.nearestFile(to: path)
            )
        }
    }

    private mutating func checkNotebook(_ step: Step) {
        guard step.resolvedFile.type == .notebook else { return }
        // Absolute and project-relative paths never look the same.
        let path = ExactText(step.resolvedFile.path)
        guard let other = notebooks[path] else {
            notebooks[path] = step
            return
        }
        problems.error(
            "the steps \(other.reference) and \(step.reference) share the notebook \(quoted(step.resolvedFile.path))",
            at: step.offsets.filePath,
            hint: "a notebook is changed while it runs; give each step a copy, or use a script"
        )
    }

    private mutating func checkEnvironment(_ step: Step) {
        guard let uuid = step.environment else {
            guard !project.environments.isEmpty else { return }
            problems.error(
                "the step \(step.reference) has no environment",
                at: step.offsets.environment,
                hint: "set `environment` to one of \(project.knownEnvironments)"
            )
            return
        }
        guard project.environments[uuid] == nil else { return }
        if let found = project.unusableEnvironments[uuid] {
            // Several steps may name it.
            if reportedEnvironments.insert(uuid).inserted { environmentProblems += found }
        } else if project.environments.isEmpty, project.unusableEnvironments.isEmpty {
            problems.warning(
                "the step \(step.reference) names the environment \(quoted(uuid)), and the project has none",
                at: step.offsets.environment,
                hint: "the step runs in the base environment; environments lie in `.orchest/environments/`"
            )
        } else {
            problems.error(
                "the step \(step.reference) names the environment \(quoted(uuid)), which the project does not have",
                at: step.offsets.environment,
                hint: project.environments.isEmpty
                    ? "the environments that it has cannot be used"
                    : "set `environment` to one of \(project.knownEnvironments)"
            )
        }
    }
}

extension ProjectListing {
    fileprivate func nearestFile(to path: String) -> String? {
        let components = path.split(separator: "/")
        guard let name = components.last else { return nil }
        let directory = components.dropLast().joined(separator: "/")
        guard directory.isEmpty || kind(directory) != .missing else {
            return "there is no directory \(quoted(directory))"
        }
        return didYouMean(String(name), among: names(directory).lazy.prefix(10_000))
    }

    fileprivate var knownEnvironments: String {
        let known = environments.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
        let shown = known.prefix(8).map { "\(printable($0.key, limit: 40)) (\(quoted($0.value)))" }
        return shown.joined(separator: ", ") + (known.count > 8 ? " and \(known.count - 8) more" : "")
    }
}
