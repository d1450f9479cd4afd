package import Isolation
import LinuxSystem
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The choice of the ids that runs of a store have outside; made once, then kept in `identity.json`.
package enum HostIdentity {
    /// First id of the range for a service as root for whom /etc/subuid has none: far above the ids of people and of
    /// the ranges that distributions hand out, and below 2^31, beyond which some programs misread ids.
    private static let builtInBase: UInt32 = 1_900_544_000

    /// The identity of a store: read from it, or chosen now and written.
    package static func stored(in store: FilePath) throws(StoreError) -> IdentityMap {
        let file = store.appending("identity.json")
        do throws(SyscallError) {
            guard let identity = JSONFile.decode(IdentityMap.self, try Syscall.readFile(file, limit: 65536)) else {
                throw SyscallError("decode", file.string, errno: .invalidArgument)
            }
            return identity
        } catch let error where error.errno != .noSuchFileOrDirectory {
            // Another choice would make everything in the store somebody else's.
            throw StoreError(
                message: "open the store `\(store)`: \(error)",
                hint: "restore `identity.json` from a backup: the files of the store belong to the ids in it")
        } catch {
        }
        let identity = choose()
        do throws(SyscallError) {
            let directory = try Syscall.open(store, O_RDONLY | O_DIRECTORY)
            try Syscall.replaceFile("identity.json", at: directory.number, JSONFile.encode(identity) ?? [], mode: 0o600)
        } catch {
            throw StoreError(message: "write the store's identity: \(error)", hint: "see whether the disk is full")
        }
        return identity
    }

    /// The best identity that this user can have on this host.
    package static func choose() -> IdentityMap {
        let user = geteuid()
        let group = getegid()
        if user == 0 { return .ownerRange(base: range("/etc/subuid", names: ["cloche"]) ?? builtInBase) }
        let names = [userName(user), String(user)].compactMap { $0 }
        if let users = range("/etc/subuid", names: names), let groups = range("/etc/subgid", names: names),
            Syscall.exists("/usr/bin/newuidmap"), Syscall.exists("/usr/bin/newgidmap")
        {
            return .userRange(user: user, group: group, subordinateUsers: users, subordinateGroups: groups)
        }
        return .single(user: user, group: group, inside: IdentityMap.user)
    }

    /// The first range of 65536 ids of one of the names: lines `name:first:count` (subuid(5)).
    private static func range(_ path: String, names: [String]) -> UInt32? {
        guard let bytes = try? Syscall.readFile(FilePath(path), limit: 1 << 20) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, names.contains(String(fields[0])), let first = UInt32(fields[1]),
                let count = UInt32(fields[2]), count >= 65536, first <= UInt32.max - 65536
            else { continue }
            return first
        }
        return nil
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
        if user >= builtInBase, user - builtInBase < 65536 { return true }
        guard let bytes = try? Syscall.readFile("/etc/subuid", limit: 1 << 20) else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]) else { return false }
            return user >= first && user - first < count
        }
    }

    /// The name of a user in /etc/passwd itself: the program is linked statically, without name services.
    static func userName(_ user: UInt32) -> String? {
        guard let bytes = try? Syscall.readFile("/etc/passwd", limit: 16 << 20) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, UInt32(fields[2]) == user { return String(fields[0]) }
        }
        return nil
    }
}
