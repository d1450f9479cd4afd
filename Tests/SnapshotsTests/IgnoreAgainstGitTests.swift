import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

/// git itself says what the rules mean: random trees and patterns, the same in every run.
@Suite struct IgnoreAgainstGitTests {
    @Test(arguments: 0..<12)
    func `agrees with git check-ignore on random trees, rule by rule`(_ batch: Int) throws {
        var ignoredCount = 0
        for number in 0..<25 {
            let seed = UInt64(batch * 1000 + number)
            try Scratch.with(inMemory: true) { scratch in
                var tree = RandomTree(seed: seed)
                try tree.make(scratch)
                #expect(try run(["git", "init", "-q", "."], in: scratch).exitCode == 0)
                try scratch.write(bytes: Array(".git/info/exclude".utf8), tree.ignoreFile())
                let paths = try tree.allPaths(scratch)
                let git = try checkIgnore(paths, in: scratch)
                let project = try scratch.open("")
                let rules = try IgnoreRules(project: project.number)
                ignoredCount += git.values.count { $0.ignored }
                for path in paths {
                    let decision = try rules.decision(for: FilePath(bytes: path), in: project.number)
                    let expected = git[path]
                    let source = "seed \(seed), \(displayName(path)): \(decision), git: \(String(describing: expected))"
                    #expect(decision.ignored == (expected?.ignored ?? false), "\(source)")
                    if case .rule(let rule) = decision.reason {
                        #expect(displayName(rule.file) == expected?.file && rule.line == expected?.line, "\(source)")
                    }
                }
            }
        }
        #expect(ignoredCount > 50)
    }

