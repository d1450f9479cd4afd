import Foundation
import Testing

extension EndToEnd {
    @Suite("Service", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Service {
        /// One step that sleeps, and so many runs of it.
        static func sleeping(_ seconds: String, runs: Int = 1) throws -> TestProject {
            try TestProject(
                [.init(file: "one.sh", text: "echo begun; sleep \(seconds); echo done\n")], parameters: ["x": 0],
                grid: ["pipeline": ["x": Array(0..<runs)]])
        }

        @Test("the command line of each supervisor tells whose run it has")
        func titles() throws {
            let project = try TestProject(
                [.init(file: "wait.sh", text: "sleep 60\n")], parameters: ["x": 1],
                grid: ["pipeline": ["x": [1, 2, 3]]])
            let service = try TestService(["--max-parallel", "3"])
            #expect(
                try project.cloche("job", "create", "main.orchest", "--name", project.name, "--detach").status == 0)
            let job = try Cloche.run("show", project.name, "--json").value("job", "uuid") as? String ?? "?"
            let home = try Cloche.home.get()
            // The first is executed for its run; the others are forks of the template.
            for run in 0..<3 {
                let title = "cloche-supervisor run \(home)/runs/\(job)/\(run) 1 outlive"
                #expect(
                    eventually(within: 20) { !ProcessTable.withMarker(title).isEmpty },
                    "\(title): \(ProcessTable.descendants(of: service.pid))")
            }
            #expect(!ProcessTable.withMarker("cloche-supervisor template").isEmpty)
            #expect(try Cloche.run("cancel", project.name).status == 0)
            #expect(try eventually(within: 20) { try project.jobState() == "cancelled" })
            #expect(service.end().status == 0)
            try project.remove()
        }

        @Test("a job is left to the service by --detach, which prints its name; the service's log tells what it did")
        func detached() throws {
            let service = try TestService()
            let project = try Self.sleeping("0.2", runs: 3)
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--detach")
            #expect(created.status == 0, "\(created.errors)")
            #expect(created.output == project.name + "\n")
            let watched = try Cloche.run("watch", project.name)
            #expect(watched.status == 0, "\(watched.errors)")
            #expect(try project.states() == ["succeeded", "succeeded", "succeeded"])
            let steps = try Cloche.run("show", "\(project.name)/1", "--json")
            #expect(try steps.value("steps", 0, "state") as? String == "succeeded")

            let run = try project.cloche("run", "main.orchest", "--name", project.name + "-one", "--detach", "--json")
            #expect(try run.value("job", "name") as? String == project.name + "-one")
            #expect(try run.value("job", "driven") as? Bool == true)
            #expect(try Cloche.run("watch", project.name + "-one").status == 0)
            #expect(service.end().status == 0)
            for line in [
                "run \(project.name)/2: started", "run \(project.name)/2: succeeded",
                "job \(project.name): succeeded (3 succeeded)",
            ] {
                #expect(service.log.contains(line + "\n"), "\(service.log)")
            }
            try project.remove()
            #expect(try Cloche.run("rm", project.name + "-one", "--yes").status == 0)
        }

