import Glibc
import Isolation
import SandboxLaunch
import SystemPackage
import Testing

/// The comparison of a mount table with what it has to be, in a small root with a table that is known.
@Suite(.enabled(if: TrialLauncher.isAllowed, "\(TrialLauncher.reason)"))
struct MountAuditTests {
    private static let odd = #"/odd name\"#
    private static let plain = UInt64(MS_NOSUID | MS_NODEV)

    private static func memory(at target: String, _ flags: UInt64 = plain) -> LaunchPlan.Operation {
        .mount(source: "none", target: target, type: "tmpfs", flags: flags, data: "size=64k")
    }

    /// A root in memory with four mounts; `more` is done just before it becomes the root.
    private static func root(_ more: [LaunchPlan.Operation] = []) -> [LaunchPlan.Operation] {
        var operations = [memory(at: "/tmp")]
        for name in ["/proc", "/plain", "/closed", odd] {
            operations.append(.makeDirectory("/tmp" + name, mode: 0o755))
        }
        operations += [
            .mount(source: "/proc", target: "/tmp/proc", type: nil, flags: UInt64(MS_BIND | MS_REC), data: nil),
            memory(at: "/tmp/plain", plain | UInt64(MS_NOEXEC)), memory(at: "/tmp/closed"),
            .remount(target: "/tmp/closed", flags: UInt64(MS_RDONLY)), memory(at: "/tmp" + odd),
        ]
        return operations + more + [.pivotRoot("/tmp")]
    }

    private static let exact = [
        ExpectedMount(.one, at: "/", type: "tmpfs", flags: [.noSetuid, .noDevices]),
        ExpectedMount(.one, at: "/proc", type: "proc", flags: []),
        // What the host has mounted below its own.
        ExpectedMount(.anyBelow, at: "/proc", type: nil, flags: []),
        ExpectedMount(.one, at: "/plain", type: "tmpfs", flags: [.noSetuid, .noDevices, .noExecute]),
        ExpectedMount(.one, at: "/closed", type: nil, flags: [.readOnly, .noSetuid, .noDevices]),
        ExpectedMount(.one, at: odd, type: "tmpfs", flags: []),
    ]

    /// What the audit complains of; nil where it passes.
    private func complaint(_ expected: [ExpectedMount], after more: [LaunchPlan.Operation] = []) throws -> String? {
        let operations = Self.root(more) + [.auditMounts(expected), .writeFile("/absent", text: "")]
        let error = try #require(try TrialLauncher.failure(of: operations))
        // The operation behind the audit cannot succeed either, so that no shell is needed in this root.
        if error.object == "/absent" { return nil }
        #expect(error.step == "compare the mount table with the plan")
        #expect(error.object == "/proc/self/mountinfo")
        return error.reason
    }

    private func expected(without target: String) -> [ExpectedMount] {
        Self.exact.filter { $0.target != target || $0.extent == .anyBelow }
    }

    @Test func `the table that was planned passes, in any order`() throws {
        #expect(try complaint(Self.exact) == nil)
        #expect(try complaint(Self.exact.reversed()) == nil)
    }

