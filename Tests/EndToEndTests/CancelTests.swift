import Foundation
import Testing

extension EndToEndBeside {
    @Suite("cancelling some runs of a job", .enabled(if: Cloche.isBuilt)) struct Cancelling {
        @Test("runs are chosen by parameters and state, told beforehand, and cancelled in one step")
        func chosen() throws {
            let project = try TestProject(
                [.init(file: "slow.sh", text: "echo begun; sleep 120\n")], parameters: ["lr": 0.1],
                grid: ["pipeline": ["lr": [0.01, 0.1, 0.5, 1]]])
            let job = project.name
            let driver = try Cloche.start(
                ["job", "create", "main.orchest", "--name", job, "--max-parallel", "1"], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 20) { (try? Cloche.run("logs", "\(job)/0").output.contains("begun")) == true })
            let dry = try Cloche.run("cancel", job, "--where", "lr>0.1", "--dry-run")
            #expect(dry.errors.contains("2 runs would be cancelled: 2-3"), "\(dry.errors)")
            #expect(try project.states() == ["running", "pending", "pending", "pending"])
            // What is running is not among those that wait.
            let none = try Cloche.run("cancel", job, "--where", "lr<0.1", "--state", "pending")
            #expect(none.status == 0 && none.errors.contains("nothing was changed"), "\(none.errors)")
            let done = try Cloche.run("cancel", job, "--where", "lr>0.1", "--json")
            #expect(try done.value("count") as? Int == 2)
            #expect(try done.value("runs") as? String == "2-3")
            #expect(try project.states() == ["running", "pending", "cancelled", "cancelled"])
            for wrong in [
                ["cancel", job, "--state", "succeeded"], ["cancel", job, "--state", "queueing"],
                ["cancel", "\(job)/0", "--state", "pending"], ["cancel", job, "--where", "rate>1"],
            ] {
                let refused = try Cloche.start(wrong).wait()
                #expect([64, 65].contains(refused.status), "\(refused.errors)")
            }
            #expect(try project.states() == ["running", "pending", "cancelled", "cancelled"])
            let rest = try Cloche.run("cancel", job, "--state", "pending,running")
            #expect(rest.errors.contains("2 runs cancelled: 0-1"), "\(rest.errors)")
            #expect(driver.wait(timeout: 30).status == 2)
            #expect(try project.jobState() == "cancelled")
            // What the documents say is the same.
            try Cloche.reindex()
            #expect(try project.states() == ["cancelled", "cancelled", "cancelled", "cancelled"])
            #expect(try project.jobState() == "cancelled")
            try project.remove()
        }
    }
}
