package import Isolation
import LinuxSystem

/// What the supervisor takes along from the host: everything else it leaves behind before a step starts.
///
/// Host paths are opened with the caller's rights, after entering the mount namespace and before the ids change.
package struct StageSpec: Sendable, Hashable, Codable {
    /// A root file system: directories stacked read-only, the topmost first.
    package struct Environment: Sendable, Hashable, Codable {
        package var layers: [String]
        /// Whose ids the files have; nil are those of the sandbox.
        package var owner: IdentityMap?

        /// Names the layers of an environment, and whose they are.
        package init(layers: [String], owner: IdentityMap? = nil) {
            self.layers = layers
            self.owner = owner
        }
    }

    /// The project of a run: layers that are only read, under an upper directory inside of `writable`.
    package struct Project: Sendable, Hashable, Codable {
        /// Names in the writable directory: what is written now, the kernel's work directory, and what was set aside.
        package static let upper = "project", work = "work", layers = "layers"

        /// Those in which the others are made: what is written to the project is below them, and the upper directory.
        package static let roots = [work, layers]

        /// Layers that earlier attempts at the run have left; no link leads to them.
        package struct Kept: Sendable, Hashable, Codable {
            /// The directory of the run.
            package var root: String
            /// Paths from there, topmost first.
            package var layers: [String]

            /// Names the layers.
            package init(root: String, layers: [String]) {
                self.root = root
                self.layers = layers
            }
        }

        /// Lower directories, topmost first.
        package var lowers: [String]
        /// What lies above them; nil for nothing.
        package var kept: Kept?

        /// Names the layers of the project.
        package init(lowers: [String], kept: Kept? = nil) {
            self.lowers = lowers
            self.kept = kept
        }

        /// Numbers of all the layers, topmost first.
        var layerCount: Range<Int> { 0..<((kept?.layers.count ?? 0) + lowers.count) }
    }

    /// One more directory or file of the host.
    package struct Bind: Sendable, Hashable, Codable {
        package var source: String
        package var readOnly: Bool
        /// Whose ids the files have; nil are those of the sandbox, or of anybody.
        package var owner: IdentityMap?

        /// Names a source; a link at its end is followed, as the one who names it sees it.
        package init(source: String, readOnly: Bool, owner: IdentityMap? = nil) {
            self.source = source
            self.readOnly = readOnly
            self.owner = owner
        }
    }

    /// The upper directory of a root that is kept: a build's result.
    package struct PersistentRoot: Sendable, Hashable, Codable {
        package var directory: String
        /// Names of the upper and the work directory in it; they belong to root of the namespace.
        package var upper: String, work: String

        /// Names the directory and the two in it.
        package init(directory: String, upper: String, work: String) {
            self.directory = directory
            self.upper = upper
            self.work = work
        }
    }

    package var environments: [Environment]
    package var project: Project?
    /// The one directory that belongs to the run: attempts, logs, uppers.
    package var writable: String?
    package var binds: [Bind]
    /// A directory for throw-away changes; nil keeps them in memory.
    package var scratch: String?
    /// What a root that is kept is written to.
    package var persistentRoot: PersistentRoot?
    /// The way out for sandboxes whose policy has one; nil makes none.
    package var outbound: OutboundNetwork.Settings?
    /// Whether there are sandboxes with a filtered network, which need a proxy.
    package var hasProxy = false
    /// Devices of the host for its sandboxes, beside those that all have.
    package var devices: DevicePlan?

    /// Names what a supervisor takes along.
    package init(
        environments: [Environment], project: Project? = nil, writable: String? = nil, binds: [Bind] = [],
        persistentRoot: PersistentRoot? = nil
    ) {
        self.environments = environments
        self.project = project
        self.writable = writable
        self.binds = binds
        self.persistentRoot = persistentRoot
    }
}

extension StageSpec {
    /// Prepares for the network of a policy; `reachable` is what stays open of private ranges.
    package mutating func connect(_ network: SandboxPolicy.Network, reachable: [String] = []) {
        outbound = network == .outbound ? OutboundNetwork.Settings(reachable: reachable) : nil
        hasProxy = network == .filtered
    }
}

extension StageSpec {
    /// A path of the host, where the stage shows it, and with which flags.
    struct Source {
        var path: String, target: String
        var attributes: MountAttributes
        var isBind = false
        /// Whose ids its files have; nil are those of the sandbox, or of anybody.
        var owner: IdentityMap?
        /// A directory below which the path stays, without following links; nil for a path of the caller's.
        var root: String?
    }

    /// Everything of the host that the stage shows; binds are in their order.
    var sources: [Source] {
        let writing: MountAttributes = [.noSetuid, .noDevices]
        let reading = writing.union(.readOnly)
        var sources: [Source] = []
        for (number, environment) in environments.enumerated() {
            for (index, layer) in environment.layers.enumerated() {
                var source = Source(path: layer, target: StagePath.layer(number, index), attributes: reading)
                source.owner = environment.owner
                sources.append(source)
            }
        }
        let kept = (project?.kept?.layers ?? []).map {
            Source(path: $0, target: "", attributes: reading, root: project?.kept?.root)
        }
        let lowers = (project?.lowers ?? []).map { Source(path: $0, target: "", attributes: reading) }
        for (index, var lower) in (kept + lowers).enumerated() {
            lower.target = StagePath.projectLower(index)
            sources.append(lower)
        }
        func add(_ path: String?, at target: String) {
            if let path { sources.append(Source(path: path, target: target, attributes: writing)) }
        }
        add(writable, at: StagePath.writable)
        add(scratch, at: StagePath.scratchDirectory)
        add(persistentRoot?.directory, at: StagePath.persistentRoot)
        for (index, bind) in binds.enumerated() {
            let attributes = bind.readOnly ? reading : writing
            var source = Source(path: bind.source, target: StagePath.bind(index), attributes: attributes, isBind: true)
            source.owner = bind.owner
            sources.append(source)
        }
        for (index, companion) in (devices?.companions ?? []).enumerated() {
            sources.append(
                Source(path: companion.source, target: StagePath.deviceCompanion(index), attributes: reading))
        }
        return sources
    }
}

/// Where things are in the supervisor's own root directory.
package enum StagePath {
    /// The directory of the run.
    package static let writable = "/writable"
    /// Where sandboxes see what they share.
    package static let data = "/data"
    static let project = "/project"
    /// Where sandboxes see the project.
    static let projectInside = "/project-dir"
    static let skeleton = "/skeleton"
    static let devices = "/dev"
    static let hostProcesses = "/host-proc"
    static let emptyDirectory = "/empty"
    static let view = "/view"
    static let scratch = "/scratch"
    static let scratchDirectory = "/scratch-directory"
    static let newRoot = "/new"
    static let persistentRoot = "/persistent"

    /// The part of one sandbox.
    static func scratchDirectory(_ number: Int) -> String { "\(scratchDirectory)/\(number)" }
    static func layer(_ environment: Int, _ index: Int) -> String { "/layers/\(environment)/\(index)" }
    static func projectLower(_ index: Int) -> String { "/project-layers/\(index)" }
    static func bind(_ index: Int) -> String { "/binds/\(index)" }
    static let deviceCompanions = "/device-companions"
    static func deviceCompanion(_ index: Int) -> String { "\(deviceCompanions)/\(index)" }
}
