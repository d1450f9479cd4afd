import Glibc
import Isolation
import LinuxSystem
import Policies
import SandboxLaunch
import SeccompFilters
import Testing

@testable import SandboxRuntime

/// What holds of the plan of every policy, whatever the ids are and wherever changes go.
struct SandboxPlannerTests {
    /// CLONE_NEWNET.
    private static let networkNamespace: UInt32 = 0x4000_0000

    @Test("the sandbox is bound to its supervisor first, and again at the end", arguments: PlanSample.all)
    func parentDeath(sample: PlanSample) {
        let operations = sample.operations
        let own = operations.drop { if case .joinNamespace = $0 { true } else { false } }
        #expect(own.first == .parentDeath)
        #expect(operations.last == .parentDeath)
        #expect(own.count >= operations.count - 1)
    }

    @Test("root of the namespace makes everything, where there is one", arguments: PlanSample.all)
    func becomesRoot(sample: PlanSample) throws {
        let operations = sample.operations
        let becoming = operations.indices(beginning: "become user")
        guard sample.identity.hasRange else {
            #expect(becoming.isEmpty)
            #expect(operations.contains(.keepCapabilities))
            return
        }
        #expect(operations.filter { $0 == .becomeUser(user: 0, group: 0) }.count == 1)
        #expect(becoming.count == 1)
        #expect(!operations.contains(.keepCapabilities))
        let first = try #require(operations.indices(beginning: "mount").first)
        #expect(try #require(becoming.first) < first)
    }

    @Test("the audit comes behind everything that it looks at", arguments: PlanSample.all)
    func auditComesLast(sample: PlanSample) throws {
        let operations = sample.operations
        let audits = operations.indices(beginning: "compare the mount table")
        let audit = try #require(audits.first)
        #expect(audits.count == 1)
        let pivots = operations.indices(beginning: "change the root")
        #expect(pivots.count == 1)
        #expect(try #require(pivots.first) < audit)
        let changes = operations.indices(beginning: "mount") + operations.indices(beginning: "change the flags")
        #expect(changes.allSatisfy { $0 < audit })
    }

    @Test("no memory of a command is written out, and kernel queues are bounded", arguments: PlanSample.all)
    func fixedLimits(sample: PlanSample) {
        let operations = sample.operations
        #expect(operations.contains(.setLimit(resource: Int32(RLIMIT_CORE.rawValue), soft: 1, hard: 1)))
        // RLIMIT_SIGPENDING and RLIMIT_MSGQUEUE.
        #expect(operations.contains(.setLimit(resource: 11, soft: 4096, hard: 4096)))
        #expect(operations.contains(.setLimit(resource: 12, soft: 819_200, hard: 819_200)))
    }