        @Test("a step knows the time that its run was scheduled for, and views tell it")
        func scheduledTime() throws {
            let service = try TestService()
            let project = try TestProject([
                .init(file: "say.sh", text: "echo for ${CLOCHE_SCHEDULED_TIME:-nothing}\n")
            ])
            let time = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 3))
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--at", time)
            #expect(created.status == 0, "\(created.errors)")
            #expect(try eventually(within: 30) { try project.jobState() == "succeeded" })
            let exact = time.replacingOccurrences(of: "Z", with: ".000Z")
            #expect(try Cloche.run("logs", "\(project.name)/0").output == "for \(exact)\n")
            let run = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try run.value("run", "scheduled") as? String == exact)
            #expect(try Cloche.run("show", "\(project.name)/0").output.contains("scheduled"))

            let yearly = project.name + "-yearly"
            let cron = try project.cloche("job", "create", "main.orchest", "--name", yearly, "--cron", "@yearly")
            #expect(cron.status == 0, "\(cron.errors)")
            #expect(try Cloche.run("job", "trigger", yearly).status == 0)
            #expect(try Cloche.run("logs", "\(yearly)/0").output == "for nothing\n")
            #expect(try Cloche.run("show", "\(yearly)/0", "--json").value("run", "scheduled") is NSNull)
            #expect(service.end().status == 0)
            try project.remove()
            #expect(try Cloche.run("rm", yearly, "--yes").status == 0)
        }

        @Test("the service starts jobs at their time, and makes batches that are triggered")
        func schedules() throws {
            let service = try TestService()
            let project = try Self.sleeping("0.1", runs: 2)
            let time = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 3))
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--at", time)
            #expect(created.status == 0, "\(created.errors)")
            #expect(!created.errors.contains("note:"), "a service is running: \(created.errors)")
            #expect(try project.states() == [])
            let deadline = Date(timeIntervalSinceNow: 30)
            while try project.jobState() != "succeeded", Date() < deadline { Thread.sleep(forTimeInterval: 0.1) }
            #expect(try project.states() == ["succeeded", "succeeded"])

            let nightly = project.name + "-nightly"
            let cron = try project.cloche("job", "create", "main.orchest", "--name", nightly, "--cron", "0 3 * * *")
            #expect(cron.status == 0, "\(cron.errors)")
            let triggered = try Cloche.run("job", "trigger", nightly)
            #expect(triggered.status == 0, "\(triggered.errors)")
            #expect(service.log.contains("run \(nightly)/1: succeeded"), "\(service.log)")
            let shown = try Cloche.run("show", nightly, "--json")
            #expect(try shown.value("job", "state") as? String == "pending", "it waits for three o'clock")
            #expect(try Cloche.run("cancel", nightly).status == 0)
            #expect(try Cloche.run("rm", nightly, "--yes").status == 0)
            #expect(service.end().status == 0)
            try project.remove()
        }

        @Test("without a service, --detach is refused before anything is made")
        func refused() throws {
            let project = try Self.sleeping("0")
            let before = try HostFootprint()
            for arguments in [["job", "create", "main.orchest"], ["run", "main.orchest"]] {
                let result = try Cloche.start(arguments + ["--name", project.name, "--detach"], in: project.path).wait()
                #expect(result.status == 69)
                #expect(result.output.isEmpty)
                #expect(result.errors.contains("no service serves the store"))
                #expect(result.errors.contains("hint: start one by `cloche serve`"))
            }
            #expect(try Cloche.run("show", project.name).status == 5)
            try before.expectNothingLeft()
            let status = try Cloche.run("system", "status", "--json")
            #expect(status.status == 69)
            #expect(try status.value("service") is NSNull)
            #expect(try Cloche.run("system", "stop").status == 69)
            // `retry` and `job start` change nothing either.
            #expect(try project.cloche("job", "create", "main.orchest", "--name", project.name).status == 0)
            #expect(try Cloche.run("retry", project.name, "--detach").status == 69)
            #expect(try Cloche.run("job", "start", project.name, "--detach").status == 69)
            try project.remove()
        }

        @Test("with a service, a command shows what it shows without, and ends with the same code")
        func followed() throws {
            let service = try TestService()
            let good = try TestProject([
                .init(file: "one.sh", text: "echo quick\n"),
                .init(file: "two.sh", text: "sleep 0.3; echo late\n", after: [0]),
            ])
            let run = try good.cloche("run", "main.orchest", "--name", good.name)
            #expect(run.status == 0, "\(run.errors)")
            for line in ["one | quick", "two | late", "succeeded  one", "succeeded  two"] {
                #expect(run.errors.components(separatedBy: line).count == 2, "`\(line)` once in \(run.errors)")
            }
            #expect(service.log.contains("run \(good.name)/0: started"), "the service drives it")
            let bad = try TestProject([.init(file: "one.sh", text: "exit 7\n")])
            let failed = try bad.cloche("job", "create", "main.orchest", "--name", bad.name)
            #expect(failed.status == 1)
            let again = try Cloche.run("retry", bad.name)
            #expect(again.status == 1)
            #expect(try Cloche.run("ls", bad.name, "--json").value("runs", 0, "attempt") as? Int == 2)
            let limited = try Cloche.run("retry", bad.name, "--max-parallel", "2")
            #expect(limited.status == 64, "a limit that nobody would keep")
            #expect(try Cloche.run("ls", bad.name, "--json").value("runs", 0, "attempt") as? Int == 2)
            try good.remove()
            try bad.remove()
        }

        @Test("Ctrl-C cancels a job that the service drives; another signal only ends the display")
        func interrupted() throws {
            let service = try TestService()
            for (signal, state) in [(SIGINT, "cancelled"), (SIGTERM, "running")] {
                let project = try Self.sleeping("60")
                let command = try Cloche.start(["run", "main.orchest", "--name", project.name], in: project.path)
                #expect(eventually(within: 20) { command.errors.contains("one | begun") })
                command.signal(signal)
                let result = command.wait(timeout: 20)
                #expect(result.status == 128 + signal, "\(result.errors)")
                #expect(try eventually { try project.jobState() == state })
                #expect(try Cloche.run("cancel", project.name).status == (state == "running" ? 0 : 6))
                #expect(try eventually(within: 10) { try project.states() == ["cancelled"] })
                try project.remove()
            }
            #expect(try Cloche.run("system", "status", "--json").value("service", "runs") as? [String] == [])
            #expect(service.end().status == 0)
        }

        @Test("no more runs run at once than the service may, and a short job does not wait for a long one")
        func fair() throws {
            let service = try TestService(["--max-parallel", "2"])
            let long = try Self.sleeping("0.4", runs: 10)
            let short = try Self.sleeping("0.1", runs: 2)
            #expect(try long.cloche("job", "create", "main.orchest", "--name", long.name, "--detach").status == 0)
            #expect(try eventually { try long.states().filter { $0 == "running" }.count == 2 })
            #expect(try short.cloche("job", "create", "main.orchest", "--name", short.name, "--detach").status == 0)
            var most = 0
            _ = try eventually(within: 30) {
                let status = try Cloche.run("system", "status", "--json")
                most = max(most, (try status.value("service", "runs") as? [Any])?.count ?? 0)
                return try short.jobState() == "succeeded"
            }
            #expect(most == 2)
            let left = try long.states().filter { $0 == "pending" }.count
            #expect(left >= 3, "\(left) runs of the long job were still to come")
            #expect(try Cloche.run("watch", long.name).status == 0)
            // One that has its own limit keeps it.
            let own = try Self.sleeping("0.1", runs: 3)
            let created = try own.cloche("job", "create", "main.orchest", "--name", own.name, "--max-parallel", "1")
            #expect(created.status == 0, "\(created.errors)")
            let runs = try Cloche.run("ls", own.name, "--json").value("runs") as? [[String: Any]] ?? []
            let times = runs.map { ($0["started"] as? String ?? "", $0["finished"] as? String ?? "") }
            #expect(zip(times, times.dropFirst()).allSatisfy { $0.1 <= $1.0 }, "\(times)")
            for project in [long, short, own] { try project.remove() }
            #expect(service.end().status == 0)
        }

        @Test("a job that is paused starts no more runs in the service, and goes on when it is resumed")
        func paused() throws {
            let service = try TestService(["--max-parallel", "1"])
            let project = try Self.sleeping("0.5", runs: 3)
            let command = try Cloche.start(
                ["job", "create", "main.orchest", "--name", project.name], in: project.path)
            #expect(try eventually(within: 20) { try project.states().contains("running") })
            #expect(try Cloche.run("job", "pause", project.name).status == 0)
            #expect(command.wait(timeout: 10).status == 75, "what was asked for is not done")
            #expect(try project.states() == ["succeeded", "pending", "pending"])
            usleep(300_000)
            #expect(try project.states() == ["succeeded", "pending", "pending"])
            let resumed = try Cloche.run("job", "resume", project.name, "--detach")
            #expect(resumed.status == 0 && resumed.output == project.name + "\n")
            #expect(try Cloche.run("watch", project.name).status == 0)
            #expect(service.end().status == 0)
            try project.remove()
        }

        @Test("a store has one service; a second one is refused, and names the first")
        func second() throws {
            let service = try TestService()
            let other = try Cloche.run("serve")
            #expect(other.status == 6)
            #expect(other.errors.contains("process \(service.pid)"), "\(other.errors)")
            let status = try Cloche.run("system", "status", "--json")
            #expect(try status.value("service", "pid") as? Int == Int(service.pid))
            #expect(try Cloche.run("system", "stop").status == 0)
            #expect(service.command.wait(timeout: 10).status == 0)
        }

        @Test("a foreground command and a service never drive one job both; the service takes it up afterwards")
        func foregroundFirst() throws {
            let project = try TestProject(
                [.init(file: "one.sh", text: "mkdir /data/$CLOCHE_JOB-$CLOCHE_RUN && sleep 1\n")], parameters: ["x": 0],
                grid: ["pipeline": ["x": [0, 1, 2]]])
            let command = try Cloche.start(
                ["job", "create", "main.orchest", "--name", project.name, "--max-parallel", "1"], in: project.path)
            #expect(try eventually(within: 20) { try Cloche.run("ls", project.name).output.contains("running") })
            let service = try TestService()
            usleep(300_000)
            command.signal(SIGKILL)
            #expect(command.wait().status == 137)
            #expect(
                try eventually(within: 30) {
                    try !project.states().contains("pending") && project.jobState() != "running"
                })
            // The interrupted run finds the directory that its first attempt had made; the others were made once.
            let states = try project.states()
            #expect(states.dropFirst().allSatisfy { $0 == "succeeded" }, "\(states)")
            #expect(service.end().status == 0)
            try project.remove()
        }

        @Test("runs outlive a service that is stopped, and are adopted by the next one", arguments: [SIGTERM, SIGKILL])
        func adopted(_ signal: Int32) throws {
            let first = try TestService()
            let project = try TestProject([
                .init(file: "one.sh", text: "sleep 1.5; mkdir /data/$CLOCHE_JOB\n"),
                .init(file: "two.sh", text: "sleep 0.2\n", after: [0]),
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name, "--detach").status == 0)
            #expect(
                try eventually(within: 20) { try Cloche.run("show", "\(project.name)/0").output.contains("running") })
            #expect(first.end(signal).status == (signal == SIGTERM ? 0 : 137))
            #expect(try project.states() == ["running"])
            let second = try TestService()
            #expect(eventually { second.log.contains("run \(project.name)/0: adopted") })
            #expect(try Cloche.run("watch", project.name, timeout: 20).status == 0)
            let show = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try show.value("run", "attempt") as? Int == 1)
            #expect(try show.value("steps", 1, "state") as? String == "succeeded")
            #expect(second.end().status == 0)
            try project.remove()
        }

        @Test("a run that a service left is adopted by `job start`, and can be cancelled there")
        func adoptedInForeground() throws {
            let service = try TestService()
            let project = try Self.sleeping("60")
            #expect(try project.cloche("run", "main.orchest", "--name", project.name, "--detach").status == 0)
            #expect(try eventually(within: 20) { try Cloche.run("logs", project.name).output.contains("begun") })
            #expect(service.end().status == 0)
            let start = try Cloche.start(["job", "start", project.name])
            #expect(
                try eventually {
                    try Cloche.run("show", project.name, "--json").value("job", "driven") as? Bool == true
                })
            #expect(try Cloche.run("cancel", project.name).status == 0)
            #expect(start.wait(timeout: 20).status == 2)
            #expect(try Cloche.run("ls", project.name, "--json").value("runs", 0, "attempt") as? Int == 1)
            try project.remove()
        }

        @Test(
            "a run whose service and supervisor were both killed is told as lost; one that ended alone has its verdict")
        func endedUnwatched() throws {
            for isKilled in [true, false] {
                let service = try TestService()
                let marker = "marker_\(UUID().uuidString.prefix(8))"
                let project = try TestProject([.init(file: "\(marker).sh", text: "sleep 0.7; exit 3\n")])
                #expect(try project.cloche("run", "main.orchest", "--name", project.name, "--detach").status == 0)
                #expect(eventually(within: 20) { !ProcessTable.withMarker(marker).isEmpty })
                let family = ProcessTable.descendants(of: service.pid).filter { $0.value.hasPrefix("cloche-supervis") }
                #expect(service.end(SIGKILL).status == 137)
                if isKilled { family.keys.forEach { kill($0, SIGKILL) } }
                #expect(eventually(within: 10) { family.keys.allSatisfy { !ProcessTable.isAlive($0) } })
                let runs = try Cloche.run("ls", project.name, "--json")
                #expect(
                    try runs.value("runs", 0, "verdict", "cause") as? String == (isKilled ? "supervisor-lost" : "exit"))
                if !isKilled {
                    let show = try Cloche.run("show", "\(project.name)/0", "--json")
                    #expect(try show.value("steps", 0, "verdict", "cause") as? String == "exit")
                }
                #expect(eventually { ProcessTable.withMarker(marker).isEmpty })
                try project.remove()
            }
        }

        @Test("`system stop --drain` lets running runs end, starts no more, and returns then")
        func drained() throws {
            let service = try TestService(["--max-parallel", "1"])
            let project = try Self.sleeping("1", runs: 2)
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--detach")
            #expect(created.status == 0)
            #expect(try eventually(within: 20) { try project.states().contains("running") })
            let stop = try Cloche.run("system", "stop", "--drain")
            #expect(stop.status == 0, "\(stop.errors)")
            #expect(service.command.wait(timeout: 5).status == 0)
            #expect(try project.states() == ["succeeded", "pending"])
            #expect(try Cloche.run("job", "start", project.name).status == 0)
            #expect(try project.states() == ["succeeded", "succeeded"])
            try project.remove()
        }

        @Test("a job whose files are damaged is told of and waits; other jobs go on")
        func damaged() throws {
            let service = try TestService()
            let bad = try TestProject([.init(file: "one.sh", text: "exit 1\n")])
            #expect(try bad.cloche("run", "main.orchest", "--name", bad.name).status == 1)
            let id = try #require(try Cloche.run("show", bad.name, "--json").value("job", "uuid") as? String)
            #expect(service.end().status == 0)
            try Data("{}".utf8).write(to: URL(filePath: try Cloche.home.get() + "/jobs/\(id)/policy.json"))
            let second = try TestService()
            #expect(try Cloche.run("retry", bad.name, "--detach").status == 0)
            #expect(eventually { second.log.contains("problem: job \(bad.name): its runs cannot be prepared") })
            #expect(
                try Cloche.run("system", "status", "--json").value("service", "trouble") as? String != nil)
            let good = try Self.sleeping("0")
            #expect(try good.cloche("run", "main.orchest", "--name", good.name).status == 0, "\(second.log)")
            #expect(try bad.states() == ["pending"])
            #expect(second.log.components(separatedBy: "problem:").count == 2, "said once: \(second.log)")
            #expect(second.end().status == 0)
            for one in [bad, good] { try one.remove() }
        }

        @Test("many commands at once meet no locked database")
        func crowded() throws {
            let service = try TestService()
            let project = try Self.sleeping("0")
            let commands = try (0..<8).flatMap { number in
                [
                    try Cloche.start(
                        ["run", "main.orchest", "--name", "\(project.name)-\(number)", "--detach"], in: project.path),
                    try Cloche.start(["ls", "--json"]), try Cloche.start(["show", "@last"]),
                ]
            }
            for (number, command) in commands.enumerated() {
                let result = command.wait(timeout: 60)
                #expect(!result.errors.contains("locked"), "\(result.errors)")
                if number % 3 < 2 { #expect(result.status == 0, "\(result.errors)") }
            }
            for number in 0..<8 {
                #expect(try Cloche.run("watch", "\(project.name)-\(number)").status == 0)
                #expect(try Cloche.run("rm", "\(project.name)-\(number)", "--yes").status == 0)
            }
            #expect(!service.log.contains("problem"), "\(service.log)")
            #expect(service.end().status == 0)
        }
    }
}
