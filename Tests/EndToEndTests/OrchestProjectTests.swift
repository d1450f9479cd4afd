import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "A project made for Orchest", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "builds need /dev/net/tun"))
    struct OrchestProject {
        @Test(
            "the quick start runs unchanged, with its environment, notebooks and cached data", .timeLimit(.minutes(8)))
        func quickstart() throws {
            let fixture = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/quickstart")
            let directory = try TemporaryDirectory()
            let project = directory.path + "/quickstart"
            try FileManager.default.copyItem(atPath: fixture.path, toPath: project)
            let before = try FileManager.default.subpathsOfDirectory(atPath: project).sorted()
            let name = "e2e-" + UUID().uuidString.prefix(8).lowercased()
            for job in [name, name + "-again"] {
                let run = try Cloche.start(["run", "diabetes.orchest", "--name", job], in: project).wait(timeout: 400)
                try #require(run.status == 0, "\(run.errors)")
                let steps = try Cloche.run("show", "\(job)/0", "--json").value("steps") as? [[String: Any]] ?? []
                #expect(steps.map { $0["state"] as? String } == Array(repeating: "succeeded", count: 7))
            }
            #expect(try FileManager.default.subpathsOfDirectory(atPath: project).sorted() == before)
            #expect(try Cloche.run("logs", "\(name)-again/0/get-data.py", "--raw").output.contains("Using cached data"))
            for job in [name, name + "-again"] { #expect(try Cloche.run("rm", job, "--yes").status == 0) }
        }
    }
}
