import Isolation
import LinuxSystem
import SystemPackage
import Testing

@testable import JobScheduling

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The ids of a store")
struct HostIdentityTests {
    private let single = IdentityMap.single(user: geteuid(), group: getegid(), inside: IdentityMap.user)
    private let range = IdentityMap.userRange(
        user: geteuid(), group: getegid(), subordinateUsers: 100_000, subordinateGroups: 100_000)

    private func withStore(_ body: (FilePath) throws -> Void) throws {
        var template = Array("/tmp/host-identity-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let store = FilePath(platformString: template)
        defer { system("rm -r \(store)") }
        try body(store)
    }

    @Test("a store in which nothing has been made takes the range that its user got since")
    func unused() throws {
        try withStore { store in
            #expect(try HostIdentity.stored(in: store) { single } == single)
            for name in ["jobs", "runs", "snapshots", "environments/builds"] {
                try Syscall.makeDirectories(store.pushing(FilePath(name)), mode: 0o700)
            }
            #expect(try HostIdentity.stored(in: store) { single } == single)
            #expect(try HostIdentity.stored(in: store) { range } == range)
            #expect(try HostIdentity.stored(in: store) { single } == range)
        }
    }

    @Test(
        "a store keeps the single id once something has been made, and where a service has users",
        arguments: ["jobs/one", "runs/one", "snapshots/one", "environments/builds/one", "owners"])
    func used(name: String) throws {
        try withStore { store in
            #expect(try HostIdentity.stored(in: store) { single } == single)
            try Syscall.makeDirectories(store.pushing(FilePath(name)), mode: 0o700)
            #expect(try HostIdentity.stored(in: store) { range } == single)
        }
    }

    @Test("what a store was made with is compared with what its user has now")
    func standing() {
        #expect(HostIdentity.standing(of: single, offered: range) == .narrow)
        #expect(HostIdentity.standing(of: range, offered: single) == .lost)
        #expect(HostIdentity.standing(of: single, offered: single) == .fitting)
        #expect(HostIdentity.standing(of: .ownerRange(base: 5), offered: .ownerRange(base: 6)) == .fitting)
    }
}
