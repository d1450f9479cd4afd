import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct GitIndexTests {
    private let names = ["a", "a-b", "a/b", "a/c/d", "b", "naïve", "with space", "z/long/path/of/a/file.txt"]

    /// Makes a repository that tracks `names`.
    private func repository(_ scratch: Scratch, _ options: [String] = [], _ settings: [[String]] = []) throws {
        #expect(try run(["git", "init", "-q"] + options + ["."], in: scratch).exitCode == 0)
        for setting in settings { _ = try run(["git", "config"] + setting, in: scratch) }
        for name in names where name != "a" { try scratch.write(name, name) }
        try? scratch.write("a", "x")
        #expect(try run(["git", "add", "-A"], in: scratch).exitCode == 0)
    }

    @Test(arguments: ["2", "3", "4"])
    func `reads every version that git writes`(_ version: String) throws {
        try Scratch.with { scratch in
            try repository(scratch, [], [["index.version", version]])
            // An intent to add needs the extended flags, which make version 2 into 3.
            try scratch.write("intent", "x")
            _ = try run(["git", "add", "-N", "intent"], in: scratch)
            try expectTracked(try GitIndex(bytes: scratch.read(".git/index")), scratch)
        }
    }

    @Test func `reads object names of SHA-256`() throws {
        try Scratch.with { scratch in
            try repository(scratch, ["--object-format=sha256"])
            try expectTracked(try GitIndex(bytes: scratch.read(".git/index")), scratch)
        }
    }

    @Test func `a split index counts together with its shared file`() throws {
        try Scratch.with { scratch in
            try repository(scratch)
            _ = try run(["git", "update-index", "--split-index"], in: scratch)
            try scratch.write("later", "x")
            _ = try run(["git", "add", "later"], in: scratch)
            try scratch.write(".gitignore", "*\n")
            let project = try scratch.open("")
            let rules = try IgnoreRules(project: project.number)
            for name in ["later", "b", "a/c/d"] {
                #expect(try !rules.decision(for: FilePath(name), in: project.number).ignored, "\(name)")
            }
            #expect(try rules.decision(for: "untracked", in: project.number).ignored)
        }
    }

    @Test(arguments: ["2", "4"])
    func `no damage to the file does more than fail`(_ version: String) throws {
        try Scratch.with { scratch in
            try repository(scratch, [], [["index.version", version]])
            let sound = try scratch.read(".git/index")
            for length in 0..<sound.count { _ = try? GitIndex(bytes: Array(sound.prefix(length))) }
            var random = SeededGenerator(state: 7)
            for _ in 0..<3000 {
                var damaged = sound
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                }
                _ = try? GitIndex(bytes: damaged)
            }
            #expect(throws: GitIndex.Failure.self) { try GitIndex(bytes: Array(sound.prefix(sound.count / 2))) }
            #expect(throws: GitIndex.Failure.self) { try GitIndex(bytes: []) }
        }
    }

    private func expectTracked(_ index: GitIndex, _ scratch: Scratch) throws {
        let listed = try run(["git", "ls-files", "-z"], in: scratch).output.split(separator: 0).map(Array.init)
        #expect(index.count == listed.count && listed.count >= 7)
        for name in listed { #expect(index.contains(name), "\(displayName(name))") }
        #expect(index.hasNames(below: Array("a/c".utf8)) == listed.contains(Array("a/c/d".utf8)))
        #expect(!index.contains(Array("nothing".utf8)) && !index.hasNames(below: Array("b".utf8)))
    }
}
