import Glibc
import Isolation
import Policies
import Testing

@testable import SandboxRuntime

/// The whole plan of one sandbox, so that every change of it is seen in review.
struct GoldenPlanTests {
    private static let operations = """
        bind the sandbox to its supervisor
        become user 0 and group 0
        set the file mode mask
        mount tmpfs at `/scratch`: nosuid,nodev,mode=0755,size=2147483648,nr_inodes=524288
        make the directory `/scratch/upper`
        make the directory `/scratch/work`
        mount overlay at `/new`: nosuid,nodev,lowerdir=/skeleton:/layers/0/0:/layers/0/1,upperdir=/scratch/upper,\
        workdir=/scratch/work,userxattr
        mount proc at `/new/proc`: nosuid,nodev,noexec
        mount `/new/proc/sys` at `/new/proc/sys`: bind
        change the flags of the mount at `/new/proc/sys`
        mount `/new/proc/sysrq-trigger` at `/new/proc/sysrq-trigger`: bind
        change the flags of the mount at `/new/proc/sysrq-trigger`
        mount `/dev/null` at `/new/proc/kcore`: bind
        mount `/dev/null` at `/new/proc/keys`: bind
        mount `/dev/null` at `/new/proc/sys/fs/file-nr`: bind
        mount `/empty` at `/new/proc/acpi`: bind
        mount `/view/cpuinfo` at `/new/proc/cpuinfo`: bind
        mount `/view/loadavg` at `/new/proc/loadavg`: bind
        mount `/view/meminfo` at `/new/proc/meminfo`: bind
        mount `/view/stat` at `/new/proc/stat`: bind
        mount `/view/swaps` at `/new/proc/swaps`: bind
        mount `/view/vmstat` at `/new/proc/vmstat`: bind
        mount `/dev` at `/new/dev`: bind,rec
        mount devpts at `/new/dev/pts`: nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,max=256,gid=5
        mount tmpfs at `/new/dev/shm`: nosuid,nodev,mode=1777,size=2147483648,nr_inodes=524288
        mount `/project` at `/new/project-dir`: bind,rec
        mount `/writable/steps/1` at `/new/outputs`: bind,rec
        mount `/binds/0` at `/new/data`: bind,rec
        set the host name `cloche`
        bring the loopback device up
        change the root directory
        compare the mount table with the plan
        keep to 2 processors
        set the resource limit 4: 1, 1
        set the resource limit 11: 4096, 4096
        set the resource limit 12: 819200, 819200
        set the resource limit 7: 4096, 4096
        set the resource limit 6: 1024, 1024
        bind the sandbox to its supervisor
        """

    private static let table = """
        = sd overlay /
        = sdx proc /proc
        = rsdx - /proc/sys
        = rsdx - /proc/sysrq-trigger
        = sx - /proc/kcore
        = sx - /proc/keys
        = sx - /proc/sys/fs/file-nr
        = rsd - /proc/acpi
        = rsd - /proc/cpuinfo
        = rsd - /proc/loadavg
        = rsd - /proc/meminfo
        = rsd - /proc/stat
        = rsd - /proc/swaps
        = rsd - /proc/vmstat
        = rsdx - /dev
        = sx - /dev/null
        = sx - /dev/zero
        = sx - /dev/full
        = sx - /dev/random
        = sx - /dev/urandom
        = sx - /dev/tty
        = sx devpts /dev/pts
        = sd tmpfs /dev/shm
        = sd - /project-dir
        = sd - /outputs
        = sd - /data
        * sd - /data
        """

    private static let sample: PlanSample = {
        var policy = BuiltInPolicies.standard
        policy.limits.cpus = 2
        return PlanSample(policy: policy)
    }()

    private func line(_ operation: LaunchPlan.Operation) -> String {
        guard let mount = PlannedMount(operation) else {
            guard case .setLimit(_, let soft?, let hard?) = operation else { return operation.description }
            return operation.description + ": \(soft), \(hard)"
        }
        let names = [
            (MS_BIND, "bind"), (MS_REC, "rec"), (MS_RDONLY, "ro"), (MS_NOSUID, "nosuid"), (MS_NODEV, "nodev"),
            (MS_NOEXEC, "noexec"),
        ].filter { mount.has(Int($0.0)) }.map(\.1)
        return operation.description + ": " + (names + mount.options).joined(separator: ",")
    }

    @Test func `the plan under the default policy is the one that was reviewed`() {
        let lines = Self.sample.operations.map { line($0) }
        #expect(lines == Self.operations.split(separator: "\n").map(String.init))
    }

    @Test func `the mount table under the default policy is the one that was reviewed`() {
        let lines = Self.sample.audited.map { String($0.line.dropLast()) }
        #expect(lines == Self.table.split(separator: "\n").map(String.init))
    }
}
