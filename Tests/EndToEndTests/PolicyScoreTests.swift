import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Scores of policies", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PolicyScores {
        @Test("each row names a test that exists, or a question; README has the scores")
        func rows() throws {
            let program = try Cloche.program().replacingOccurrences(
                of: "/cloche", with: "/cloche-prove", options: [.backwards, .anchored])
            let listed = try StartedCommand(program, ["list"]).wait(timeout: 10).output
            let names = Set(
                listed.split(separator: "\n").compactMap { $0.split(separator: "\t").first.map(String.init) })
            #expect(names.count > 140)
            var open = "extends: default\nnetwork: host\ndata: rw\nlimits: {"
            open += ["memory", "pids", "cpus", "wall_time", "cpu_time", "open_files", "scratch", "project", "output"]
                .map { "\($0): unlimited" }.joined(separator: ", ")
            let policy = try PolicyFile(
                open
                    + "}\nseccomp: {allow: [namespaces, mounts, io-uring, debug, keyrings, page-cache, leases, numa, bpf]}\n"
            )
            let readme = try String(
                contentsOfFile: URL(filePath: #filePath).deletingLastPathComponent().path + "/../../README.md",
                encoding: .utf8)
            for name in ["default", "strict", "online", "gpu", "build", policy.name] {
                let score = try Cloche.run("policy", "score", name, "--json")
                let doors = try score.value("doors") as? [[String: Any]] ?? []
                for door in doors {
                    let probe = door["probe"] as? String
                    #expect(probe.map(names.contains) ?? (door["question"] != nil), "\(door)")
                }
                let value = try #require(try score.value("score") as? Double)
                if name != policy.name { #expect(readme.contains("`\(name)` \(value)"), "\(name) \(value)") }
            }
        }

        @Test("above the threshold the exit code is 1")
        func threshold() throws {
            #expect(try Cloche.run("policy", "score", "default", "--threshold", "10").status == 0)
            let above = try Cloche.run("policy", "score", "online", "--threshold", "3")
            #expect(
                above.status == 1 && above.output.contains("exposure of policy `online`: 3.4 of 10"), "\(above.output)")
            #expect(above.output.contains("network.internet"))
            #expect(try Cloche.run("policy", "score", "default", "--threshold", "11").status == 64)
        }
    }
}
