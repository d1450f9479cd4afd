import Isolation
import LinuxSystem
import Policies
import SandboxLaunch
import SystemPackage
import Testing

@testable import SandboxRuntime

/// The remedy of each obstacle that hosts are known to have.
struct SetupRemedyTests {
    private static let free = SetupRemedy.Settings(isRestrictedByAppArmor: false, isForbiddenByDebian: false)
    private static let ubuntu = SetupRemedy.Settings(isRestrictedByAppArmor: true, isForbiddenByDebian: false)
    private static let debian = SetupRemedy.Settings(isRestrictedByAppArmor: false, isForbiddenByDebian: true)

    private func remedy(
        _ call: String?, _ errno: Errno?, at object: String? = nil, _ settings: SetupRemedy.Settings = free
    ) -> String {
        let error = LaunchError(step: "do it", reason: "it failed", errno: errno, call: call, object: object)
        return SetupRemedy.of(error, settings)
    }

    @Test(
        "each obstacle has its remedy",
        arguments: [
            ("unshare", Errno.noSpace, "user.max_user_namespaces"), ("clone", .noSpace, "user.max_user_namespaces"),
            ("mount", .noSpace, "make room on the disk"), ("mkdir", .noSpace, "make room on the disk"),
            ("mkdir", .diskQuotaExceeded, "quota"), ("open", .tooManyOpenFiles, "ulimit -n"),
            ("open", .tooManyOpenFilesInSystem, "open files"), ("fork", .resourceTemporarilyUnavailable, "ulimit -u"),
            ("clone", .resourceTemporarilyUnavailable, "ulimit -u"),
            ("clone", .resourceTemporarilyUnavailable, "limits.pids"), ("ioctl", .noSpace, "kernel.pty.max"),
            ("sendfile", .fileTooLarge, "ulimit -f"),
            ("clone", .noMemory, "memory free"),
            ("newuidmap", .notPermitted, "package `uidmap`"), ("newgidmap", .notPermitted, "same range again"),
            ("mount", .operationNotSupportedByDevice, "overlayfs"), ("mount", .notPermitted, "overlayfs"),
            ("mount", .invalidArgument, "Linux 6.1"), ("seccomp", .invalidArgument, "CONFIG_SECCOMP_FILTER"),
            ("seccomp", .noFunction, "Linux 5.5"), ("open_tree", .noFunction, "Linux 6.1"),
            ("move_mount", .notPermitted, "filter allows mount calls"), ("mount_setattr", .noFunction, "Linux 6.1"),
        ])
    func obstacles(call: String, errno: Errno, words: String) {
        #expect(remedy(call, errno).contains(words))
    }

    @Test("a refusal of namespaces is traced to the setting behind it", arguments: ["unshare", "clone", "write"])
    func namespaces(call: String) {
        let apparmor = remedy(call, .notPermitted, at: "/proc/7/uid_map", Self.ubuntu)
        #expect(apparmor.contains("kernel.apparmor_restrict_unprivileged_userns=0"))
        #expect(apparmor.contains("AppArmor profile"))
        let sysctl = remedy(call, .notPermitted, at: "/proc/7/uid_map", Self.debian)
        #expect(sysctl.contains("kernel.unprivileged_userns_clone=1"))
        #expect(remedy(call, .notPermitted).contains("container"))
    }

    @Test func `a covered procfs is the container's doing`() {
        #expect(remedy("mount", .notPermitted, at: "/new/proc").contains("systempaths=unconfined"))
        #expect(!remedy("mount", .notPermitted, at: "/new/proc/keys").contains("systempaths"))
    }

    @Test func `Ubuntu lets a namespace be made and refuses what is done in it`() {
        #expect(remedy("mount", .permissionDenied, at: "/", Self.ubuntu).contains("apparmor"))
        #expect(remedy("write", .permissionDenied, at: "/proc/7/uid_map", Self.ubuntu).contains("apparmor"))
    }

    @Test func `what the entry into the namespace throws is among the obstacles`() {
        // As `Confinement.enter` throws them: without the call that failed.
        let refused = LaunchError(
            step: "enter a user namespace", SyscallError("unshare", errno: .notPermitted))
        #expect(SetupRemedy.of(refused, Self.ubuntu).contains("apparmor"))
        let full = LaunchError(
            step: "enter a user namespace", SyscallError("unshare", errno: .noSpace))
        #expect(SetupRemedy.of(full, Self.free).contains("max_user_namespaces"))
        let map = LaunchError(
            step: "map user ids", SyscallError("newuidmap", "7 0 100000 1000", errno: .notPermitted))
        #expect(SetupRemedy.of(map, Self.free).contains("uidmap"))
    }

