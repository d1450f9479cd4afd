import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Who drives a job", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Driving {
        @Test("a service that is ending is handed nothing, and commands that would follow it say so at once")
        func draining() throws {
            let service = try TestService()
            let slow = try TestProject([.init(file: "one.sh", text: "sleep 4\n")])
            let late = try TestProject([.init(file: "one.sh", text: "exit 0\n")])
            #expect(try slow.cloche("run", "main.orchest", "--name", slow.name, "--detach").status == 0)
            #expect(
                try late.cloche("job", "create", "main.orchest", "--name", late.name, "--draft").status == 0)
            #expect(try eventually(within: 20) { try slow.states() == ["running"] })
            let stop = try Cloche.start(["system", "stop", "--drain"])
            #expect(
                try eventually(within: 10) {
                    try Cloche.run("system", "status", "--json").value("service", "draining") as? Bool == true
                })
            let name = late.name + "-new"
            for words in [
                ["job", "create", "main.orchest", "--name", name, "--detach"], ["run", "main.orchest", "--name", name],
                ["job", "start", late.name], ["job", "start", late.name, "--detach"],
            ] {
                let refused = try Cloche.start(words, in: late.path).wait(timeout: 10)
                #expect(refused.status == 69 && refused.output.isEmpty, "\(words): \(refused)")
                #expect(refused.errors.contains("the service is ending: it starts no more runs"), "\(refused.errors)")
            }
            #expect(try Cloche.run("show", name).status == 5, "nothing was made")
            #expect(try late.jobState() == "draft")
            #expect(stop.wait(timeout: 20).status == 0)
            #expect(service.command.wait(timeout: 5).status == 0)
            #expect(try slow.states() == ["succeeded"])
            try slow.remove()
            try late.remove()
        }

        @Test("a job that a command drives stays with it, and no message says that a service has it")
        func command() throws {
            let text = "import orchest, time\ntime.sleep(8 if orchest.get_pipeline_param('x') == 0 else 0)\n"
            let project = try TestProject(
                [.init(file: "one.py", text: text)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1]]])
            let driver = try Cloche.start(
                ["job", "create", "main.orchest", "--name", project.name, "--max-parallel", "1"], in: project.path)
            defer { driver.signal(SIGKILL) }
            #expect(try eventually(within: 20) { try project.states() == ["running", "pending"] })
            #expect(try Cloche.run("job", "pause", project.name).status == 0)
            let service = try TestService()
            let resumed = try Cloche.run("job", "resume", project.name, "--detach")
            #expect(resumed.status == 0 && resumed.output == project.name + "\n")
            #expect(resumed.errors.contains("the process that drives it goes on with it"), "\(resumed.errors)")
            #expect(try project.states() == ["running", "pending"])
            let stopped = try Cloche.run("system", "stop")
            #expect(stopped.status == 0 && stopped.errors == "the service has ended\n", "\(stopped.errors)")
            let second = try Cloche.run("job", "start", project.name)
            #expect(second.status == 75 && second.errors.contains("`cloche watch \(project.name)`"), "\(second)")
            #expect(driver.wait(timeout: 30).status == 0)
            #expect(service.command.wait(timeout: 5).status == 0)
            try project.remove()
        }
    }
}
