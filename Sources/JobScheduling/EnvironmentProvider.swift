package import Environments
import Isolation
import Jobs
import LinuxSystem
import Policies
import Runs
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The environments of projects: what they need, what is built, and what a job pins.
package struct EnvironmentProvider {
    package let store: Store
    package let environments: EnvironmentStore
    private let catalogue: BaseCatalogue

    /// Opens the store's environments and the recipes: those of the directory in CLOCHE_ENVIRONMENTS, else those beside
    /// the program.
    package init(_ store: Store, recipes: FilePath?) throws {
        self.store = store
        environments = try EnvironmentStore(directory: store.environments)
        catalogue = try Self.catalogue(recipes)
    }

    private static func catalogue(_ recipes: FilePath?) throws -> BaseCatalogue {
        guard let recipes else { return try BaseCatalogue(directory: try recipesBesideProgram()) }
        do throws(BaseError) {
            return try BaseCatalogue(directory: recipes)
        } catch {
            guard case .system(let cause) = error else { throw error }
            throw StoreError(
                message: "read the recipes of the base environments, which CLOCHE_ENVIRONMENTS names: \(cause)",
                hint: "name their directory in CLOCHE_ENVIRONMENTS, or unset it")
        }
    }

    /// Names of the bases, of which no store has to know.
    package static func baseNames(recipes: FilePath?) -> [String] {
        (try? catalogue(recipes).names) ?? []
    }

    /// The `Environments` directory of the project that the program was built in, or of its installation.
    private static func recipesBesideProgram() throws -> FilePath {
        var directory = FilePath(bytes: try Syscall.readLink("/proc/self/exe")).removingLastComponent()
        let installed = directory.removingLastComponent().appending("share/cloche/environments")
        if Syscall.exists(installed) { return installed }
        while !directory.isEmpty, directory != "/" {
            let candidate = directory.appending("Environments")
            if Syscall.exists(candidate.appending(PinnedEnvironments.standard).appending(Base.recipeFile)) {
                return candidate
            }
            directory = directory.removingLastComponent()
        }
        throw StoreError(
            message:
                "find the recipes of the base environments: there is no `Environments` directory above the program",
            hint: "name it in CLOCHE_ENVIRONMENTS")
    }

    /// Names of the bases, also of those whose recipe is wrong.
    package var baseNames: [String] { catalogue.names }

    /// Why a base cannot be built; nil where it can, or where none has that name.
    package func baseProblem(_ name: String) -> BaseError? { catalogue.unusable[name] }

    /// What a base is for.
    package func baseDescription(_ name: String) -> String? {
        catalogue.bases.first { $0.recipe.name.text == name }?.recipe.description
    }

    /// The project's environment of that uuid; nil where the project has none of it.
    package func projectEnvironment(_ uuid: String, project: FilePath) throws -> ProjectEnvironment? {
        guard let name = EnvironmentName(uuid) else { return nil }
        let file = FilePath(".orchest/environments").appending(uuid).appending("properties.json")
        guard try Self.isThere(file, in: project) else { return nil }
        return try Self.read(name, project)
    }

    /// Whether a project has a file; its links could lead out of it, and are not followed.
    static func isThere(_ file: FilePath, in project: FilePath) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            let directory = try Syscall.open(project, O_RDONLY | O_DIRECTORY)
            let found = try Syscall.openLocation(file, at: directory.number, resolve: [.beneath, .noSymlinks])
            return found.number >= 0
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return false }
            throw error
        }
    }

    private static func read(_ name: EnvironmentName, _ project: FilePath) throws -> ProjectEnvironment {
        let directory = try Syscall.open(project, O_RDONLY | O_DIRECTORY)
        return try ProjectEnvironment.read(name, project: directory.number)
    }

    /// The name under which the builds of a project's environment are kept: the same wherever the project lies.
    ///
    /// Users of a service have names of their own: what one of them builds is never what another one gets.
    private func key(_ environment: ProjectEnvironment) -> EnvironmentName? {
        let owner = store.owner?.environmentPrefix ?? ""
        return EnvironmentName(
            owner + "\(environment.name.text)-\(Digest.hexadecimal(Array(environment.baseImage.utf8)).prefix(8))")
    }

    /// The build in force of a base or of a project's environment, if it is one of these inputs.
    package func current(_ name: EnvironmentName) throws -> BuildRecord? { try environments.current(name) }

    /// The build in force of a name, or the one of that identity; both may be given by their beginning.
    package func record(of text: String) throws -> BuildRecord {
        let text = try resolve(text)
        return try EnvironmentName(text).flatMap { try environments.current($0) } ?? environments.record(text)
    }

    /// The full name or identity that a text stands for; a user of a service is led to none of another one.
    func resolve(_ text: String) throws -> String {
        let owner = store.owner
        return try environments.resolve(text, builds: owner == nil) { owner?.mayKnow(environment: $0) ?? true }
    }

    /// Builds a base unless it is up to date.
    package func buildBase(
        _ name: String, refresh: Bool = false, isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws -> BuildRecord {
        try requireRange()
        return try builder().build(try catalogue.base(name), refresh: refresh, isCancelled: isCancelled, report: report)
    }

    /// Builds a project's environment, and before it its base, unless they are up to date.
    package func build(
        _ environment: ProjectEnvironment, project: FilePath, refresh: Bool = false, isCancelled: () -> Bool,
        report: (BuildEvent) -> Void
    ) throws -> BuildRecord {
        try requireRange()
        let turn = try turn(isCancelled: isCancelled, report: report)
        defer { withExtendedLifetime(turn) {} }
        let builder = try builder()
        let record: BuildRecord, recipe: Recipe?
        // A recipe goes before an image of its name: an import cannot take its place.
        if !catalogue.has(environment.baseImage), let image = try imported(environment.baseImage) {
            record = image
            recipe = nil
            guard !environment.needsBuild || image.interpreters["bash"]?.hasSuffix("/bash") == true else {
                throw StoreError(
                    message:
                        "build `\(environment.title)`: the image `\(image.name)` has no bash to run its setup_script.sh",
                    hint: "take an image with bash, or leave the script empty")
            }
        } else {
            let base = try catalogue.base(environment.baseImage, others: try importedNames())
            record = try builder.build(base, isCancelled: isCancelled, report: report)
            recipe = base.recipe
        }
        guard let key = key(environment) else {
            throw StoreError(message: "build the environment: its uuid is no name", hint: nil)
        }
        return try builder.build(
            environment, on: record, recipe: recipe, key: key, project: project, refresh: refresh,
            isCancelled: isCancelled, report: report)
    }

    /// The turn of a user of a service to build: each has one at a time, so that nobody's builds take the whole host; nil
    /// in a store of one's own.
    private func turn(
        isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws -> OwnedFileDescriptor? {
        if store.owner == nil { return nil }
        let lock = try Syscall.open(
            store.path.appending("build.lock"), O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        var isTold = false
        while (try? Syscall.flock(lock.number, LOCK_EX | LOCK_NB)) == nil {
            if isCancelled() { throw BuildError.cancelled }
            if !isTold { report(.waiting) }
            isTold = true
            _ = try Syscall.poll([], milliseconds: 100)
        }
        return lock
    }

    /// Compares a base with its build in force; builds nothing.
    package func checkBase(_ name: String) throws -> BuildCheck { try builder().check(try catalogue.base(name)) }

    /// Compares a project's environment, and its base, with their builds in force; builds nothing.
    package func check(_ environment: ProjectEnvironment, project: FilePath) throws -> BuildCheck {
        guard let key = key(environment) else {
            throw StoreError(message: "check the environment: its uuid is no name", hint: nil)
        }
        if !catalogue.has(environment.baseImage), let image = try imported(environment.baseImage) {
            return try builder().check(environment, project: project, base: image, baseIsCurrent: true, key: key)
        }
        let base = try catalogue.base(environment.baseImage, others: try importedNames())
        let state = try builder().check(base)
        return try builder().check(
            environment, project: project, base: try environments.current(base.recipe.name),
            baseIsCurrent: state.reasons.isEmpty,
            key: key)
    }

    /// Reads builds again: every one, or those that a name or an identity stands for, with all that they lie on.
    ///
    /// Gives the build and what differs from the day it was made; nil for one of which nothing was written down.
    package func verify(
        _ texts: [String], isCancelled: () -> Bool, begin: (_ build: String) -> Void
    ) throws -> [(build: String, differences: [String]?)] {
        var builds: [String] = []
        for text in texts {
            let record = try record(of: text)
            builds += [record.id] + record.layers
        }
        if texts.isEmpty {
            // What is left of a removed build is none.
            builds = try environments.builds().filter {
                Syscall.exists(environments.path(of: $0).appending("build.json"))
            }
        }
        let builder = try builder()
        var seen: Set<String> = []
        return try builds.filter { seen.insert($0).inserted }.map { build in
            begin(build)
            return (build, try builder.verify(build, isCancelled: isCancelled))
        }
    }

    /// The packages of a base belong to many ids.
    private func requireRange() throws {
        if store.identity.hasRange { return }
        if HostIdentity.standing(of: store.identity, offered: HostIdentity.choose()) == .narrow {
            throw StoreError(
                message: "build an environment: the store `\(store.path)` was made with a single id, "
                    + "and packages need a range of them",
                hint: "this user has a range by now: \(HostIdentity.remedy(for: store.path))")
        }
        throw StoreError(
            message: "build an environment: this user has only one id, and packages need a range of them",
            hint:
                "an image can be had by `cloche env import`; `cloche system doctor` says how to get a range, for a new store"
        )
    }

    func builder() throws -> EnvironmentBuilder {
        EnvironmentBuilder(
            store: environments,
            executor: SandboxBuildExecutor(
                identity: store.environmentsOwner ?? store.identity, authors: store.identity,
                scratch: ScratchPlace.directory(of: store.path),
                ceiling: try PolicyCatalogue.standard(store: store.path).ceiling,
                python: try PythonSupport.install(in: store), registeredIn: store.path), host: .live,
            settings: HostSettings(host: .live, variables: HostProcess.variables()),
            // Users of a service would see in them what others had installed.
            keepsPackagesOfScripts: store.owner == nil, digest: Digest.hexadecimal,
            now: { Int64(Syscall.wallClockSeconds()) })
    }
}

/// What a job has pinned, as its runs need it.
enum PinnedEnvironments {
    /// The base of projects that have no environment of their own.
    static let standard = "python"

    static func resolve(
        _ pins: [String: JobDocument.Environment], in store: Store
    ) throws -> [RunSpec.Environment] {
        let environments = try EnvironmentStore(directory: store.environments)
        return try pins.sorted { $0.key < $1.key }.map { uuid, pin in
            let record = try environments.record(pin.build)
            try environments.requireSound(record)
            return RunSpec.Environment(
                uuid: uuid, name: pin.name, build: pin.build,
                layers: environments.layers(of: record).map(\.string), variables: record.variables,
                interpreters: record.interpreters, owner: store.environmentsOwner)
        }
    }
}
