import Glibc
import Isolation
import LinuxSystem
import SystemPackage
import Testing

@testable import Cgroups

/// What is written to and read from control files, over plain directories.
struct RunCgroupFormatTests {
    private let run = "0f8fad5b-d9cb-469f-a165-70867728950e"
    private let limits = ResourceLimits(memory: .mebibytes(64), pids: 10, cpus: 1.5)

    @Test("a trial leaves nothing, and finds every controller", arguments: [CgroupGeneration.v1, .v2])
    func probe(generation: CgroupGeneration) throws {
        let tree = try FakeCgroups(generation)
        let host = tree.probe()
        for controller in CgroupController.allCases {
            #expect(host.hierarchy(for: controller)?.parent == tree.base)
            #expect(host.obstacle(to: controller) == nil)
        }
        #expect((host.unified != nil) == (generation == .v2))
        #expect(try tree.groups().isEmpty)
    }

    @Test func `limits of version 2 are on the group of the run`() throws {
        let tree = try FakeCgroups(.v2)
        let group = try RunCgroup.create(tree.probe(), run: run, limits: limits, fileSystem: tree.fileSystem)
        let directory = "cloche-" + run
        #expect(
            group.enforcement.map(\.description) == ["memory 64MiB: cgroup", "pids 10: cgroup", "cpus 1.5: cgroup"])
        #expect(try tree.text(directory + "/memory.max") == "67108864")
        #expect(try tree.text(directory + "/memory.swap.max") == "0")
        #expect(try tree.text(directory + "/memory.oom.group") == "1")
        #expect(try tree.text(directory + "/pids.max") == "10")
        #expect(try tree.text(directory + "/cpu.max") == "150000 100000")
        try group.remove()
        #expect(try tree.groups().isEmpty)
    }

    @Test func `limits of version 1 are on the group of the run`() throws {
        let tree = try FakeCgroups(.v1)
        let group = try RunCgroup.create(tree.probe(), run: run, limits: limits, fileSystem: tree.fileSystem)
        let directory = "cloche-" + run
        #expect(group.enforcement.map(\.enforcement) == [.cgroup, .cgroup, .cgroup])
        #expect(try tree.text(directory + "/memory.limit_in_bytes") == "67108864")
        #expect(try tree.text(directory + "/memory.memsw.limit_in_bytes") == "67108864")
        #expect(try tree.text(directory + "/pids.max") == "10")
        #expect(try tree.text(directory + "/cpu.cfs_quota_us") == "150000")
        #expect(try tree.text(directory + "/cpu.cfs_period_us") == "100000")
        try group.remove()
        #expect(try tree.groups().isEmpty)
    }

    @Test("the end of a value removes its groups", arguments: [CgroupGeneration.v1, .v2])
    func endRemoves(generation: CgroupGeneration) throws {
        let tree = try FakeCgroups(generation)
        do {
            let group = try RunCgroup.create(tree.probe(), run: run, limits: limits, fileSystem: tree.fileSystem)
            let exists = group.exists
            #expect(exists)
            #expect(try tree.groups() == ["cloche-" + run])
        }
        #expect(try tree.groups().isEmpty)
    }

    @Test func `numbers are read from the group of the run`() throws {
        let tree = try FakeCgroups(.v2)
        let group = try RunCgroup.create(tree.probe(), run: run, limits: limits, fileSystem: tree.fileSystem)
        let directory = "cloche-" + run
        try tree.set(directory + "/memory.events", "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 1\n")
        try tree.set(directory + "/memory.peak", "8192\n")
        try tree.set(directory + "/pids.events", "max 6\n")
        try tree.set(
            directory + "/cpu.stat",
            """
            usage_usec 3500000
            user_usec 2500000
            system_usec 1000000
            nr_periods 9
            nr_throttled 5
            throttled_usec 250000

            """)
        #expect(
            group.usage()
                == CgroupUsage(
                    oomKills: 2, memoryLimitHits: 4, currentMemory: 0, peakMemory: 8192, pidsLimitHits: 6, peakPids: 0,
                    userSeconds: 2.5, systemSeconds: 1, throttledPeriods: 5, throttledSeconds: 0.25))
        let events = try group.memoryEvents(counter: -1)
        #expect(events?.readiness == .exceptional)
    }

    @Test func `killing writes to the group of the run`() throws {
        let tree = try FakeCgroups(.v2)
        let group = try RunCgroup.create(tree.probe(), run: run, limits: limits, fileSystem: tree.fileSystem)
        try group.kill()
        #expect(try tree.text("cloche-\(run)/cgroup.kill") == "1")
    }

    @Test(
        "without a file for swap the limit holds, with a remark",
        arguments: [
            (CgroupGeneration.v1, "memory.memsw.limit_in_bytes"), (.v2, "memory.swap.max"),
        ])
    func noSwap(generation: CgroupGeneration, file: String) throws {
        let tree = try FakeCgroups(generation, without: [file])
        let group = try RunCgroup.create(
            tree.probe(), run: run, limits: ResourceLimits(memory: .mebibytes(1)), fileSystem: tree.fileSystem)
        let report = try #require(group.enforcement.first)
        #expect(report.enforcement == .cgroup)
        #expect(report.remark?.contains("swap") == true)
    }

    @Test func `a controller that child groups do not get is reported with a remedy`() throws {
        let tree = try FakeCgroups(.v2, without: ["cpu.max"])
        try tree.set("cgroup.controllers", "memory pids\n")
        try tree.set("cgroup.subtree_control", "memory pids\n")
        let host = tree.probe()
        #expect(host.obstacle(to: .cpu)?.reason.contains("not delegated") == true)
        #expect(host.obstacle(to: .cpu)?.remedy?.contains("Delegate=") == true)
        let group = try RunCgroup.create(host, run: run, limits: limits, fileSystem: tree.fileSystem)
        #expect(group.enforcement.map(\.enforcement) == [.cgroup, .cgroup, .none])
        #expect(group.enforcement.last?.remark?.contains("Delegate=") == true)
    }

    @Test("limits that the kernel has no number for are not enforced", arguments: [0.001, 1e9])
    func oddProcessors(cpus: Double) throws {
        let tree = try FakeCgroups(.v2)
        let group = try RunCgroup.create(
            tree.probe(), run: run, limits: ResourceLimits(cpus: cpus), fileSystem: tree.fileSystem)
        #expect(group.enforcement.map(\.enforcement) == [.none])
    }

    @Test func `without control groups every limit is reported as not enforced`() throws {
        let host = CgroupHost.probe(mountInfo: "", membership: "")
        let group = try RunCgroup.create(host, run: run, limits: limits)
        let exists = group.exists
        #expect(!exists)
        #expect(group.enforcement.map(\.enforcement) == [.none, .none, .none])
        #expect(group.enforcement.allSatisfy { $0.remark?.isEmpty == false })
        #expect(group.usage() == CgroupUsage())
        #expect(group.stepsEntry == RunCgroup.none(host, limits: limits).stepsEntry)
        #expect(group.stepsEntry.allLists.isEmpty)
        try group.kill()
        try group.remove()
    }

    @Test func `a run whose groups are there already is refused and nothing is removed`() throws {
        let tree = try FakeCgroups(.v2)
        let host = tree.probe()
        let group = try RunCgroup.create(host, run: run, limits: limits, fileSystem: tree.fileSystem)
        let error = #expect(throws: CgroupError.self) {
            _ = try RunCgroup.create(host, run: run, limits: limits, fileSystem: tree.fileSystem)
        }
        #expect(error?.errno == .fileExists)
        #expect(error?.hint != nil)
        let exists = group.exists
        #expect(exists)
        #expect(try tree.groups() == ["cloche-" + run])
    }

    @Test func `a failure half-way removes what was made`() throws {
        let tree = try FakeCgroups(.v2)
        let host = tree.probe()
        let working = tree.fileSystem
        let failing = CgroupFileSystem(
            makeDirectory: { name, parent in
                "\(name)" == "cloche-\(run)"
                    ? .failure(SyscallError("mkdir", errno: .noSpace)) : working.makeDirectory(name, parent)
            }, removeDirectory: working.removeDirectory)
        let error = #expect(throws: CgroupError.self) {
            _ = try RunCgroup.create(host, run: run, limits: limits, fileSystem: failing)
        }
        #expect(error?.errno == .noSpace)
        #expect(error?.hint?.contains("cgroup.max.descendants") == true)
        #expect(try tree.groups().isEmpty)
    }

    @Test("what the tables promise is taken without a trial", arguments: [CgroupGeneration.v1, .v2])
    func promised(generation: CgroupGeneration) throws {
        let tree = try FakeCgroups(generation)
        let group = RunCgroup.promised(
            run, limits, mountInfo: tree.mountInfo, membership: tree.membership, fileSystem: tree.fileSystem)
        switch consume group {
        case nil: Issue.record("no group was made")
        case .some(let group):
            #expect(group.enforcement.map(\.enforcement) == [.cgroup, .cgroup, .cgroup])
            #expect(try tree.groups() == ["cloche-" + run])
        }
    }

    @Test(
        "what does not hold as promised leaves nothing",
        arguments: [
            (CgroupGeneration.v1, "pids.max"), (.v1, "tasks"), (.v2, "memory.max"), (.v2, "cgroup.kill"),
        ])
    func broken(generation: CgroupGeneration, file: String) throws {
        let tree = try FakeCgroups(generation, without: [file])
        let group = RunCgroup.promised(
            run, limits, mountInfo: tree.mountInfo, membership: tree.membership, fileSystem: tree.fileSystem)
        let exists = group != nil
        #expect(!exists)
        #expect(try tree.groups().isEmpty)
    }

    @Test func `only empty groups of runs that are not alive are stale`() throws {
        let tree = try FakeCgroups(.v2)
        let host = tree.probe()
        let names = [
            "stale": "11111111-1111-1111-1111-111111111111", "alive": "22222222-2222-2222-2222-222222222222",
            "full": "33333333-3333-3333-3333-333333333333",
        ]
        let directory = try Syscall.open(tree.base, O_RDONLY | O_DIRECTORY)
        for name in names.values.map({ "cloche-" + $0 }) + ["other", "cloche-host", "cloche-probe-1-a"] {
            try tree.fileSystem.makeDirectory(FilePath(name), directory.number).get()
        }
        try tree.set("cloche-\(names["full"] ?? "")/cgroup.procs", "17\n")
        let removed = host.removeStale(fileSystem: tree.fileSystem) { $0 == names["alive"] }.removed
        #expect(removed == [names["stale"]])
        // Process 1 is always there, and so stays the trial's group that has its number.
        #expect(
            try Set(tree.groups()) == [
                "cloche-\(names["alive"] ?? "")", "cloche-\(names["full"] ?? "")", "other", "cloche-host",
                "cloche-probe-1-a",
            ])
    }

    @Test func `a tree that cannot be looked through is told, and one that is gone has nothing left in it`() throws {
        let tree = try FakeCgroups(.v2)
        let host = tree.probe()
        #expect(host.unseen(fileSystem: tree.fileSystem) == [])
        let aside = FilePath(tree.base.string + ".aside")
        try Syscall.rename(tree.base, to: aside)
        #expect(host.unseen(fileSystem: tree.fileSystem) == [])
        try Syscall.writeFile(tree.base, [], mode: 0o600)
        let stale = host.removeStale(fileSystem: tree.fileSystem) { _ in false }
        #expect(stale.unseen.map(\.reason).first?.contains(tree.base.string) == true, "\(stale)")
        #expect(stale.removed == [] && stale.left == [])
        try Syscall.unlink(tree.base)
        try Syscall.rename(aside, to: tree.base)
    }

    @Test func `a process in the leaf for itself makes groups beside it`() throws {
        let tree = try FakeCgroups(.v2)
        let directory = try Syscall.open(tree.base, O_RDONLY | O_DIRECTORY)
        try tree.fileSystem.makeDirectory("cloche-host", directory.number).get()
        let host = CgroupHost.probe(
            mountInfo: tree.mountInfo, membership: tree.membership + "/cloche-host", fileSystem: tree.fileSystem)
        #expect(host.unified?.parent == tree.base)
    }

    @Test func `a group that holds other processes is not divided, and the remedy is told`() throws {
        let tree = try FakeCgroups(.v2, without: ["memory.max", "pids.max", "cpu.max"])
        try tree.set("cgroup.subtree_control", "\n")
        try tree.set("cgroup.procs", "1\n\(getpid())\n")
        let host = tree.probe()
        for controller in [CgroupController.memory, .pids, .cpu] {
            #expect(host.obstacle(to: controller)?.remedy?.contains("-p Delegate=yes") == true)
        }
        #expect(host.hierarchy(for: .cpuacct)?.canKill == true)
        #expect(try tree.text("cgroup.subtree_control") == "\n")
        #expect(try tree.groups().isEmpty)
    }

    @Test func `a process that is alone in its group moves into a leaf, and the group is divided`() throws {
        let tree = try FakeCgroups(.v2)
        try tree.set("cgroup.subtree_control", "\n")
        try tree.set("cgroup.procs", "\(getpid())\n")
        let host = tree.probe()
        #expect(host.unified?.parent == tree.base)
        #expect(try tree.text("cloche-host/cgroup.procs") == "0")
        #expect(try tree.text("cgroup.subtree_control").hasPrefix("+"))
    }

    @Test func `where groups could hold no process, none is made`() throws {
        let tree = try FakeCgroups(.v2)
        let working = tree.fileSystem
        let invalid = CgroupFileSystem(
            makeDirectory: { name, parent in
                working.makeDirectory(name, parent).flatMap {
                    Result { () throws(SyscallError) in
                        try Syscall.writeFile(
                            name.appending("cgroup.type"), at: parent, "domain invalid\n".utf8)
                    }
                }
            }, removeDirectory: working.removeDirectory)
        let host = CgroupHost.probe(mountInfo: tree.mountInfo, membership: tree.membership, fileSystem: invalid)
        #expect(host.unified == nil)
        #expect(host.obstacle(to: .memory)?.remedy != nil)
        #expect(try tree.groups().isEmpty)
    }
}
