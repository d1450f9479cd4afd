import SystemPackage
import Testing

@testable import Cgroups

struct CgroupMembershipTests {
    private func trees(_ mountInfo: String, _ membership: String) -> [CgroupMembership.Tree] {
        CgroupMembership(mountInfo: mountInfo, membership: membership).trees
    }

    @Test func `the group lies below the mount point`() {
        let found = trees(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
            "0::/user.slice/user-1000.slice/run.scope\n")
        #expect(found.map(\.group) == ["/sys/fs/cgroup/user.slice/user-1000.slice/run.scope"])
        #expect(found.map(\.generation) == [.v2])
    }

    @Test func `controllers that are mounted together are one tree`() {
        let found = trees(
            "30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
            "4:cpu,cpuacct:/a:b\n3:memory:/")
        #expect(found.count == 1)
        #expect(found.first?.controllers == [.cpu, .cpuacct])
        #expect(found.first?.group == "/sys/fs/cgroup/cpu,cpuacct/a:b")
    }

    @Test func `trees without controllers of ours are left out`() {
        let mounts = """
            30 23 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
            31 23 0:27 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
            32 23 0:28 / /tmp rw - tmpfs tmpfs rw
            """
        #expect(trees(mounts, "2:name=systemd:/\n1:devices:/\n").isEmpty)
    }

    @Test(
        "a mount of a part of the tree shows groups below that part only",
        arguments: [
            ("/docker/abc/x", FilePath("/cg/x")), ("/docker/abc", FilePath("/cg")), ("/docker/abcd", nil),
            ("/other", nil),
            ("/docker/abc/../other", nil),
        ] as [(String, FilePath?)])
    func partialMount(path: String, group: FilePath?) {
        let found = trees("30 23 0:26 /docker/abc /cg rw - cgroup2 none rw", "0::\(path)\n")
        #expect(found.map(\.group) == [group])
    }

    @Test func `a mount that shows the group wins over one that does not`() {
        let visible = "30 23 0:26 / /cg rw - cgroup2 none rw"
        let hidden = "31 23 0:26 /other /hidden rw - cgroup2 none rw"
        for mounts in [visible + "\n" + hidden, hidden + "\n" + visible] {
            #expect(trees(mounts, "0::/x\n").map(\.group) == ["/cg/x"])
        }
    }

    @Test func `blanks in mount points are undone`() {
        let found = trees(#"30 23 0:26 / /my\040cg\134 rw - cgroup2 none rw"#, "0::/x\n")
        #expect(found.map(\.group) == [#"/my cg\/x"#])
    }

    @Test(
        "lines that make no sense are left out",
        arguments: [
            "", "30", "30 23 0:26 / /cg rw - cgroup2", "30 23 0:26 / /cg rw cgroup2 none rw x y",
            "- - - - - - - cgroup2 - -",
            #"30 23 0:26 / \9 rw - cgroup2 none rw"#, "30 23 0:26 / relative rw - cgroup2 none rw",
        ])
    func nonsense(line: String) {
        #expect(trees(line, "0::/x\n").isEmpty)
        #expect(trees("30 23 0:26 / /cg rw - cgroup2 none rw", line).isEmpty)
    }
}