    @Test(
        "a mount that was not planned is named",
        arguments: [("/plain", "/plain"), ("/", "/"), (odd, #"/odd\040name\134"#)])
    func unexpected(target: String, name: String) throws {
        #expect(try complaint(expected(without: target)) == "read: an unexpected mount at \(name)")
    }

    @Test func `a mount that is not there is named`() throws {
        let more = [ExpectedMount(.one, at: "/nowhere", type: nil, flags: [])]
        #expect(try complaint(Self.exact + more) == "read: no mount, or a hidden one, at /nowhere")
    }

    @Test func `a mount that there is twice has to be planned twice`() throws {
        let twice = [Self.memory(at: "/tmp/plain", Self.plain | UInt64(MS_NOEXEC))]
        #expect(try complaint(Self.exact, after: twice) == "read: an unexpected mount at /plain")
        let other = ExpectedMount(.one, at: "/plain", type: "tmpfs", flags: .noExecute)
        #expect(try complaint(Self.exact + [other], after: twice) == nil)
    }

    @Test func `another kind of file system is refused`() throws {
        let table = expected(without: "/plain") + [ExpectedMount(.one, at: "/plain", type: "overlay", flags: [])]
        #expect(try complaint(table) == "read: another kind of mount, or weaker flags, at /plain")
    }

    @Test(
        "each flag that is demanded must be there",
        arguments: [
            (ExpectedMount.Flags.readOnly, "/plain"), (.noExecute, "/closed"), (.noSetuid, "/bare"),
            (.noDevices, "/bare"),
        ])
    func flags(flag: ExpectedMount.Flags, target: String) throws {
        let bare: [LaunchPlan.Operation] = [
            .makeDirectory("/tmp/bare", mode: 0o755), Self.memory(at: "/tmp/bare", 0),
        ]
        func table(_ flags: ExpectedMount.Flags) -> [ExpectedMount] {
            expected(without: target).filter { $0.target != "/bare" }
                + (target == "/bare" ? [] : [ExpectedMount(.one, at: "/bare", type: nil, flags: [])])
                + [ExpectedMount(.one, at: target, type: nil, flags: flags)]
        }
        #expect(try complaint(table([]), after: bare) == nil)
        #expect(
            try complaint(table(flag), after: bare) == "read: another kind of mount, or weaker flags, at \(target)")
    }

    @Test func `flags that are not demanded may be there`() throws {
        let table = expected(without: "/closed") + [ExpectedMount(.one, at: "/closed", type: nil, flags: [])]
        #expect(try complaint(table) == nil)
    }

    @Test func `what comes along with a directory may be below it only`() throws {
        let inside: [LaunchPlan.Operation] = [
            .makeDirectory("/tmp/plain/a", mode: 0o755), Self.memory(at: "/tmp/plain/a"),
            .makeDirectory("/tmp/plainer", mode: 0o755), Self.memory(at: "/tmp/plainer"),
        ]
        let below = ExpectedMount(.anyBelow, at: "/plain", type: nil, flags: .noSetuid)
        let beside = ExpectedMount(.one, at: "/plainer", type: nil, flags: [])
        #expect(try complaint(Self.exact + [below, beside], after: inside) == nil)
        #expect(try complaint(Self.exact + [below]) == nil)
        // A name that begins the same is not below, and the place itself needs a line of its own.
        #expect(try complaint(Self.exact + [below], after: inside) == "read: an unexpected mount at /plainer")
        #expect(try complaint(expected(without: "/plain") + [below]) == "read: an unexpected mount at /plain")
    }

    @Test func `what comes along may not be weaker`() throws {
        let inside: [LaunchPlan.Operation] = [
            .makeDirectory("/tmp/plain/a", mode: 0o755), Self.memory(at: "/tmp/plain/a", 0),
        ]
        let below = ExpectedMount(.anyBelow, at: "/plain", type: nil, flags: [.noSetuid, .noDevices])
        #expect(
            try complaint(Self.exact + [below], after: inside)
                == "read: another kind of mount, or weaker flags, at /plain/a")
    }

    @Test func `a tie to another mount table is refused`() throws {
        let shared = LaunchPlan.Operation.mount(
            source: "none", target: "/tmp/closed", type: nil, flags: UInt64(MS_SHARED), data: nil)
        #expect(
            try complaint(Self.exact, after: [shared])
                == "read: a mount that is shared with another mount table at /closed")
    }

    @Test func `a name that is longer than there is room for is cut`() throws {
        let name = "/" + String(repeating: "a", count: 250)
        let more = [LaunchPlan.Operation.makeDirectory("/tmp" + name, mode: 0o755), Self.memory(at: "/tmp" + name)]
        let reason = try #require(try complaint(Self.exact, after: more))
        #expect(reason.hasPrefix("read: an unexpected mount at /aaa"))
        #expect(reason.utf8.count < 250)
    }

    @Test func `more mounts than can be compared are refused`() throws {
        let many = (0..<600).map { ExpectedMount(.one, at: "/\($0)", type: nil, flags: []) }
        #expect(try complaint(many + Self.exact)?.hasPrefix("read: too many mounts expected at ") == true)
    }

    @Test func `nothing is expected of an empty table`() throws {
        #expect(try complaint([]) == "read: an unexpected mount at /")
    }
}