    @Test func `a range that is gone is to be given back, or the store left`() {
        let text = remedy("newgidmap", .notPermitted, at: "7 0 200000 1000 1000 1002 1 1001 201000 64535")
        #expect(text.contains("/etc/subgid a line `USER:200000:65536`") && text.contains("CLOCHE_HOME"), "\(text)")
        #expect(!text.contains("usermod"))
        #expect(remedy("execute", .noSuchFileOrDirectory, at: "/usr/bin/newuidmap") == "install the package `uidmap`")
    }

    @Test func `no_new_privs is named where it keeps the helpers from their rights`() {
        let bound = SetupRemedy.Settings(
            isRestrictedByAppArmor: false, isForbiddenByDebian: false, hasNoNewPrivileges: true)
        for call in ["newuidmap", "newgidmap"] {
            let text = remedy(call, .notPermitted, at: "7 0 200000 1000", bound)
            #expect(text.contains("no_new_privs") && !text.contains("range"), "\(text)")
        }
    }

    @Test(
        "the range to give is the lowest that nobody has",
        arguments: [
            ([], 100_000), ([(100_000, 65536)], 165_536), ([(165_536, 65536), (100_000, 65536)], 231_072),
            // Between two, and not where it is too narrow.
            ([(100_000, 1), (165_537, 65536)], 100_001), ([(100_000, 1), (165_536, 65536)], 231_072),
            ([(0, 50_000), (4_000_000_000, .max)], 100_000),
        ] as [([(UInt32, UInt32)], UInt32)])
    func freeRange(taken: [(UInt32, UInt32)], first: UInt32) {
        let ranges = taken.map { SubordinateRange(name: "x", first: $0.0, count: $0.1) }
        #expect(SubordinateRange.firstFree(beside: ranges) == first)
    }

    @Test func `the command to give a range names its ids twice`() {
        let ids = "200000-265535"
        #expect(
            SubordinateRange.command(for: "alice", from: 200_000)
                == "`sudo usermod --add-subuids \(ids) --add-subgids \(ids) alice`")
    }

    @Test func `who knows better is believed`() {
        var error = LaunchError(step: "do it", reason: "it failed", errno: .noSpace, call: "mkdir")
        error.remedy = "do something else"
        #expect(SetupRemedy.of(error, Self.free) == "do something else")
    }

    @Test(
        "what nobody knows is for the doctor",
        arguments: [(nil, nil), ("mkdir", .fileExists), (nil, .notPermitted), ("read", .improperLink)]
            as [(String?, Errno?)])
    func unknown(call: String?, errno: Errno?) {
        #expect(remedy(call, errno) == "run `cloche system doctor`")
    }

    @Test func `a remedy is a sentence without an end`() {
        for call in ["unshare", "mount", "newuidmap", "seccomp", "open_tree", "mkdir", "write"] {
            for errno in [Errno.notPermitted, .noSpace, .invalidArgument, .noFunction, .tooManyOpenFiles] {
                let text = remedy(call, errno)
                #expect(!text.isEmpty && !text.hasSuffix(".") && !text.contains("\n"))
            }
        }
    }

    @Test func `a verdict tells of the failure by its parts`() {
        let error = LaunchError(
            step: "mount overlay at `/new`", reason: "mount: No such device", errno: .operationNotSupportedByDevice,
            call: "mount", object: "/new")
        let verdict = SandboxReport(setup: error).verdict(of: "step `a`", under: BuiltInPolicies.standard)
        #expect(verdict.cause == .setup)
        #expect(
            verdict.summary
                == "the sandbox of step `a` could not be set up: failed to mount overlay at `/new`: "
                + "mount: No such device")
        #expect(
            verdict.detail == [
                "stage": .text("mount overlay at `/new`"), "reason": .text("mount: No such device"),
                "call": .text("mount"), "path": .text("/new"), "errno": .text("ENODEV"),
            ])
        #expect(verdict.remedy?.contains("overlayfs") == true)
    }

    @Test func `a failure without a call has fewer parts`() {
        let error = LaunchError(step: "connect the sandbox", reason: "there is no network")
        let verdict = SandboxReport(setup: error).verdict(of: "it", under: BuiltInPolicies.standard)
        #expect(verdict.detail == ["stage": .text("connect the sandbox"), "reason": .text("there is no network")])
        #expect(verdict.remedy == "run `cloche system doctor`")
    }
}
