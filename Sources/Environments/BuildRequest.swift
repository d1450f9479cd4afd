import SystemPackage

/// What is to be built: the record as far as it is known beforehand, and what has to be done.
struct BuildRequest {
    enum Work {
        case base(Base)
        case layer(script: [UInt8], recipe: Recipe, project: FilePath?)
        /// The layers below are all that there is.
        case nothing
    }

    let name: EnvironmentName
    let draft: BuildRecord
    let work: Work
    let refresh: Bool
}

/// A build whose files and commands are known.
struct PreparedBuild {
    let plan: BuildPlan
    /// Files of the configuration's and of the recipe's directory.
    let configuration: [String: [UInt8]], recipe: [String: [UInt8]]
    let secrets: Set<String>
    /// The set-up script, for messages.
    let script: [UInt8]
}

extension EnvironmentBuilder {
    /// Plans a build in a staging directory; nil when there is nothing to run.
    func prepare(_ request: BuildRequest, _ paths: BuildPaths) throws(BuildError) -> PreparedBuild? {
        switch request.work {
        case .nothing:
            return nil
        case .base(let base):
            let configuration = configuration(base.recipe)
            guard configuration.hasArchive else { throw .noArchive(suite: base.recipe.suite) }
            return PreparedBuild(
                plan: .base(base.recipe, configuration: configuration, paths: paths),
                configuration: configuration.files, recipe: base.files, secrets: configuration.secrets, script: [])
        case .layer(let script, let recipe, let project):
            let configuration = configuration(recipe)
            var files = configuration.files
            files[SetupScript.file] = script
            files[SetupScript.prologFile] = Array(
                SetupScript.prolog(bashEnvironment: request.draft.variables["BASH_ENV"]).utf8)
            let plan = BuildPlan.project(
                variables: request.draft.variables, layers: store.layers(of: request.draft), project: project,
                configuration: configuration, paths: paths)
            return PreparedBuild(
                plan: plan, configuration: files, recipe: [:], secrets: configuration.secrets, script: script)
        }
    }

    private func configuration(_ recipe: Recipe) -> BuildConfiguration {
        BuildConfiguration(settings: settings, host: host, suite: recipe.suite, components: recipe.components)
    }
}
