import LinuxSystem
import PlainText
package import SystemPackage

/// Why an environment was not built; the one that was in force still is.
package enum BuildError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The host names no archive that carries the suite.
    case noArchive(suite: String)
    /// A command of a stage failed; of the environment that is named, where that is known.
    case stage(BuildPlan.Stage, CommandOutcome, line: ScriptLine?, log: FilePath?, of: String? = nil)
    /// A command could not be started.
    case executor(BuildPlan.Stage, String, hint: String? = nil)
    /// This host cannot carry out a stage of what is named, which the text tells with what to do; nothing was begun.
    case host(BuildPlan.Stage, of: String, String)
    /// An image cannot be imported.
    case image(ImportError)
    /// It was cancelled.
    case cancelled
    /// The store could not be used.
    case store(StoreError)

    /// A line of a script.
    package struct ScriptLine: Sendable, Hashable {
        /// From 1.
        package let number: Int
        /// The text, safe to show.
        package let text: String
        /// The script's path in its project.
        package var file: String?
    }

    /// The same error, with the environment that was to be built, and the path of its script in its project.
    func naming(_ environment: String, script: String? = nil) -> BuildError {
        guard case .stage(let stage, let outcome, var line, let log, _) = self else { return self }
        line?.file = script
        return .stage(stage, outcome, line: line, log: log, of: environment)
    }

    /// What is wrong, safe to show.
    package var description: String {
        switch self {
        case .noArchive(let suite):
            return "find packages of `\(suite)`: no source of this host's apt carries that suite"
        case .stage(let stage, let outcome, let line, _, let name):
            let begin = name.map { "build the environment `\(printable($0, limit: 120))`: \(stage)" } ?? "\(stage)"
            let how = outcome.verdict ?? "ended with status \(outcome.status)"
            guard let line else { return "\(begin): \(how)" + (outcome.said.map { ": \($0)" } ?? "") }
            return "\(begin): \(how) at line \(line.number): `\(line.text)`"
        case .executor(let stage, let cause, _):
            return "\(stage): \(printable(cause, limit: 500))"
        case .host(let stage, let name, let trouble):
            return "build the environment `\(printable(name, limit: 120))`: \(stage): "
                + printable(trouble, limit: 500)
        case .image(let error):
            return error.description
        case .cancelled:
            return "build the environment: cancelled"
        case .store(let error):
            return error.description
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .noArchive(let suite):
            "name an archive with the suite `\(suite)` in /etc/cloche/debian.sources, in the format of sources.list(5)"
        case .stage(.fetch, _, _, let log, _):
            "see whether `apt-get update` works on this host" + (log.map { "; the log is `\($0)`" } ?? "")
        case .stage(_, _, _, let log, _): log.map { "the log is `\($0)`" }
        case .executor(_, _, let hint): hint ?? "`cloche system doctor` tells what this host lacks"
        case .host:
            "have an administrator do that, or bring an image along by `cloche env import`; `cloche system doctor` "
                + "tells what this host lacks"
        case .image(let error): error.hint
        case .cancelled: nil
        case .store(let error): error.hint
        }
    }
}
