package import Isolation
import LinuxSystem
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The ids of a service's users: each has 65536 of his own where the range of the service has so many, so that nothing
/// that gets out of a run of one meets the files or the processes of another.
///
/// What a user has is in the `identity.json` of his store and never changes: his files carry these ids.
package struct UserRanges {
    /// What there is for one more user.
    package enum Next: Sendable, Equatable {
        /// Ids that nobody has, and how many more users could have some.
        case own(IdentityMap, left: Int)
        /// He shares those of the service, and why.
        case shared(why: String, remedy: String)
    }

    /// The ids of the service's own runs.
    private let service: IdentityMap
    /// The range that it may hand out.
    private let range: SubordinateRange?
    /// First ids that somebody has.
    private let taken: Set<UInt32>
    /// Ranges of others.
    private let foreign: [SubordinateRange]
    private let mapsFiles: Bool

    /// Looks at the service of a store.
    package init(_ store: FilePath) throws {
        let service = try HostIdentity.stored(in: store)
        let owners = try StoreOwner.all(in: store).map { try HostIdentity.stored(in: $0.store) }
        let first = service.users.first?.outside ?? 0
        let own = HostIdentity.ranges("/etc/subuid", of: ["cloche"]).first {
            first >= $0.first && first - $0.first < $0.count
        }
        let builtIn = SubordinateRange(
            name: "", first: HostIdentity.builtInBase, count: HostIdentity.builtInCount)
        self.init(
            service: service, range: own ?? (first == builtIn.first ? builtIn : nil),
            taken: Set(owners.compactMap { $0.users.first?.outside }),
            foreign: SubordinateRange.all("/etc/subuid").filter { $0 != own },
            mapsFiles: PrivilegedMounts.isPossible(in: store.appending("environments"), service))
    }

    init(
        service: IdentityMap, range: SubordinateRange?, taken: Set<UInt32>,
        foreign: [SubordinateRange], mapsFiles: Bool
    ) {
        self.service = service
        self.range = range
        self.taken = taken
        self.foreign = foreign
        self.mapsFiles = mapsFiles
    }

    /// Whether the ids of a user's store are not those of the service.
    package func areOwn(in store: FilePath) throws -> Bool { try HostIdentity.stored(in: store) != service }

    /// What the next user gets.
    package var next: Next {
        guard service.kind == .ownerRange, let range, let own = service.users.first?.outside else {
            return .shared(
                why: "the service has no range of ids of which it could give some", remedy: "let root serve")
        }
        guard mapsFiles else {
            return .shared(
                why: "the file system of the store cannot show environments as files of other ids",
                remedy: "keep the store on ext4, XFS or Btrfs")
        }
        let width = HostIdentity.width
        let free = stride(
            from: UInt64(range.first), through: UInt64(range.first) + UInt64(range.count - width), by: Int(width)
        )
        .map { UInt32($0) }.filter { first in
            !isTaken(first, own) && !foreign.contains { $0.first < first + width && first < $0.first &+ $0.count }
        }
        guard let first = free.first else {
            return .shared(
                why:
                    "the range of the service (\(range.count) ids from \(range.first)) has no \(width) left for one more",
                remedy: "give it more before the first user comes: a line `cloche:FIRST:COUNT` of /etc/subuid with "
                    + "\(width) ids for the service and for each user")
        }
        return .own(.ownerRange(base: first), left: free.count - 1)
    }

    /// Whether somebody has an id of those that begin there; a store that is older than this may begin anywhere.
    private func isTaken(_ first: UInt32, _ own: UInt32) -> Bool {
        let width = HostIdentity.width
        return taken.union([own]).contains { $0 < first + width && first < $0 + width }
    }
}
