/// A program that runs beside the steps of a pipeline, such as a database.
package struct PipelineService: Sendable, Hashable {
    /// In which kinds of sessions a service is started.
    package enum Scope: String, Sendable, Hashable {
        /// While a person works on the pipeline.
        case interactive
        /// In the runs of jobs.
        case noninteractive
    }

    /// The name: a lower-case letter, then letters, digits and hyphens; at most 26 characters.
    package let name: String
    /// An image reference, or `environment@` and the identifier of an environment.
    package let image: String
    /// The program; nil for that of the image.
    package let command: String?
    /// The arguments as one text in shell quoting; nil for those of the image.
    package let arguments: String?
    /// When it is started.
    package let scope: Set<Scope>
    /// Where `/data` and `/project-dir` appear in the service, by these names.
    package let binds: [String: String]
    /// The ports that it listens on; at least one.
    package let ports: [Int]
    /// Its variables.
    package let environmentVariables: [String: String]
    /// The names of variables that it takes from the job.
    package let inheritedVariables: [String]
    /// Whether it can be reached from outside.
    package let isExposed: Bool
    /// Whether outside requests need a login.
    package let requiresAuthentication: Bool
    /// Whether outside requests keep the prefix of their path.
    package let preservesBasePath: Bool
    /// Its place in the order of services.
    package let order: Int
}
