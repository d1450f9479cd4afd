import FoundationEssentials
import LinuxSystem
package import SystemPackage

/// Builds environments: makes a plan, has it executed, and puts the result into force.
///
/// Calls block. A build that fails or is cancelled leaves the one in force as it is, keeps its log and removes the rest.
package struct EnvironmentBuilder {
    let store: EnvironmentStore
    let executor: any BuildExecutor
    let host: HostFiles
    let settings: HostSettings
    /// A digest in hexadecimal digits.
    let digest: ([UInt8]) -> String
    /// Seconds since 1970.
    let now: () -> Int64
    /// Whether what set-up scripts fetch of Debian's archives is kept for other builds.
    let keepsPackagesOfScripts: Bool

    /// Makes a builder; `digest` gives hexadecimal digits, such as those of SHA-256, and `now` seconds since 1970.
    package init(
        store: EnvironmentStore, executor: any BuildExecutor, host: HostFiles, settings: HostSettings,
        keepsPackagesOfScripts: Bool = true, digest: @escaping ([UInt8]) -> String, now: @escaping () -> Int64
    ) {
        self.keepsPackagesOfScripts = keepsPackagesOfScripts
        self.store = store
        self.executor = executor
        self.host = host
        self.settings = settings
        self.digest = digest
        self.now = now
    }

    /// Builds a base, unless the build in force was made from the same recipe and `refresh` is false.
    package func build(
        _ base: Base, refresh: Bool = false, isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws(BuildError) -> BuildRecord {
        let recipe = base.recipe
        let inputs = BuildInputs.base(base)
        var draft = BuildRecord(
            id: "", name: recipe.name.text, title: recipe.description, layers: [], variables: recipe.variables,
            interpreters: recipe.interpreters, created: "", size: 0, privilegedFiles: 0,
            inputs: digest(inputs.bytes), packages: [])
        draft.parts = partDigests(inputs)
        let request = BuildRequest(name: recipe.name, draft: draft, work: .base(base), refresh: refresh)
        do throws(BuildError) {
            return try build(request, isCancelled: isCancelled, report: report)
        } catch {
            throw error.naming(recipe.name.text)
        }
    }

    /// Builds a project's environment as a layer on a build of its base.
    ///
    /// `key` names the result in the store: the same for every version of this environment of this project. The script
    /// sees `project`, a directory, at `/project-dir`. Without a script the result has no layer of its own. `recipe` is
    /// the base's; an image has none.
    package func build(
        _ environment: ProjectEnvironment, on base: BuildRecord, recipe: Recipe?, key: EnvironmentName,
        project: FilePath?, refresh: Bool = false, isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws(BuildError) -> BuildRecord {
        var variables = base.variables
        variables["KERNEL_LANGUAGE"] = environment.language
        let inputs = BuildInputs.project(environment, base: base, project: project)
        var draft = BuildRecord(
            id: "", name: key.text, title: environment.title, layers: base.layers, variables: variables,
            interpreters: base.interpreters, created: "", size: 0, privilegedFiles: 0,
            inputs: digest(inputs.bytes), packages: base.packages)
        draft.parts = partDigests(inputs)
        let archive =
            recipe.map { PackageArchive(suite: $0.suite, components: $0.components) }
            ?? base.image?.suite.map { PackageArchive(suite: $0, components: ["main"], isOfRecipe: false) }
        let work = BuildRequest.Work.layer(script: environment.setupScript, archive: archive, project: project)
        let request = BuildRequest(
            name: key, draft: draft, work: environment.needsBuild ? work : .nothing, refresh: refresh)
        let hold: BuildHold
        do throws(StoreError) { hold = try store.hold(base) } catch { throw .store(error) }
        // What it is built on must not be removed meanwhile.
        defer { withExtendedLifetime(hold) {} }
        do throws(BuildError) {
            return try build(request, isCancelled: isCancelled, report: report)
        } catch {
            throw error.naming(
                environment.title, script: ".orchest/environments/\(environment.name)/\(SetupScript.file)")
        }
    }

    /// Removes a build for good; the caller has seized it, and knows that nothing uses it.
    package func remove(_ build: String) throws(BuildError) {
        guard EnvironmentName(build) != nil else { throw .store(.unknownBuild(build)) }
        try discard(store.path(of: build))
    }

    /// Removes what builds left behind whose makers are gone; how many there were.
    @discardableResult
    package func removeAbandoned() throws(BuildError) -> Int {
        let found: [FilePath]
        do throws(StoreError) { found = try store.abandoned() } catch { throw .store(error) }
        for directory in found { try discard(directory) }
        return found.count
    }
}
