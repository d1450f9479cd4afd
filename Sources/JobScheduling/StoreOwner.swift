import Isolation
import LinuxSystem
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The user for whom a service keeps a store of his own: `owners/<uid>` in the service's store.
///
/// Each is a store like any other, with its own jobs, snapshots, secrets and `/data`, so that nothing has to be told apart
/// by a condition that could be forgotten. It shares the environments and the policies of the service's store.
package struct StoreOwner: Sendable, Hashable, Codable {
    /// The user id.
    package let user: UInt32
    /// Its name in /etc/passwd, where it has one.
    package let name: String?

    /// The name of a user in /etc/passwd.
    package static func name(of user: UInt32) -> String? { HostIdentity.userName(user) }

    /// What the names of the environments begin with that are built for him, in the service's store.
    package var environmentPrefix: String { "u\(user)-" }

    /// Whether an environment is the service's or his own, by its name: those of other users are none of his.
    package func mayKnow(environment name: String) -> Bool {
        name.hasPrefix(environmentPrefix) || name.prefixMatch(of: /u[0-9]+-/) == nil
    }

    /// Names a user.
    package init(user: UInt32, name: String?) {
        self.user = user
        self.name = name
    }

    private static let fileName: FilePath = "owner.json"
    private static let directory: FilePath = "owners"

    /// Whether the store at a path is one of a service with users: that of the service, or of one of them.
    static func isShared(_ store: FilePath) -> Bool {
        Syscall.exists(store.pushing(directory)) || Syscall.exists(store.pushing(fileName))
    }

    /// The name, or else the id.
    package var text: String { name ?? String(user) }

    /// Whose the store at a path is; nil where it is its user's own.
    static func stored(in store: FilePath) throws(StoreError) -> StoreOwner? {
        let file = store.pushing(fileName)
        do throws(SyscallError) {
            guard let owner = JSONFile.decode(StoreOwner.self, try Syscall.readFile(file, limit: 65536)) else {
                throw SyscallError("decode", file.string, errno: .invalidArgument)
            }
            return owner
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            if error.errno == .permissionDenied { throw StoreError(store, error) }
            throw StoreError(
                message: "open the store `\(store)`: \(error)", hint: "restore `owner.json` from a backup")
        }
    }

    /// The store whose environments and policies hold in the one at `store`: itself, or that of the service.
    package static func sharedStore(of store: FilePath) throws(StoreError) -> FilePath {
        guard try stored(in: store) != nil else { return store }
        return store.removingLastComponent().removingLastComponent()
    }

    /// The store of a user in a service's store, made if it is missing.
    package static func makeStore(of user: UInt32, in store: FilePath) throws -> FilePath {
        let path = store.pushing(directory).appending(String(user))
        if Syscall.exists(path.pushing(fileName)) { return path }
        try Syscall.makeDirectories(path, mode: 0o700)
        // Two who come at once get two ranges of ids.
        let above = try Syscall.open(store.pushing(directory), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try Syscall.flock(above.number, LOCK_EX)
        defer { withExtendedLifetime(above) {} }
        if Syscall.exists(path.pushing(fileName)) { return path }
        let identity =
            switch try UserRanges(store).next {
            case .own(let identity, _): identity
            case .shared: try HostIdentity.stored(in: store)
            }
        let opened = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try Syscall.replaceFile("identity.json", at: opened.number, JSONFile.encode(identity) ?? [], mode: 0o600)
        let owner = StoreOwner(user: user, name: HostIdentity.userName(user))
        // Last: from here on it is whole.
        try Syscall.replaceFile(fileName, at: opened.number, JSONFile.encode(owner) ?? [], mode: 0o600)
        return path
    }

    /// The owners that a service's store has, and their stores, by user id.
    package static func all(in store: FilePath) throws -> [(owner: StoreOwner, store: FilePath)] {
        let place = store.pushing(directory)
        guard Syscall.exists(place) else { return [] }
        let opened = try Syscall.open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let users = try Syscall.directoryEntries(opened.number).compactMap {
            UInt32(String(decoding: $0.name, as: UTF8.self))
        }
        return try users.sorted().compactMap { user in
            let path = place.appending(String(user))
            return try stored(in: path).map { ($0, path) }
        }
    }

    /// Whether an id can be that of somebody with an account: none that a user namespace can hand out or hide behind.
    ///
    /// Whoever has a range in /etc/subuid can take each of its ids, and would count as so many users; also as somebody
    /// with an account, where that has an id of the range.
    package static func isAccount(_ user: UInt32) -> Bool {
        // The id that stands for all that have none here, whatever name it has.
        if user == 65534 || user == .max { return false }
        return !HostIdentity.isSubordinate(user)
    }
}
