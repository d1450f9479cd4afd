package import Environments
import JobStorage
import Jobs
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Who needs which build of an environment: jobs that pinned it, and environments that lie on it.
package struct EnvironmentUse {
    private let environments: EnvironmentStore
    /// Names of jobs by the build that they pinned.
    private let pins: [String: [String]]
    /// Names by the build that is in force.
    package let inForce: [String: [String]]
    /// The builds that those of `pins` and `inForce` lie on.
    private let layers: [String: [String]]

    /// Where it is learnt which jobs there are.
    package enum Source {
        /// The documents of all jobs: one that cannot be read might hold any build, and is an error.
        case documents
        /// The databases, which are faster: enough for a look.
        case databases
    }

    /// Learns of all jobs, those of a service's users included.
    package init(_ store: Store, _ environments: EnvironmentStore, from source: Source = .documents) throws {
        self.environments = environments
        var pins: [String: [String]] = [:]
        let owned = try StoreOwner.all(in: store.shared)
        for (path, prefix) in [(store.shared, "")] + owned.map({ ($0.store, "\($0.owner.text):") }) {
            // A user of a service is told that others have jobs, and not which.
            let isTold = store.owner == nil || path == store.path
            let prefix = store.owner == nil ? prefix : ""
            let names =
                switch source {
                case .documents: try Self.documentedPins(in: path)
                case .databases:
                    try Self.notedPins(in: path, path == store.path ? store.database : Self.database(in: path))
                }
            for (build, jobs) in names {
                pins[build, default: []] += jobs.map { isTold ? prefix + $0 : Self.someoneElses }
            }
        }
        self.pins = pins
        var inForce: [String: [String]] = [:]
        for name in try environments.names() {
            if let record = try environments.current(name) { inForce[record.id, default: []].append(name.text) }
        }
        self.inForce = inForce
        var layers: [String: [String]] = [:]
        // What was lost, or removed since, lies on nothing.
        for build in Set(pins.keys).union(inForce.keys) {
            layers[build] = try environments.recordIfPresent(build)?.layers
        }
        self.layers = layers
    }

    /// Names of jobs by the build that they pinned, from their documents.
    private static func documentedPins(in store: FilePath) throws -> [String: [String]] {
        var pins: [String: [String]] = [:]
        let directory = store.appending("jobs")
        // A store that is just being made has no jobs.
        guard Syscall.exists(directory) else { return [:] }
        let jobs = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        for entry in try Syscall.directoryEntries(jobs.number) {
            guard let job = JobID(String(decoding: entry.name, as: UTF8.self)),
                // A job that is being made or removed has no document; what is made for it is held by its maker.
                Syscall.exists(directory.appending(job.description).appending("job.json"))
            else { continue }
            let document = try Store.document(job, in: store)
            for build in Set(document.environments.values.map(\.build)) {
                pins[build, default: []].append(document.name.description)
            }
        }
        return pins
    }

    /// The same as the database has it; what an older version has not noted is noted now.
    private static func notedPins(in store: FilePath, _ database: JobDatabase?) throws -> [String: [String]] {
        guard let database else { return try documentedPins(in: store) }
        var (pins, unknown) = try database.pinnedBuilds()
        if unknown.isEmpty { return pins }
        let documents = try unknown.map { try Store.document($0, in: store) }
        for document in documents {
            for build in Set(document.environments.values.map(\.build)) {
                pins[build, default: []].append(document.name.description)
            }
        }
        // Where there is no room for it, they are read again the next time.
        try? database.noteBuilds(of: documents)
        return pins
    }

    /// The database of another store; nil where it has none yet.
    private static func database(in store: FilePath) throws -> JobDatabase? {
        let file = store.appending("cloche.db")
        return Syscall.exists(file) ? try JobDatabase(path: file.string) : nil
    }

    private static let someoneElses = "another user's"

    /// Jobs that need a build: they pinned it, or one that lies on it.
    package func jobs(_ build: String) -> [String] {
        Set(above(build).flatMap { pins[$0] ?? [] }).sorted()
    }

    /// Environments in force that lie on a build and are others than it.
    package func environments(on build: String) -> [String] {
        let own = inForce[build] ?? []
        return Set(above(build).flatMap { inForce[$0] ?? [] }).subtracting(own).sorted()
    }

    /// The builds of a name, the newest first; what has no record is none.
    package func builds(of name: String) throws -> [BuildRecord] {
        try records().filter { $0.name == name }.sorted { ($0.created, $0.id) > ($1.created, $1.id) }
    }

    /// Every build that neither a job nor an environment in force needs; also what is left of removed ones.
    package func unused() throws -> [String] {
        try environments.unused(keeping: Set(pins.keys))
    }

    private func above(_ build: String) -> [String] {
        [build] + layers.filter { $0.value.contains(build) && $0.key != build }.map(\.key)
    }

    private func records() throws -> [BuildRecord] {
        try environments.builds().compactMap { try? environments.record($0) }
    }
}

/// Why a build is not removed: somebody needs it.
package struct EnvironmentInUse: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    package let description: String
    /// What to do about it.
    package let hint: String?
    /// Whether it will pass by itself.
    package let isBusy: Bool

    init(_ description: String, hint: String? = nil, isBusy: Bool = false) {
        self.description = description
        self.hint = hint
        self.isBusy = isBusy
    }
}

