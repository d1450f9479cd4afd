package import Isolation
import LinuxSystem
import Runs
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The choice of the ids that runs of a store have outside; made once, then kept in `identity.json`.
///
/// Only a store in which nothing has been made yet takes a range in place of a single id.
package enum HostIdentity {
    /// First id of the range for a service as root for whom /etc/subuid has none: far above the ids of people and of
    /// the ranges that distributions hand out, and below 2^31, beyond which some programs misread ids.
    static let builtInBase: UInt32 = 1_900_544_000
    /// Up to 2^31.
    static let builtInCount: UInt32 = 3768 * 65536
    /// Ids of one user.
    static let width = SubordinateRange.width

    /// How what a store was made with compares to what a new one would get.
    package enum Standing: Sendable, Equatable {
        /// As good.
        case fitting
        /// The store has a single id, and its user a range by now.
        case narrow
        /// The store has a range, and its user none any more, or another one.
        case lost
    }

    /// How the identity of a store compares to the one that is offered to its user now.
    ///
    /// `isGranted` tells whether its user still has the range of the store.
    package static func standing(of stored: IdentityMap, offered: IdentityMap, isGranted: Bool = true) -> Standing {
        switch (stored.kind, offered.kind) {
        case (.single, .userRange): .narrow
        case (.userRange, .single): .lost
        case (.userRange, .userRange) where !isGranted: .lost
        default: .fitting
        }
    }

    /// Whether the calling user has, by /etc/subuid and /etc/subgid, all the ids that a map takes from his range.
    package static func isGranted(_ identity: IdentityMap) -> Bool {
        guard identity.kind == .userRange else { return true }
        let names = ownNames
        return [("/etc/subuid", identity.users), ("/etc/subgid", identity.groups)].allSatisfy { file, map in
            isGranted(map, by: SubordinateRange.all(FilePath(file)).filter { names.contains($0.name) })
        }
    }

    /// The own id needs no line; it is the only one that stands alone.
    static func isGranted(_ map: [IdentityMap.Range], by ranges: [SubordinateRange]) -> Bool {
        map.allSatisfy { part in
            (part.inside == IdentityMap.user && part.count == 1)
                || ranges.contains { $0.contains(part.outside, part.count) }
        }
    }

    /// What to do about a store whose range its user has no longer.
    package static func remedy(forLost identity: IdentityMap) -> String {
        let (users, groups) = (identity.users.first?.outside, identity.groups.first?.outside)
        let command =
            users == groups
            ? " (\(SubordinateRange.command(for: userName(geteuid()) ?? "USER", from: users)))"
            : users.flatMap { users in groups.map { " (\(users) in /etc/subuid, \($0) in /etc/subgid)" } } ?? ""
        return "give the user the same range again\(command), or set CLOCHE_HOME to another directory"
    }

    /// The name in /etc/subuid of another one who has some of the ids of a map; nil where nobody has.
    package static func otherOwner(of identity: IdentityMap) -> String? {
        let own = identity.kind == .ownerRange ? ["cloche"] : ownNames
        let others = SubordinateRange.all("/etc/subuid").filter { !own.contains($0.name) }
        return otherOwner(of: identity.users, among: others)
    }

    static func otherOwner(of map: [IdentityMap.Range], among others: [SubordinateRange]) -> String? {
        others.first { other in map.contains { $0.count > 1 && other.overlaps($0.outside, $0.count) } }?.name
    }

    /// What the calling user is in /etc/subuid.
    private static var ownNames: [String] { [userName(geteuid()), String(geteuid())].compactMap { $0 } }

    /// What to do about a store that is narrow.
    package static func remedy(for store: FilePath) -> String {
        "remove `\(store)`, or set CLOCHE_HOME to another directory"
    }

    /// The identity of a store: read from it, or chosen now and written.
    package static func stored(in store: FilePath) throws(StoreError) -> IdentityMap {
        try stored(in: store, offer: choose)
    }

    static func stored(in store: FilePath, offer: () -> IdentityMap) throws(StoreError) -> IdentityMap {
        let file = store.appending("identity.json")
        do throws(SyscallError) {
            guard let identity = JSONFile.decode(IdentityMap.self, try Syscall.readFile(file, limit: 65536)) else {
                throw SyscallError("decode", file.string, errno: .invalidArgument)
            }
            return widened(identity, in: store, offer: offer) ?? identity
        } catch let error where error.errno != .noSuchFileOrDirectory {
            // Another choice would make everything in the store somebody else's.
            throw StoreError(
                message: "open the store `\(store)`: \(error)",
                hint: "restore `identity.json` from a backup: the files of the store belong to the ids in it")
        } catch {
        }
        let identity = offer()
        do throws(SyscallError) {
            try write(identity, in: store)
        } catch {
            throw StoreError(message: "write the store's identity: \(error)", hint: "see whether the disk is full")
        }
        return identity
    }

    private static func write(_ identity: IdentityMap, in store: FilePath) throws(SyscallError) {
        let directory = try Syscall.open(store, O_RDONLY | O_DIRECTORY)
        try Syscall.replaceFile("identity.json", at: directory.number, JSONFile.encode(identity) ?? [], mode: 0o600)
    }

    /// The range that an unused store takes whose user got one after it was made; nil where it stays as it is.
    ///
    /// That is safe: there is nothing yet that could become somebody else's. What a process still writes that has read
    /// the single id belongs to the user himself, who is 1000 inside with the range as well.
    private static func widened(
        _ identity: IdentityMap, in store: FilePath, offer: () -> IdentityMap
    ) -> IdentityMap? {
        guard identity.kind == .single, isUnused(store) else { return nil }
        let offered = offer()
        guard standing(of: identity, offered: offered) == .narrow, identity.outsideUser(IdentityMap.user) == geteuid()
        else { return nil }
        // A store that cannot be written to is another one's to tell.
        return (try? write(offered, in: store)) == nil ? nil : offered
    }

    /// Whether nothing has been made or built in a store, which is nobody's but its user's.
    private static func isUnused(_ store: FilePath) -> Bool {
        !StoreOwner.isShared(store)
            && ["jobs", "runs", "snapshots", "environments/builds"].allSatisfy {
                isEmpty(store.pushing(FilePath($0)))
            }
    }

    private static func isEmpty(_ directory: FilePath) -> Bool {
        do throws(SyscallError) {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            return try Syscall.directoryEntries(opened.number).isEmpty
        } catch {
            return error.errno == .noSuchFileOrDirectory
        }
    }

    /// Whose ids the files of environments have that the store at a path uses; nil where they are its own.
    static func environmentsOwner(in store: FilePath, _ identity: IdentityMap) throws(StoreError) -> IdentityMap? {
        let shared = try StoreOwner.sharedStore(of: store)
        if shared == store { return nil }
        let owner = try stored(in: shared)
        return owner == identity ? nil : owner
    }

    /// The best identity that this user can have on this host.
    package static func choose() -> IdentityMap {
        let user = geteuid()
        let group = getegid()
        if user == 0 { return .ownerRange(base: ranges("/etc/subuid", of: ["cloche"]).first?.first ?? builtInBase) }
        let names = ownNames
        if let users = ranges("/etc/subuid", of: names).first?.first,
            let groups = ranges("/etc/subgid", of: names).first?.first,
            Syscall.exists("/usr/bin/newuidmap"), Syscall.exists("/usr/bin/newgidmap")
        {
            return .userRange(user: user, group: group, subordinateUsers: users, subordinateGroups: groups)
        }
        return .single(user: user, group: group, inside: IdentityMap.user)
    }

    /// The ranges of one of the names in which there are 65536 ids.
    static func ranges(_ path: FilePath, of names: [String]) -> [SubordinateRange] {
        SubordinateRange.all(path).filter {
            names.contains($0.name) && $0.count >= width && $0.first <= UInt32.max - $0.count
        }
    }

    /// The names in /etc/group of groups, by their ids, in no order.
    static func groupNames(_ groups: Set<UInt32>) -> [String] {
        guard let bytes = try? Syscall.readFile("/etc/group", limit: 16 << 20) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 3, let group = UInt32(fields[2]), groups.contains(group) else { return nil }
            return String(fields[0])
        }
    }

    /// Whether there is a user of that name, or a group where it begins with an `@`; an id need not have a name.
    package static func isKnown(_ who: String) -> Bool {
        let name = who.first == "@" ? who.dropFirst() : who[...]
        if UInt32(name) != nil { return true }
        if who.first == "@" { return group(named: String(name)) != nil }
        guard let bytes = try? Syscall.readFile("/etc/passwd", limit: 16 << 20) else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            line.split(separator: ":", omittingEmptySubsequences: false).first == name
        }
    }

    /// The groups that /etc/passwd and /etc/group give a user.
    static func groups(of user: UInt32) -> [(id: UInt32, name: String)] {
        guard let accounts = try? Syscall.readFile("/etc/passwd", limit: 16 << 20),
            let bytes = try? Syscall.readFile("/etc/group", limit: 16 << 20)
        else { return [] }
        let account = String(decoding: accounts, as: UTF8.self).split(separator: "\n")
            .map { $0.split(separator: ":", omittingEmptySubsequences: false) }
            .first { $0.count >= 4 && UInt32($0[2]) == user }
        guard let account, let primary = UInt32(account[3]) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 4, let id = UInt32(fields[2]) else { return nil }
            return id == primary || fields[3].split(separator: ",").contains(account[0]) ? (id, String(fields[0])) : nil
        }
    }

    /// The id in /etc/group of a group's name.
    package static func group(named name: String) -> UInt32? {
        guard let bytes = try? Syscall.readFile("/etc/group", limit: 16 << 20) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[0] == name { return UInt32(fields[2]) }
        }
        return nil
    }

    /// Whether an id lies in a range of /etc/subuid, or in the one that is taken where that has none.
    static func isSubordinate(_ user: UInt32) -> Bool {
        if user >= builtInBase, user - builtInBase < builtInCount { return true }
        return SubordinateRange.all("/etc/subuid").contains { user >= $0.first && user - $0.first < $0.count }
    }

    /// The name of a user in /etc/passwd itself: the program is linked statically, without name services.
    package static func userName(_ user: UInt32) -> String? {
        guard let bytes = try? Syscall.readFile("/etc/passwd", limit: 16 << 20) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, UInt32(fields[2]) == user { return String(fields[0]) }
        }
        return nil
    }
}
