import Environments
package import Isolation
import LinuxSystem
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a single sandbox needs of a store: its identity, its environments, its data; no database.
package struct SandboxStore {
    /// An environment in force.
    package struct Environment: Sendable {
        package let layers: [String]
        package let variables: [String: String]
        /// Where an image starts its commands; nil is the root.
        package let directory: String?
        /// Its shell; nil where it has none.
        package let shell: String?
        /// Whose ids the files have; nil are those of the store.
        package let owner: IdentityMap?

        /// Describes an environment.
        package init(
            layers: [String], variables: [String: String], directory: String? = nil, shell: String? = nil,
            owner: IdentityMap? = nil
        ) {
            self.layers = layers
            self.variables = variables
            self.directory = directory
            self.shell = shell
            self.owner = owner
        }
    }

    package let identity: IdentityMap
    /// Where what sandboxes see at `/data` is kept.
    package let data: DataDirectory
    /// Where the store is.
    package let path: FilePath

    /// Opens the store at a path.
    package init(_ path: FilePath) throws {
        self.path = path
        do throws(SyscallError) {
            try Syscall.makeDirectories(path, mode: 0o700)
            try Syscall.requireWriting(path)
        } catch {
            throw StoreError(path, error)
        }
        identity = try HostIdentity.stored(in: path)
        data = DataDirectory(store: path, identity: identity)
    }

    /// Notes a sandbox, so that its control groups are found should its processes be killed; and clears away what is
    /// left of such ones; gives what the user should know of.
    package func register(sandbox name: String) throws -> [String] {
        let register = SandboxRegister(path)
        try register.clear()
        try register.add(name)
        return [ScratchPlace.sweep(path, identity)].compactMap { $0 }
    }

    /// Where sandboxes keep throw-away changes; nil is in memory.
    package var scratch: String? { ScratchPlace.directory(of: path) }

    /// Forgets a sandbox of which nothing is left.
    package func forget(sandbox name: String) { SandboxRegister(path).remove(name) }

    /// Forgets a sandbox that did not start, or whose end was not seen, with the control groups that it left.
    package func abandon(sandbox name: String) { SandboxRegister(path).abandon(name) }

    /// The paths of all that the identity and an environment were read from, and the records of the builds that it has.
    ///
    /// Nil where other files matter as well: what the beginning of a name stands for depends on all the names that there are.
    package func sources(of name: String) throws -> (files: [String], builds: [String])? {
        let own = [path.string, path.appending("identity.json").string, path.appending("owner.json").string]
        let store = try EnvironmentStore(directory: StoreOwner.sharedStore(of: path).appending("environments"))
        guard try store.resolve(name, builds: false) == name, let name = EnvironmentName(name),
            let record = try store.current(name)
        else { return nil }
        let sources = store.sources(of: name, record)
        return (own + sources.files.map(\.string), sources.builds.map(\.string))
    }

    /// The build in force of that name, or of the only one that begins so, which is held until this process has ended; nil
    /// when there is none.
    package func environment(_ name: String) throws -> Environment? {
        let store = try EnvironmentStore(directory: StoreOwner.sharedStore(of: path).appending("environments"))
        guard let name = EnvironmentName(try store.resolve(name, builds: false)) else { return nil }
        guard let record = try store.current(name) else { return nil }
        try store.hold(record).keepForLife()
        return Environment(
            layers: store.layers(of: record).map(\.string), variables: record.variables,
            directory: record.image?.workingDirectory, shell: record.interpreters["bash"],
            owner: try HostIdentity.environmentsOwner(in: path, identity))
    }
}