    @Test(arguments: 0..<6)
    func `takes what git would not list as ignored when files are tracked`(_ batch: Int) throws {
        var ignoredCount = 0
        for number in 0..<12 {
            let seed = UInt64(50_000 + batch * 1000 + number)
            try Scratch.with(inMemory: true) { scratch in
                var tree = RandomTree(seed: seed)
                try tree.make(scratch)
                _ = try run(["git", "init", "-q", "."], in: scratch)
                let version = ["2", "3", "4"][number % 3]
                _ = try run(["git", "config", "index.version", version], in: scratch)
                let project = try scratch.open("")
                let files = try tree.allPaths(scratch).filter { path in
                    try !Syscall.lstat(FilePath(bytes: path), at: project.number).isDirectory
                }
                let tracked = files.filter { _ in Int.random(in: 0..<3, using: &tree.random) == 0 }
                let added = try run(
                    ["git", "--literal-pathspecs", "add", "-f", "--pathspec-from-file=-", "--pathspec-file-nul"],
                    input: Array(tracked.joined(separator: [0])), in: scratch)
                #expect(tracked.isEmpty || added.exitCode == 0, "\(added.errors)")
                let listed = try run(["git", "ls-files", "-z", "-o", "-i", "--exclude-standard"], in: scratch)
                let ignored = Set(listed.output.split(separator: 0).map(Array.init))
                ignoredCount += ignored.count
                let rules = try IgnoreRules(project: project.number)
                for file in files {
                    let decision = try rules.decision(for: FilePath(bytes: file), in: project.number)
                    #expect(
                        decision.ignored == ignored.contains(file), "seed \(seed), \(displayName(file)): \(decision)")
                }
                try expectWalkAgrees(scratch, files: files, ignored: ignored, seed: seed)
            }
        }
        #expect(ignoredCount > 10)
    }

    @Test(arguments: 0..<6)
    func `takes of a directory in a repository what git would not list as ignored there`(_ batch: Int) throws {
        var (ignoredCount, followed) = (0, 0)
        for number in 0..<12 {
            let seed = UInt64(80_000 + batch * 1000 + number)
            try Scratch.with(inMemory: true) { scratch in
                var tree = RandomTree(seed: seed)
                try tree.make(scratch)
                _ = try run(["git", "init", "-q", "."], in: scratch)
                try scratch.write(bytes: Array(".git/info/exclude".utf8), tree.ignoreFile())
                let whole = try scratch.open("")
                let paths = try tree.allPaths(scratch)
                let directories = try paths.filter {
                    try Syscall.lstat(FilePath(bytes: $0), at: whole.number).isDirectory
                }
                let tracked = paths.filter { path in
                    !directories.contains(path) && Int.random(in: 0..<3, using: &tree.random) == 0
                }
                _ = try run(
                    ["git", "--literal-pathspecs", "add", "-f", "--pathspec-from-file=-", "--pathspec-file-nul"],
                    input: Array(tracked.joined(separator: [0])), in: scratch)
                for directory in directories {
                    let place = String(decoding: directory, as: UTF8.self)
                    let project = try scratch.open(place)
                    let rules = try IgnoreRules(project: project.number, includesGit: false)
                    let checked = try run(
                        ["git", "check-ignore", "--no-index", "-z", "--stdin"], input: directory, in: scratch)
                    #expect(rules.remarks.count == (checked.exitCode == 0 ? 1 : 0), "seed \(seed), \(place)")
                    guard rules.remarks.isEmpty, checked.exitCode == 1 else { continue }
                    followed += 1
                    let listed = try run(
                        ["git", "ls-files", "-z", "-o", "-i", "--exclude-standard"], in: scratch, at: place)
                    let ignored = Set(listed.output.split(separator: 0).map(Array.init))
                    ignoredCount += ignored.count
                    let prefix = directory + [UInt8(ascii: "/")]
                    let files = paths.filter { $0.starts(with: prefix) && !directories.contains($0) }
                        .map { Array($0.dropFirst(prefix.count)) }
                    var options = TreeWalk.Options()
                    options.rules = rules
                    let survey = try TreeWalk(
                        root: project.number, options: options, monitor: CaptureMonitor { _ in .proceed }
                    ).run()
                    let taken = Set(survey.files.indices.map { survey.path(ofFile: $0) })
                    #expect(taken == Set(files).subtracting(ignored), "seed \(seed), \(place)")
                }
            }
        }
        #expect(ignoredCount > 0 && followed > 10, "\(ignoredCount), \(followed)")
    }

    /// The walk of a capture decides as the explanation does.
    private func expectWalkAgrees(
        _ scratch: Scratch, files: [[UInt8]], ignored: Set<[UInt8]>, seed: UInt64
    ) throws {
        let project = try scratch.open("")
        var options = TreeWalk.Options()
        options.rules = try IgnoreRules(project: project.number, includesGit: false)
        let monitor = CaptureMonitor { _ in .proceed }
        let survey = try TreeWalk(root: project.number, options: options, monitor: monitor).run()
        let taken = Set(survey.files.indices.map { survey.path(ofFile: $0) })
        #expect(taken == Set(files).subtracting(ignored), "seed \(seed)")
    }

    private struct Verdict {
        let ignored: Bool
        let file: String
        let line: Int
    }

    private func checkIgnore(_ paths: [[UInt8]], in scratch: Scratch) throws -> [[UInt8]: Verdict] {
        let checked = try run(
            ["git", "check-ignore", "--no-index", "-v", "-z", "--stdin"], input: Array(paths.joined(separator: [0])),
            in: scratch)
        #expect(checked.exitCode <= 1, "\(checked.errors)")
        var verdicts: [[UInt8]: Verdict] = [:]
        let fields = checked.output.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
        for start in stride(from: 0, to: fields.count - 3, by: 4) {
            verdicts[fields[start + 3]] = Verdict(
                ignored: fields[start + 2].first != UInt8(ascii: "!"), file: displayName(fields[start]),
                line: Int(String(decoding: fields[start + 1], as: UTF8.self)) ?? 0)
        }
        return verdicts
    }
}

