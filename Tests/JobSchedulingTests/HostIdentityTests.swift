import Isolation
import LinuxSystem
import SandboxRuntime
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

    @Test("a range that is another one by now is as lost as one that is gone")
    func changed() {
        #expect(HostIdentity.standing(of: range, offered: range) == .fitting)
        #expect(HostIdentity.standing(of: range, offered: range, isGranted: false) == .lost)
        #expect(HostIdentity.remedy(forLost: range).contains("--add-subuids 100000-165535"))
        func isGranted(_ lines: (UInt32, UInt32)...) -> Bool {
            HostIdentity.isGranted(
                range.users, by: lines.map { SubordinateRange(name: "x", first: $0.0, count: $0.1) })
        }
        #expect(isGranted((100_000, 65536)))
        #expect(isGranted((300_000, 65536), (90_000, 100_000)))
        #expect(!isGranted())
        #expect(!isGranted((165_536, 65536)))
        #expect(!isGranted((100_000, 1000)))
    }

    @Test("ids that two have are found, and the own id is nobody else's matter")
    func overlap() {
        func other(_ first: UInt32, _ count: UInt32) -> String? {
            HostIdentity.otherOwner(of: range.users, among: [SubordinateRange(name: "x", first: first, count: count)])
        }
        #expect(other(165_534, 5) == "x" && other(0, 100_001) == "x")
        #expect(other(165_535, 65536) == nil && other(50_000, 50_000) == nil)
        #expect(
            HostIdentity.otherOwner(of: single.users, among: [SubordinateRange(name: "x", first: 0, count: .max)])
                == nil)
    }
}
