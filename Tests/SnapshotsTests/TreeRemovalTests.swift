import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct TreeRemovalTests {
    private func remove(_ name: String, in scratch: Scratch) throws {
        let directory = try scratch.open("")
        try TreeRemoval.remove(directory: directory.number, name: FilePath(name))
    }

    @Test func `files, links, pipes and directories go; what links point to stays`() throws {
        try Scratch.with { scratch in
            try scratch.write("outside/kept", "x")
            try scratch.write("tree/d/e/file", "x")
            try Syscall.symlink(scratch.at("outside"), scratch.at("tree/d/link"))
            mkfifo(scratch.at("tree/pipe").string, 0o600)
            try remove("tree", in: scratch)
            #expect(try scratch.names("") == ["outside"])
            #expect(try scratch.names("outside") == ["kept"])
        }
    }

    @Test func `a link in place of the tree is removed itself, and nothing is no error`() throws {
        try Scratch.with { scratch in
            try scratch.write("outside/kept", "x")
            try Syscall.symlink("outside", scratch.at("tree"))
            try remove("tree", in: scratch)
            try remove("tree", in: scratch)
            #expect(try scratch.names("outside") == ["kept"])
        }
    }

    @Test(arguments: ["", ".", "..", "a/b", "/"])
    func `only a name of one component is taken`(_ name: String) throws {
        try Scratch.with { scratch in
            _ = #expect(throws: SyscallError.self) { try remove(name, in: scratch) }
        }
    }

    @Test(.enabled(if: isRoot, "becoming another user needs root"))
    func `directories without any rights are removed by their owner`() throws {
        try Scratch.with { scratch in
            try Syscall.changeOwner(scratch.path, user: 65534, group: 65534)
            try onPrivateThread {
                try becomeNobody()
                try scratch.write("tree/a/b/file", "x", mode: 0o400)
                try scratch.write("tree/c/file", "x")
                for name in ["tree/a/b", "tree/a", "tree/c", "tree"] {
                    let directory = try scratch.open(name)
                    try Syscall.changeMode(of: directory.number, name == "tree/c" ? 0o500 : 0)
                }
                try remove("tree", in: scratch)
                #expect(try scratch.names("").isEmpty)
            }
        }
    }

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func `other mounts are not emptied`() throws {
        try Scratch.with { scratch in
            try scratch.write("outside/kept", "x")
            try scratch.makeDirectory("tree/mount")
            try onPrivateThread {
                try enterPrivateMounts()
                try Syscall.mount(
                    source: scratch.at("outside").string, target: scratch.at("tree/mount"), type: nil,
                    flags: UInt(MS_BIND))
                #expect(throws: SyscallError.self) { try remove("tree", in: scratch) }
                #expect(try scratch.names("outside") == ["kept"])
            }
        }
    }

    @Test func `usage counts several names of a file once, and holes only as size`() throws {
        try Scratch.with { scratch in
            try scratch.write("tree/d/file", String(repeating: "x", count: 10_000))
            try scratch.write("tree/holes", "")
            let holes = try Syscall.open(scratch.at("tree/holes"), O_RDWR)
            try Syscall.truncate(holes.number, to: 1 << 30)
            let tree = try scratch.open("tree")
            try Syscall.link(
                TerminatedName("d/file".utf8), at: tree.number, to: TerminatedName("again".utf8), at: tree.number)
            try Syscall.symlink("/", scratch.at("tree/link"))
            let usage = try DiskUsage.measure(tree.number)
            #expect(usage.files == 3 && usage.directories == 2)
            #expect(usage.apparent == 10_000 + 1 << 30 + 1)
            #expect(usage.allocated >= 10_000 && usage.allocated < 100_000)
        }
    }
}
