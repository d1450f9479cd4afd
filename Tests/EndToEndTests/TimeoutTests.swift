import Foundation
import Testing

extension EndToEndBeside {
    @Suite("limits of time of runs and jobs", .enabled(if: Cloche.isBuilt)) struct Timeouts {
        private static let slow = "echo begun; sleep 120\n"

        @Test("a run is ended at its limit, says which step ran, is made again when asked, and ends with 124")
        func run() throws {
            let project = try TestProject([
                .init(file: "first.sh", text: "echo done\n"), .init(file: "slow.sh", text: Self.slow, after: [0]),
                .init(file: "never.sh", text: "echo no\n", after: [1]),
            ])
            let ran = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--run-timeout", "2s", "--retries", "1", "--retry-on",
                "timeout")
            #expect(ran.status == 124, "\(ran.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "attempt") as? Int == 2)
            #expect(try shown.value("run", "verdict", "cause") as? String == "timeout")
            #expect(try shown.value("run", "verdict", "detail", "limit") as? String == "run_timeout")
            #expect(try shown.value("run", "verdict", "detail", "limit_seconds") as? Double == 2)
            #expect(try shown.value("run", "verdict", "detail", "running") as? [String] == ["slow"])
            #expect(try shown.value("run", "verdict", "detail", "not_started") as? Int == 1)
            let summary = try shown.value("run", "verdict", "summary") as? String ?? ""
            #expect(summary == "the run was ended at its time limit of 2 s, while step `slow` ran")
            #expect(try shown.value("run", "verdict", "remedy") as? String ?? "" != "")
            let steps = try shown.value("steps") as? [[String: Any]] ?? []
            #expect(steps.map { $0["state"] as? String } == ["succeeded", "failed", "skipped"])
            #expect(try Cloche.run("show", project.name).output.contains("a run 2.0s"))
            #expect(try Cloche.run("watch", "\(project.name)/0").status == 124)
            // Another step than the one that was not to be retried.
            let other = try project.cloche(
                "run", "main.orchest", "--name", "\(project.name)-2", "--run-timeout", "1s", "--retries", "1",
                "--retry-on", "exit")
            #expect(other.status == 124, "\(other.errors)")
            #expect(try Cloche.run("show", "\(project.name)-2/0", "--json").value("run", "attempt") as? Int == 1)
            _ = try Cloche.run("rm", "\(project.name)-2", "--yes")
            try project.remove()
        }

        @Test("a run is ended at its limit also where whoever made it is dead")
        func deadEngine() throws {
            let project = try TestProject([.init(file: "slow.sh", text: Self.slow)])
            let service = try TestService()
            #expect(
                try project.cloche(
                    "run", "main.orchest", "--name", project.name, "--run-timeout", "4s", "--detach"
                ).status == 0)
            try #require(
                eventually(within: 20) {
                    (try? Cloche.run("logs", "\(project.name)/0").output.contains("begun")) == true
                })
            #expect(service.end(SIGKILL).status == 137)
            let home = try Cloche.home.get()
            let uuid = try #require(try Cloche.run("show", project.name, "--json").value("job", "uuid") as? String)
            let verdict = "\(home)/runs/\(uuid)/0/attempts/1/verdict.json"
            #expect(eventually(within: 20) { FileManager.default.fileExists(atPath: verdict) })
            #expect(try String(contentsOfFile: verdict, encoding: .utf8).contains("run_timeout"))
            #expect(try eventually(within: 10) { try project.states() == ["failed"] })
            try project.remove()
        }

        @Test("a job is ended at its limit with what runs and what waits, and is not made again by itself")
        func job() throws {
            let project = try TestProject(
                [.init(file: "slow.sh", text: Self.slow)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1, 2]]])
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--max-parallel", "1", "--job-timeout", "3s",
                "--retries", "2")
            #expect(made.status == 124, "\(made.errors)")
            #expect(try project.states() == ["failed", "cancelled", "cancelled"])
            #expect(try project.jobState() == "failed")
            let shown = try Cloche.run("show", project.name, "--json")
            #expect(try shown.value("job", "timed_out") is String)
            #expect(try shown.value("runs", 0, "attempt") as? Int == 1)
            for (number, cause) in [(0, "timeout"), (1, "cancelled"), (2, "cancelled")] {
                #expect(try shown.value("runs", number, "verdict", "cause") as? String == cause)
                #expect(try shown.value("runs", number, "verdict", "detail", "limit") as? String == "job_timeout")
                #expect(
                    (try shown.value("runs", number, "verdict", "remedy") as? String)?.contains("--job-timeout") == true
                )
            }
            #expect(try Cloche.run("show", project.name).output.contains("timed out"))
            #expect(try Cloche.run("watch", project.name).status == 124)
            // What the documents and directories tell is the same.
            try Cloche.reindex()
            #expect(try project.jobState() == "failed")
            #expect(try project.states() == ["failed", "cancelled", "cancelled"])
            // Taken up again, its time counts anew.
            let again = try Cloche.run("retry", "\(project.name)/1")
            #expect(again.status == 124, "\(again.errors)")
            #expect(
                try Cloche.run("show", "\(project.name)/1", "--json").value("run", "verdict", "cause") as? String
                    == "timeout")
            try project.remove()
        }

        @Test("limits are changed and taken away, and what is no time is refused")
        func editing() throws {
            let project = try TestProject([.init(file: "quick.sh", text: "echo ran\n")])
            #expect(
                try project.cloche(
                    "job", "create", "main.orchest", "--name", project.name, "--draft", "--run-timeout", "5m",
                    "--job-timeout", "2h"
                ).status == 0)
            #expect(try Cloche.run("show", project.name).output.contains("a run 5m 0s, the job 2h 0m"))
            #expect(
                try Cloche.run("job", "edit", project.name, "--run-timeout", "none", "--job-timeout", "90s").status == 0
            )
            let shown = try Cloche.run("show", project.name, "--json")
            #expect(try shown.value("job", "run_timeout_seconds") is NSNull)
            #expect(try shown.value("job", "job_timeout_seconds") as? Double == 90)
            for bad in ["0", "-1s", "soon", "1w"] {
                #expect(try Cloche.run("job", "edit", project.name, "--run-timeout", bad).status == 64)
            }
            try project.remove()
        }
    }
}
