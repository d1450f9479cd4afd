import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

/// Projects in a repository, whose `.git` lies above them or elsewhere.
@Suite struct GitRepositoryTests {
    private func rules(_ place: String, in scratch: Scratch) throws -> IgnoreRules {
        let project = try scratch.open(place)
        return try IgnoreRules(project: project.number)
    }

    private func decision(_ path: String, of place: String, in scratch: Scratch) throws -> String {
        let project = try scratch.open(place)
        return try IgnoreRules(project: project.number).decision(for: FilePath(path), in: project.number).description
    }

    private func git(_ arguments: String..., in scratch: Scratch, at place: String = "") throws {
        let result = try run(["git"] + arguments, in: scratch, at: place)
        #expect(result.exitCode == 0, "\(arguments): \(result.errors)")
    }

    @Test func `the rules above a project count, and a change of them has an effect at once`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", ".", in: scratch)
            try scratch.write(".gitignore", ".env\n/project/only\n/project/sub\n")
            try scratch.write(".git/info/exclude", "*.tmp\n")
            for name in [".env", "deep/.env", "only", "deep/only", "sub/x", "a.tmp", "keep"] {
                try scratch.write("project/" + name, "x")
            }
            let first = try scratch.capture()
            #expect(
                try first.paths(scratch.store()) == [".", "deep", "deep/only", "keep"] && first.count(.ignored) == 5)
            #expect(first.remarks.isEmpty)
            #expect(try decision(".env", of: "project", in: scratch) == "left out: ../.gitignore:1:.env")
            #expect(try decision("a.tmp", of: "project", in: scratch) == "left out: ../.git/info/exclude:1:*.tmp")
            try git("add", "-f", "project/only", in: scratch)
            #expect(
                try decision("only", of: "project", in: scratch)
                    == "taken: tracked by git, in spite of ../.gitignore:2:/project/only")
            try scratch.write(".gitignore", "keep\n")
            try scratch.write("project/.clocheignore", "!keep\nsub\n")
            #expect(
                try scratch.capture().paths(scratch.store()) == [
                    ".", ".clocheignore", ".env", "deep", "deep/.env", "deep/only", "keep", "only",
                ])
        }
    }

    @Test func `a project that git ignores itself is taken as if it lay in no repository`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", ".", in: scratch)
            try scratch.write(".gitignore", "*\n")
            try scratch.write("home/project/a", "x")
            let rules = try rules("home/project", in: scratch)
            #expect(rules.remarks.count == 1 && rules.remarks[0].contains("by ../../.gitignore:1:*,"))
            #expect(try decision("a", of: "home/project", in: scratch) == "taken: no rule matches")
        }
    }

    @Test func `the working tree of a branch and a submodule have their rules and files elsewhere`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", "main", in: scratch)
            try scratch.write("main/.gitignore", "*.log\n")
            try scratch.write("main/sub/kept.log", "x")
            try git("add", "-f", ".", in: scratch, at: "main")
            try git("commit", "-q", "-m", "x", in: scratch, at: "main")
            try git("worktree", "add", "-q", "../tree", in: scratch, at: "main")
            try scratch.write("main/.git/info/exclude", "*.tmp\n")
            try scratch.write("tree/sub/b", "x")
            for place in ["tree", "tree/sub"] {
                #expect(try rules(place, in: scratch).remarks.isEmpty)
                let prefix = place == "tree" ? "sub/" : ""
                #expect(try decision(prefix + "a.log", of: place, in: scratch).hasPrefix("left out: "))
                #expect(try decision(prefix + "kept.log", of: place, in: scratch).hasPrefix("taken: tracked by git"))
                #expect(
                    try decision(prefix + "a.tmp", of: place, in: scratch).hasSuffix("main/.git/info/exclude:1:*.tmp"))
                #expect(try decision(prefix + "b", of: place, in: scratch) == "taken: no rule matches")
            }
        }
    }

    @Test func `what only looks like a repository is passed, and one that cannot be read is remarked`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", ".", in: scratch)
            try scratch.write(".gitignore", "a\n")
            try scratch.makeDirectory("mid/.git/objects")
            try scratch.makeDirectory("mid/project")
            #expect(try decision("a", of: "mid/project", in: scratch) == "left out: ../../.gitignore:1:a")
            try scratch.write("file/.git", "gitdir: /nonexistent\n")
            try scratch.makeDirectory("file/project")
            #expect(try rules("file/project", in: scratch).remarks.first?.contains("`../.git` leads to no") == true)
            #expect(try decision("a", of: "file/project", in: scratch) == "taken: no rule matches")
        }
    }

    @Test func `nothing is looked for above a store`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", ".", in: scratch)
            try scratch.write(".gitignore", "a\n")
            try scratch.write("store/identity.json", "{}")
            try scratch.write("store/cloche.db", "")
            try scratch.makeDirectory("store/incoming/project")
            #expect(try decision("a", of: "store/incoming/project", in: scratch) == "taken: no rule matches")
        }
    }

    @Test(.enabled(if: isRoot, "giving a directory away needs root"))
    func `a repository of another user is not read`() throws {
        try Scratch.with { scratch in
            try git("init", "-q", ".", in: scratch)
            try scratch.write(".gitignore", "a\n")
            try scratch.makeDirectory("project")
            try Syscall.changeOwner(scratch.at(".git"), user: 65534, group: 65534)
            #expect(try rules("project", in: scratch).remarks.first?.contains("belongs to another user") == true)
            #expect(try decision("a", of: "project", in: scratch) == "taken: no rule matches")
            #expect(try run(["git", "status"], in: scratch, at: "project").errors.contains("dubious ownership"))
        }
    }
}