    @Test("the network is the one of the policy", arguments: PlanSample.all)
    func network(sample: PlanSample) {
        let plan = sample.plan
        let own = plan.namespaces & Self.networkNamespace != 0
        let joining =
            plan.operations.first
            == .joinNamespace(descriptor: LaunchPlan.firstExtraDescriptor, kind: Self.networkNamespace)
        #expect(own == (sample.policy.network == .none))
        #expect(plan.operations.contains(.loopbackUp) == (sample.policy.network == .none))
        #expect(joining == (sample.policy.network == .outbound))
        #expect(
            plan.operations.filter { if case .joinNamespace = $0 { true } else { false } }.count == (joining ? 1 : 0))
        // Mount, process, IPC, host name and control group.
        #expect(plan.namespaces | Self.networkNamespace == 0x6E02_0000)
    }

    @Test("new mounts give no privileges and no devices", arguments: PlanSample.all)
    func flags(sample: PlanSample) {
        for mount in sample.mounts where mount.type != nil {
            #expect(mount.has(Int(MS_NOSUID)), "\(mount.target)")
            #expect(mount.has(Int(MS_NODEV)) || mount.type == "devpts", "\(mount.target)")
            #expect(mount.has(Int(MS_NOEXEC)) == ["proc", "devpts"].contains(mount.type), "\(mount.target)")
        }
    }

    @Test("what the stage takes along gives no privileges and no devices", arguments: PlanSample.all)
    func stageFlags(sample: PlanSample) {
        let sources = sample.stageSpec.sources
        #expect(sources.allSatisfy { $0.attributes.isSuperset(of: [.noSetuid, .noDevices]) })
        let writable = Set(sources.filter { !$0.attributes.contains(.readOnly) }.map(\.path))
        let scratch: Set = sample.scratchOnDisk ? ["/var/tmp/scratch"] : []
        let data: Set = sample.policy.data == .readOnly ? [] : ["/store/data"]
        let build: Set = sample.isBuild ? ["/store/build"] : []
        #expect(writable == scratch.union(data).union(build).union(["/runs/1"]))
    }

    @Test("overlays are those that a user may mount", arguments: PlanSample.all)
    func overlays(sample: PlanSample) {
        let overlays = sample.mounts.filter { $0.type == "overlay" }
        #expect(overlays.count == (sample.isBuild ? 2 : 1))
        #expect(overlays.allSatisfy { $0.options.contains("userxattr") })
        for overlay in overlays {
            // Only what is thrown away may skip the disk.
            let kept = overlay.options.contains { $0.hasPrefix("upperdir=/persistent") }
            #expect(overlay.options.contains("volatile") == (sample.scratchOnDisk && !kept))
        }
    }

    @Test("the root is the environment under the skeleton", arguments: PlanSample.all)
    func root(sample: PlanSample) throws {
        let root = try #require(sample.mounts.first { $0.target == "/new" })
        #expect(root.options.contains("lowerdir=/skeleton:/layers/0/0:/layers/0/1"))
        let upper = sample.isBuild ? "/persistent/upper" : "/scratch/upper"
        #expect(root.options.contains("upperdir=\(upper)"))
    }

    @Test("throw-away changes have a bounded place", arguments: PlanSample.all)
    func scratch(sample: PlanSample) throws {
        let scratch = try #require(sample.mounts.first { $0.target == "/scratch" })
        guard !sample.scratchOnDisk else {
            #expect(scratch.source == "/scratch-directory/7")
            #expect(sample.operations.contains(.makeDirectory("/scratch-directory/7", mode: 0o755)))
            return
        }
        let bytes = try #require(sample.policy.limits.scratch?.bytes)
        #expect(scratch.type == "tmpfs")
        #expect(scratch.options == ["mode=0755", "size=\(bytes)", "nr_inodes=\(bytes / 4096)"])
    }

    @Test("shared memory has the same bound", arguments: PlanSample.all)
    func sharedMemory(sample: PlanSample) throws {
        let shared = try #require(sample.mounts.first { $0.target == "/new/dev/shm" })
        let bytes = try #require(sample.policy.limits.scratch?.bytes)
        #expect(shared.options == ["mode=1777", "size=\(bytes)", "nr_inodes=\(bytes / 4096)"])
    }

    @Test("paths of procfs are covered or read-only", arguments: PlanSample.all)
    func procfs(sample: PlanSample) throws {
        let mounts = sample.mounts
        let proc = try #require(mounts.firstIndex { $0.type == "proc" })
        let settings = try #require(mounts.lastIndex { $0.target == "/new/proc/sys" })
        for (name, source) in [
            ("kcore", "/dev/null"), ("keys", "/dev/null"), ("sys/fs/file-nr", "/dev/null"), ("acpi", "/empty"),
            ("loadavg", "/view/loadavg"), ("stat", "/view/stat"),
        ] {
            let cover = try #require(mounts.lastIndex { $0.target == "/new/proc/\(name)" })
            #expect(mounts[cover].source == source)
            // A bind of the directory that it lies in would cover the cover.
            #expect(cover > proc && cover > settings)
            let expected = sample.audited.first { $0.target == "/proc/\(name)" }
            #expect(source == "/dev/null" || expected?.flags.contains(.readOnly) == true, "\(name)")
        }
        for name in ["sys", "sysrq-trigger"] {
            let path = "/new/proc/\(name)"
            let bind = try #require(sample.operations.lastIndex { $0.path == path && PlannedMount($0) != nil })
            let after = sample.operations[bind...]
            #expect(after.contains(.remount(target: path, flags: UInt64(MS_RDONLY))))
        }
    }
}