/// What is removed: names that go out of force, and builds.
package struct EnvironmentRemoval {
    /// The name that goes out of force.
    package var name: EnvironmentName?
    /// The builds that are removed.
    package var builds: [String] = []
    /// Whether builds that somebody has begun to use are left out instead of refused.
    package var sparesUsed = false
    /// Builds of the name that stay, with the jobs that hold them.
    package var kept: [(build: String, jobs: [String])] = []

    /// Removes nothing.
    package init() {}

    init(name: EnvironmentName?, builds: [String]) {
        self.name = name
        self.builds = builds
    }
}

extension EnvironmentStore {
    /// The builds that were made for a user of the service, and that nobody else gets.
    package func builds(of owner: StoreOwner) throws -> [BuildRecord] {
        // What is left of one that was removed has no record.
        try builds().compactMap { try? record($0) }.filter { $0.name.hasPrefix(owner.environmentPrefix) }
    }
}

extension EnvironmentProvider {
    /// What removing a name, or a build by its identity, comes to.
    ///
    /// Where a job or another environment needs a build it is an error, unless only the name is to go out of force.
    package func removal(of text: String, forgetsOnly: Bool) throws -> EnvironmentRemoval {
        let text = try resolve(text)
        let use = try EnvironmentUse(store, environments)
        guard let name = EnvironmentName(text), try environments.names().contains(name) else {
            let record = try environments.record(text)
            try refuse(record.id, text, use)
            if let name = use.inForce[record.id]?.first {
                throw EnvironmentInUse(
                    "remove the build `\(text)`: it is in force as `\(name)`", hint: "remove `\(name)` instead")
            }
            return EnvironmentRemoval(name: nil, builds: [record.id])
        }
        var removal = EnvironmentRemoval(name: name, builds: [])
        for record in try use.builds(of: text) {
            let jobs = use.jobs(record.id)
            if !forgetsOnly { try refuse(record.id, text, use) }
            if jobs.isEmpty, use.environments(on: record.id).isEmpty {
                removal.builds.append(record.id)
            } else {
                removal.kept.append((record.id, jobs))
            }
        }
        return removal
    }

    /// Everything that nobody needs.
    package func unusedBuilds() throws -> EnvironmentRemoval {
        var removal = EnvironmentRemoval(name: nil, builds: try EnvironmentUse(store, environments).unused())
        removal.sparesUsed = true
        return removal
    }

    /// Removes what was planned, unless somebody has begun to need it since.
    ///
    /// No sandbox, job or build can begin to use a build that is seized; those that do already are waited for by nobody:
    /// it is an error then, and nothing is removed, unless such builds are to be spared. Gives the builds that were removed.
    package func carryOut(_ removal: EnvironmentRemoval) throws -> [String] {
        var removal = removal
        var seized: [BuildHold] = []
        defer { withExtendedLifetime(seized) {} }
        for build in removal.builds {
            guard let hold = try environments.seize(build) else {
                if removal.sparesUsed {
                    removal.builds.removeAll { $0 == build }
                    continue
                }
                throw EnvironmentInUse(
                    "remove the build `\(build)`: a sandbox or a build uses it", hint: "try again when it has ended",
                    isBusy: true)
            }
            seized.append(hold)
        }
        var nameLock: NameLock?
        defer { withExtendedLifetime(nameLock) {} }
        if let name = removal.name {
            nameLock = try environments.lockForRemoval(name)
            guard nameLock != nil else {
                throw EnvironmentInUse(
                    "remove `\(name)`: it is being built", hint: "try again when that has ended", isBusy: true)
            }
        }
        let use = try EnvironmentUse(store, environments)
        if removal.sparesUsed {
            let unused = Set(try use.unused())
            removal.builds.removeAll { !unused.contains($0) }
        }
        for build in removal.builds {
            let names = (use.inForce[build] ?? []).filter { $0 != removal.name?.text }
            guard use.jobs(build).isEmpty, use.environments(on: build).isEmpty, names.isEmpty else {
                throw EnvironmentInUse(
                    "remove the build `\(build)`: it has come into use meanwhile", hint: "see `cloche env show`")
            }
        }
        if let name = removal.name { try environments.forget(name) }
        let builder = try builder()
        for build in removal.builds { try builder.remove(build) }
        return removal.builds
    }

    /// Removes what builds left behind whose makers are gone; how many there were.
    package func removeAbandoned() throws -> Int { try builder().removeAbandoned() }

    private func refuse(_ build: String, _ text: String, _ use: EnvironmentUse) throws {
        let jobs = use.jobs(build)
        if !jobs.isEmpty {
            let names = jobs.prefix(5).map { "`\($0)`" }.joined(separator: ", ") + (jobs.count > 5 ? ", …" : "")
            throw EnvironmentInUse(
                "remove `\(text)`: \(jobs.count == 1 ? "the job \(names) holds" : "the jobs \(names) hold") build \(build)",
                hint: "remove the jobs first, or take only the name out of force with `cloche env rm NAME --forget`")
        }
        let others = use.environments(on: build)
        if !others.isEmpty {
            throw EnvironmentInUse(
                "remove `\(text)`: built on it are " + others.prefix(5).map { "`\($0)`" }.joined(separator: ", "),
                hint: "remove these first, or take only the name out of force with `cloche env rm NAME --forget`")
        }
    }
}