/// A tree with ignore files in it, made of few names so that patterns often match.
private struct RandomTree {
    var random: SeededGenerator
    private var files = ["a"]

    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    private static let names = [
        "a", "b", "ab", "abc", "foo", "bar", "foo.txt", "x.log", "a b", "#h", "!n", "[x]", "a*b", ".hidden", "back\\",
        "é", "end ", "B", "9", "a-b", "foo-1", "]", "tab\t",
    ]
    private static let pieces = [
        "*", "**", "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[]x]", "[a-]", "[[:alpha:]]", "[[:digit:]x]", "[![:upper:]]",
        "\\*", "\\#", "\\!", "\\[", "[", "[[:nope:]]", "\\ ", "/", "/", "/", "**/", "/**", "foo", "a", "b", ".txt",
        ".log",
        "x", "foo**", "*.log", "-", "é", "[\\]]", "\\",
    ]

    mutating func make(_ scratch: Scratch) throws {
        var directories = [""]
        for _ in 0..<Int.random(in: 3...7, using: &random) {
            let parent = pick(directories)
            directories.append(parent + pick(Self.names) + "/")
        }
        for directory in directories {
            if !directory.isEmpty { try? scratch.makeDirectory(directory) }
            for _ in 0..<Int.random(in: 2...9, using: &random) {
                let name = directory + pick(Self.names)
                // A name may be taken by a directory already.
                if (try? scratch.write(name, "x")) != nil { files.append(name) }
            }
        }
        for directory in directories where directory.isEmpty || Int.random(in: 0..<3, using: &random) == 0 {
            try? scratch.write(bytes: Array((directory + ".gitignore").utf8), ignoreFile())
        }
    }

    mutating func ignoreFile() -> [UInt8] {
        var text = Int.random(in: 0..<10, using: &random) == 0 ? "\u{FEFF}" : ""
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            text += pattern() + pick(["\n", "\n", "\n", "\r\n", " \n", "  \n", "\\ \n", "\t\n"])
        }
        if Int.random(in: 0..<4, using: &random) == 0 { text += pattern() }
        return Array(text.utf8)
    }

    private mutating func pattern() -> String {
        var text = pick(["", "", "", "!", "/", "**/", "#", "!/", "\\!", "\\#"])
        if Int.random(in: 0..<2, using: &random) == 0 {
            return text + variation(of: pick(files)) + pick(["", "", "", "/", "/*", " "])
        }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            text += Int.random(in: 0..<3, using: &random) == 0 ? pick(Self.names) : pick(Self.pieces)
        }
        return text + pick(["", "", "", "", "/", "/**", "/*", "//"])
    }

    /// A pattern that is likely to match a path: some of its components, some of their characters replaced.
    private mutating func variation(of path: String) -> String {
        var components = path.split(separator: "/").map(String.init)
        components.removeFirst(Int.random(in: 0..<components.count, using: &random))
        components.removeLast(Int.random(in: 0...min(1, components.count - 1), using: &random))
        let varied = components.map { component in
            switch Int.random(in: 0..<8, using: &random) {
            case 0: return "*"
            case 1: return "**"
            case 2: return component.prefix(1) + "*"
            case 3: return "*" + component.suffix(1)
            case 4: return "[" + component.prefix(1) + "-z]" + component.dropFirst()
            case 5: return component.prefix(1) + "**" + component.dropFirst()
            case 6: return component.map { Int.random(in: 0..<3, using: &random) == 0 ? "?" : String($0) }.joined()
            default: return component
            }
        }
        return varied.joined(separator: "/")
    }

    private mutating func pick(_ choices: [String]) -> String {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    /// Every path below, ascending; not the repository.
    func allPaths(_ scratch: Scratch, _ base: String = "") throws -> [[UInt8]] {
        var paths: [[UInt8]] = []
        let directory = try scratch.open(base)
        for entry in try Syscall.directoryEntries(directory.number) where entry.name != Array(".git".utf8) {
            let path = base + String(decoding: entry.name, as: UTF8.self)
            paths.append(Array(path.utf8))
            if try Syscall.lstat(entry.path, at: directory.number).isDirectory {
                paths += try allPaths(scratch, path + "/")
            }
        }
        return paths.sorted { $0.lexicographicallyPrecedes($1) }
    }
}
