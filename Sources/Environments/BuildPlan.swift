import PlainText
package import SystemPackage

/// The commands that make an environment, in order: a value made from a recipe or a script and nothing else.
package struct BuildPlan: Sendable, Hashable {
    /// A part of a build that is shown by name.
    package enum Stage: Sendable, Hashable, CustomStringConvertible {
        /// The packages are chosen and fetched, and the essential ones unpacked.
        case fetch
        /// The packages' own scripts run.
        case configure
        /// A script of the recipe runs.
        case script(String)
        /// A project's set-up script runs.
        case setup
        /// A registry is asked what a name means.
        case ask(String)
        /// A part of an image is fetched from a registry.
        case download(String)
        /// An archive is looked into.
        case read
        /// An archive is unpacked.
        case unpack(String)
        /// An image gets what steps need.
        case complete
        /// What does not belong into an environment is removed.
        case clean
        /// Packages and sizes are listed.
        case inspect

        /// The name for people.
        package var description: String {
            switch self {
            case .fetch: "fetch packages"
            case .configure: "configure packages"
            case .script(let name): "run \(name)"
            case .setup: "run setup_script.sh"
            case .ask(let host): "ask \(printable(host, limit: 120))"
            case .download(let what): "fetch \(what)"
            case .read: "look into the archive"
            case .unpack(let what): "unpack \(what)"
            case .complete: "complete the image"
            case .clean: "clean up"
            case .inspect: "take stock"
            }
        }
    }

    /// What is done with the output of a command.
    package enum Output: Sendable, Hashable {
        /// It goes to the log.
        case log
        /// Its bytes count setuid and setgid files.
        case privilegedFiles
        /// It is the size in bytes, as du(1) writes it.
        case size
        /// It is one package and version a line.
        case packages
        /// It is one language and the path of its program a line.
        case interpreters
    }

    /// A command in either place.
    package enum Command: Sendable, Hashable {
        /// A program of the host.
        case namespace(NamespaceCommand)
        /// A program in the sandbox.
        case sandbox(SandboxCommand)
        /// Nothing is run: archives that were fetched are kept for the next build.
        case packages(PackageTaking)
        /// Nothing is run in the build: what its pip fetched is kept for the next one.
        case pipFiles(PipTaking)
    }

    /// One command of the plan.
    package struct Step: Sendable, Hashable {
        /// To which part it belongs.
        package let stage: Stage
        /// What runs.
        package let command: Command
        /// What its output is.
        package let output: Output
    }

    /// The commands, each of which runs only if those before it succeeded.
    package let steps: [Step]

    /// The stages in order, each once.
    package var stages: [Stage] {
        steps.reduce(into: []) { stages, step in
            if stages.last != step.stage { stages.append(step.stage) }
        }
    }
}

/// The paths of a build on the host while it is made.
package struct BuildPaths: Sendable, Hashable {
    /// The tree or layer.
    package let tree: FilePath
    /// overlayfs's own directory.
    package let work: FilePath
    /// The configuration's files.
    package let configuration: FilePath
    /// The recipe's files.
    package let recipe: FilePath
    /// What it sees of the packages that are kept.
    package let packages: FilePath

    /// The paths below a staging directory.
    package init(staging: FilePath) {
        tree = staging.appending(BuildPaths.treeName)
        work = staging.appending(BuildPaths.workName)
        configuration = staging.appending("configuration")
        recipe = staging.appending("recipe")
        packages = staging.appending(BuildPaths.packagesName)
    }

    static let treeName = "tree", packagesName = "packages"
    /// The name of overlayfs's own directory, beside that of the tree.
    package static let workName = "work"
}
