import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct IgnoreRulesTests {
    private func decision(_ path: String, in scratch: Scratch, includesGit: Bool = true) throws -> IgnoreDecision {
        let project = try scratch.open("")
        let rules = try IgnoreRules(project: project.number, includesGit: includesGit)
        return try rules.decision(for: FilePath(path), in: project.number)
    }

    @Test func `the explanation names file, line and pattern`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "# comment\n\n*.log\n!keep.log\n")
            try scratch.write("nested/.gitignore", "secret\n")
            #expect(try decision("a.log", in: scratch).description == "left out: .gitignore:3:*.log")
            #expect(try decision("keep.log", in: scratch).description == "taken: .gitignore:4:!keep.log")
            #expect(try decision("nested/secret", in: scratch).description == "left out: nested/.gitignore:1:secret")
            #expect(try decision("secret", in: scratch).description == "taken: no rule matches")
        }
    }

    @Test func `a file cannot be taken back in when its directory is left out`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "build/\n!build/keep\ntrail\\ \n")
            #expect(try decision("trail ", in: scratch).description == #"left out: .gitignore:3:trail\ "#)
            try scratch.write("build/keep", "x")
            #expect(try decision("build/keep", in: scratch).description == "left out: .gitignore:1:build/")
        }
    }

    @Test func `clocheignore takes back in what git ignores, and leaves out what git tracks`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", ".env\nsecrets/\n")
            try scratch.write(".clocheignore", "!.env\n!secrets/\nbig.bin\n")
            try scratch.write("secrets/key", "x")
            try scratch.write("big.bin", "x")
            _ = try run(["git", "init", "-q", "."], in: scratch)
            _ = try run(["git", "add", "big.bin"], in: scratch)
            #expect(try !decision(".env", in: scratch).ignored)
            #expect(try !decision("secrets/key", in: scratch).ignored)
            #expect(try decision("big.bin", in: scratch).description == "left out: .clocheignore:3:big.bin")
        }
    }

    @Test func `tracked files are taken, and the explanation names the rule that they defy`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "data/\n")
            try scratch.write("data/tracked", "x")
            try scratch.write("data/other", "x")
            _ = try run(["git", "init", "-q", "."], in: scratch)
            _ = try run(["git", "add", "-f", "data/tracked"], in: scratch)
            let text = "taken: tracked by git, in spite of .gitignore:1:data/"
            #expect(try decision("data/tracked", in: scratch).description == text)
            #expect(try decision("data", in: scratch).description == text)
            #expect(try decision("data/other", in: scratch).description == "left out: .gitignore:1:data/")
        }
    }

    @Test(arguments: [
        (".orchest/pipelines/0a1b/logs", true), (".orchest/pipelines/0a1b/logs/step.log", true),
        (".orchest/pipelines/0a1b/data", true), (".orchest/pipelines/0a1b/other", false),
        (".orchest/pipelines/logs", false), (".orchest/environments/e/setup_script.sh", false),
        ("sub/.orchest/pipelines/x/logs", false), (".ipynb_checkpoints", true),
        ("deep/er/.ipynb_checkpoints/a.ipynb", true), (".git/config", false),
    ])
    func `built-in rules hold against every file`(_ path: String, _ ignored: Bool) throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "!*\n")
            try scratch.write(".clocheignore", "!*\n!.orchest/**\n")
            #expect(try decision(path, in: scratch).ignored == ignored)
        }
    }

    @Test func `git's directory is taken whatever gitignore says, and left out on request`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "*\n")
            _ = try run(["git", "init", "-q", "."], in: scratch)
            #expect(try !decision(".git/HEAD", in: scratch).ignored)
            #expect(try decision(".git/HEAD", in: scratch, includesGit: false).ignored)
            #expect(try decision("sub/.git", in: scratch, includesGit: false).ignored)
            try scratch.write(".clocheignore", ".git/objects/\n")
            #expect(try decision(".git/objects/ab", in: scratch).ignored)
        }
    }

    @Test func `an ignore file that is a link is not followed`() throws {
        try Scratch.with { scratch in
            try scratch.write("elsewhere", "*\n")
            try Syscall.symlink("elsewhere", scratch.at(".gitignore"))
            #expect(try !decision("a", in: scratch).ignored)
        }
    }

    @Test func `a repository that lies elsewhere is remarked`() throws {
        try Scratch.with { scratch in
            try scratch.write(".git", "gitdir: ../../other\n")
            let project = try scratch.open("")
            #expect(try IgnoreRules(project: project.number).remarks.count == 1)
        }
    }

    @Test func `a damaged index is remarked, with a way to repair it, and ignore rules alone decide`() throws {
        try Scratch.with { scratch in
            try scratch.write(".gitignore", "*.log\n")
            _ = try run(["git", "init", "-q", "."], in: scratch)
            try scratch.write("a.log", "x")
            try scratch.write("b", "x")
            _ = try run(["git", "add", "-f", "."], in: scratch)
            #expect(try !decision("a.log", in: scratch).ignored)
            let index = try Syscall.open(scratch.at(".git/index"), O_RDWR)
            try Syscall.truncate(index.number, to: 20)
            let project = try scratch.open("")
            for includesGit in [true, false] {
                let rules = try IgnoreRules(project: project.number, includesGit: includesGit)
                #expect(rules.remarks.count == 1 && rules.remarks[0].contains("`.git/index` cannot be used"))
                #expect(try rules.decision(for: "a.log", in: project.number).ignored)
                #expect(try !rules.decision(for: "b", in: project.number).ignored)
            }
            _ = try run(["rm", ".git/index"], in: scratch)
            #expect(try run(["git", "reset"], in: scratch).exitCode == 0)
            #expect(try IgnoreRules(project: project.number).remarks.isEmpty)
        }
    }

    @Test func `patterns made to be slow are matched in time`() {
        let pattern = Array(String(repeating: "*a", count: 60).utf8) + Array("b".utf8)
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 4000)
        #expect(!GlobPattern(pattern[...]).matches(text[...]))
        let deep = Array(String(repeating: "**/a/", count: 40).utf8) + Array("b".utf8)
        let path = Array(String(repeating: "a/", count: 500).utf8)
        #expect(!GlobPattern(deep[...]).matches(path[...]))
    }
}
