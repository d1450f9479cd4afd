import LinuxSystem
import SystemPackage

/// What is to be built: the record as far as it is known beforehand, and what has to be done.
struct BuildRequest {
    enum Work {
        case base(Base)
        /// A set-up script on a base; the archive of the base's packages is nil where that is no Debian.
        case layer(script: [UInt8], archive: PackageArchive?, project: FilePath?)
        /// The layers below are all that there is.
        case nothing
    }

    let name: EnvironmentName
    let draft: BuildRecord
    let work: Work
    let refresh: Bool
}

/// Which of Debian's packages a build is offered.
struct PackageArchive: Sendable, Hashable {
    let suite: String
    let components: [String]
    /// Whether it is a recipe's, whose apt is young enough for lists of mirrors.
    var isOfRecipe = true
}

/// A build whose files and commands are known.
struct PreparedBuild {
    let plan: BuildPlan
    /// Files of the configuration's and of the recipe's directory.
    let configuration: [String: [UInt8]], recipe: [String: [UInt8]]
    let secrets: Set<String>
    /// The set-up script, for messages.
    let script: [UInt8]
    /// What the log says first.
    let notes: [String]
}

extension EnvironmentBuilder {
    /// Plans a build in a staging directory; nil when there is nothing to run.
    func prepare(_ request: BuildRequest, _ paths: BuildPaths) throws(BuildError) -> PreparedBuild? {
        switch request.work {
        case .nothing:
            return nil
        case .base(let base):
            let archive = PackageArchive(suite: base.recipe.suite, components: base.recipe.components)
            let (view, notes) = view(paths)
            let configuration = configuration(archive, view)
            guard configuration.hasArchive else { throw .noArchive(suite: base.recipe.suite) }
            return PreparedBuild(
                plan: .base(
                    base.recipe, configuration: configuration, paths: paths, keepsPipFiles: keepsPackagesOfScripts),
                configuration: configuration.files, recipe: base.files, secrets: configuration.secrets, script: [],
                notes: notes)
        case .layer(let script, let archive, let project):
            let (view, notes) = view(paths)
            let configuration = configuration(archive, view)
            var files = configuration.files
            files[SetupScript.file] = script
            files[SetupScript.prologFile] = Array(
                SetupScript.prolog(bashEnvironment: request.draft.variables["BASH_ENV"]).utf8)
            let plan = BuildPlan.project(
                variables: request.draft.variables, layers: store.layers(of: request.draft), project: project,
                configuration: configuration, paths: paths,
                keeping: archive.flatMap { keepsPackagesOfScripts && $0.isOfRecipe ? $0.metadataName : nil },
                keepsPipFiles: keepsPackagesOfScripts)
            return PreparedBuild(
                plan: plan, configuration: files, recipe: [:], secrets: configuration.secrets, script: script,
                notes: notes)
        }
    }

    private func configuration(_ archive: PackageArchive?, _ view: PackageView) -> BuildConfiguration {
        BuildConfiguration(settings: settings, host: host, archive: archive, hasPackages: view.count > 0)
    }

    /// Shows a build the packages that are kept, and says what was wrong with them; it goes on without them.
    private func view(_ paths: BuildPaths) -> (PackageView, notes: [String]) {
        do throws(SyscallError) {
            let view = try store.packages.show(in: paths.packages)
            return (
                view,
                view.damaged.map { "the kept package \($0) was damaged: it is removed, and fetched where it is needed" }
            )
        } catch {
            return (PackageView(), ["the packages that are kept cannot be used: \(error)"])
        }
    }
}
