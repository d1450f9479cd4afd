import Cgroups
import Glibc
import LinuxSystem
import SystemPackage

/// A plain directory that looks like a mounted tree of control groups, for texts and formats; removed with the value.
final class FakeCgroups: Sendable {
    let root: FilePath
    let generation: CgroupGeneration
    private let files: [String: String]

    /// Files of a new group of version 2.
    static let v2Files = [
        "cgroup.procs": "", "cgroup.type": "domain\n", "cgroup.subtree_control": "",
        "cgroup.controllers": "cpu memory pids\n", "cgroup.kill": "",
        "cgroup.events": "populated 0\nfrozen 0\n", "cgroup.freeze": "0\n", "memory.max": "max\n",
        "memory.swap.max": "max\n", "memory.oom.group": "0\n", "memory.current": "0\n", "memory.peak": "0\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n", "pids.max": "max\n",
        "pids.events": "max 0\n", "pids.peak": "0\n", "cpu.max": "max 100000\n", "cpuset.cpus": "\n",
        "cpu.stat": "usage_usec 0\nuser_usec 0\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
    ]

    /// Files of a new group in a tree of version 1 that has all controllers.
    static let v1Files = [
        "cgroup.procs": "", "tasks": "", "cgroup.event_control": "", "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.memsw.limit_in_bytes": "9223372036854771712\n", "memory.failcnt": "0\n",
        "memory.usage_in_bytes": "0\n", "memory.max_usage_in_bytes": "0\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "pids.max": "max\n",
        "pids.events": "max 0\n", "pids.peak": "0\n", "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "50000\n",
        "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", "cpuacct.usage": "0\n",
        "cpuacct.usage_user": "0\n",
        "cpuacct.usage_sys": "0\n", "freezer.state": "THAWED\n", "cpuset.cpus": "\n",
    ]

    init(_ generation: CgroupGeneration, without missing: Set<String> = []) throws {
        self.generation = generation
        files = (generation == .v1 ? Self.v1Files : Self.v2Files).filter { !missing.contains($0.key) }
        var template = Array("/tmp/cloche-cgroups-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SyscallError.last("mkdtemp") }
        root = FilePath(platformString: template)
        let group = root.appending("base")
        try Syscall.makeDirectory(group, mode: 0o755)
        for (name, text) in files { try Syscall.writeFile(group.appending(name), text.utf8) }
        let enabled = group.appending("cgroup.subtree_control")
        if generation == .v2 { try Syscall.writeFile(enabled, "cpu memory pids\n".utf8) }
    }

    deinit { try? Self.remove(root) }

    private static func remove(_ path: FilePath) throws(SyscallError) {
        guard try Syscall.lstat(path).isDirectory else { return try Syscall.unlink(path) }
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        for entry in try Syscall.directoryEntries(directory.number) {
            try remove(path.appending(entry.path.components))
        }
        try Syscall.unlink(path, directory: true)
    }

    /// The group that the process is in.
    var base: FilePath { root.appending("base") }

    private var options: String { generation == .v1 ? "rw,memory,pids,cpu,cpuacct,freezer,cpuset" : "rw" }
    private var type: String { generation == .v1 ? "cgroup" : "cgroup2" }

    /// Its line in the mount table.
    var mountInfo: String { "30 23 0:26 / \(root) rw - \(type) none \(options)" }

    /// Its line in the table of groups.
    var membership: String { generation == .v1 ? "4:memory,pids,cpu,cpuacct,freezer,cpuset:/base" : "0::/base" }

    /// Makes and removes the files of a group with its directory, as the kernel does.
    var fileSystem: CgroupFileSystem {
        let files = files
        return CgroupFileSystem(
            makeDirectory: { name, parent in
                Result { () throws(SyscallError) in
                    try Syscall.makeDirectory(name, at: parent, mode: 0o755)
                    let directory = try Syscall.open(name, at: parent, O_RDONLY | O_DIRECTORY)
                    for (name, text) in files {
                        try Syscall.writeFile(FilePath(name), at: directory.number, text.utf8)
                    }
                }
            },
            removeDirectory: { name, parent in
                Result { () throws(SyscallError) in
                    let directory = try Syscall.open(name, at: parent, O_RDONLY | O_DIRECTORY)
                    for file in files.keys where Syscall.exists(FilePath(file), at: directory.number) {
                        try Syscall.unlink(FilePath(file), at: directory.number)
                    }
                    try Syscall.unlink(name, at: parent, directory: true)
                }
            })
    }

    /// The host as it is found.
    func probe() -> CgroupHost {
        CgroupHost.probe(mountInfo: mountInfo, membership: membership, fileSystem: fileSystem)
    }

    /// The text of a file below the base.
    func text(_ path: String) throws -> String {
        String(decoding: try Syscall.readFile(base.appending(path), limit: 65536), as: UTF8.self)
    }

    /// Replaces the text of a file below the base, as the kernel would.
    func set(_ path: String, _ text: String) throws {
        try Syscall.writeFile(base.appending(path), text.utf8)
    }

    /// The names of the groups below the base.
    func groups() throws -> [String] {
        let directory = try Syscall.open(base, O_RDONLY | O_DIRECTORY)
        return try Syscall.directoryEntries(directory.number)
            .map { String(decoding: $0.name, as: UTF8.self) }
            .filter { Syscall.exists(base.appending($0).appending("cgroup.procs")) }
    }
}
