import Foundation
import Testing

extension EndToEnd {
    /// The service is killed at random instants while it is busy.
    ///
    /// By default 60 kills; `CLOCHE_TEST_SWEEP=full` makes two hundred.
    @Suite("Service kill sweep", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct ServiceSweep {
        private static let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"
        private static let runs = 60

        /// A step that fails when it is executed a second time for the same run, and for each tenth run.
        private static func project() throws -> TestProject {
            try TestProject(
                [
                    .init(
                        file: "once.sh",
                        text: "mkdir /data/$CLOCHE_JOB-$CLOCHE_RUN || exit 9; sleep 0.0$((RANDOM % 9))\n"),
                    .init(
                        file: "fails.sh", text: "sleep 0.0$((RANDOM % 9)); [ $((CLOCHE_RUN % 10)) != 3 ] || exit 3\n",
                        after: [0]),
                ], parameters: ["x": 0], grid: ["pipeline": ["x": Array(0..<runs)]])
        }

        @Test(
            "the service is killed whenever; every run ends once, with its true verdict, and nothing is left",
            .timeLimit(.minutes(20)))
        func killed() throws {
            _ = try Cloche.run("exec", "--", "true")
            do { _ = try TestService() }
            let before = try HostFootprint()
            var projects: [TestProject] = []
            var surprises: [String] = []
            for number in 0..<(Self.isFull ? 200 : 60) {
                let service = try Cloche.start(["serve", "--max-parallel", "3"])
                let pending = try projects.last.map { try $0.states().filter { $0 == "pending" }.count } ?? 0
                if pending < 8 {
                    let project = try Self.project()
                    #expect(eventually(within: 10) { service.errors.contains("serving the store") })
                    let created = try project.cloche(
                        "job", "create", "main.orchest", "--name", project.name, "--detach")
                    #expect(created.status == 0, "\(created.errors)")
                    projects.append(project)
                }
                let milliseconds = UInt32.random(in: 0...250)
                usleep(milliseconds * 1000)
                service.signal(SIGKILL)
                let result = service.wait(timeout: 10)
                if result.status != 137 || result.errors.contains("problem") {
                    surprises.append("\(number), after \(milliseconds) ms: \(result.status) \(result.errors)")
                }
                // Commands that look at the store meanwhile bring its database to the truth as well.
                let looks = try [["ls", "--json"], ["show", "@last", "--json"]].map { try Cloche.start($0) }
                for look in looks.prefix(number % 3) {
                    let result = look.wait(timeout: 30)
                    if result.status != 0 { surprises.append("\(number): \(result.errors)") }
                }
            }
            #expect(surprises.isEmpty, "\(surprises.joined(separator: "\n"))")
            let last = try TestService()
            for project in projects {
                let watched = try Cloche.run("watch", project.name, timeout: 120)
                #expect(watched.status == 3, "\(watched.errors)")
                let runs = try Cloche.run("ls", project.name, "--json", "--limit", "0")
                for number in 0..<Self.runs {
                    let isGood = number % 10 != 3
                    let state = try runs.value("runs", number, "state") as? String
                    let cause = try runs.value("runs", number, "verdict", "cause") as? String
                    #expect(state == (isGood ? "succeeded" : "failed"), "run \(number): \(cause ?? "?")")
                    #expect(cause == (isGood ? "succeeded" : "exit"))
                    let status = try runs.value("runs", number, "verdict", "detail", "status") as? Int
                    if !isGood { #expect(status == nil || status == 3, "it was executed twice") }
                }
                for number in [0, 3, 17] {
                    let show = try Cloche.run("show", "\(project.name)/\(number)", "--json")
                    #expect(try show.value("steps", 0, "state") as? String == "succeeded", "\(show.output)")
                    #expect(try show.value("steps", 1, "finished") is String, "\(show.output)")
                }
                try project.remove()
            }
            #expect(last.end().status == 0)
            try before.expectNothingLeft()
        }
    }
}
