import Foundation
import Testing

extension EndToEnd {
    @Suite("Runs that nobody watches", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct UnwatchedRuns {
        @Test("a run that outlived its service is ended by `cancel`, and `show` tells that nobody goes on with its job")
        func cancelled() throws {
            let project = try Service.sleeping("60", runs: 2)
            let service = try TestService(["--max-parallel", "2"])
            _ = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--detach")
            #expect(try eventually(within: 20) { try project.states() == ["running", "running"] })
            #expect(service.end(SIGKILL).status == 137)
            let shown = try Cloche.run("show", project.name)
            #expect(shown.output.contains("no process drives it"), "\(shown.output)")
            #expect(try Cloche.run("show", "\(project.name)/1").output.contains("no process drives it"))

            let one = try Cloche.run("cancel", "\(project.name)/1")
            #expect(one.status == 0 && one.errors.contains("cancelled"), "\(one.errors)")
            #expect(try project.states() == ["running", "cancelled"])
            let all = try Cloche.run("cancel", project.name)
            #expect(all.status == 0 && all.errors.contains("cancelled"), "\(all.errors)")
            #expect(try project.states() == ["cancelled", "cancelled"])
            #expect(try project.jobState() == "cancelled")
            try project.remove()
        }

        @Test("a run that ended while nobody watched has the time of its end")
        func unwatched() throws {
            let project = try Service.sleeping("0.5")
            let service = try TestService()
            _ = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--detach")
            #expect(eventually(within: 20) { !ProcessTable.withMarker("one.sh").isEmpty })
            #expect(service.end(SIGKILL).status == 137)
            Thread.sleep(forTimeInterval: 4)
            #expect(try project.states() == ["succeeded"])
            let finished = try Cloche.run("ls", project.name, "--json").value("runs", 0, "finished") as? String ?? ""
            let times = ISO8601DateFormatter()
            times.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
            #expect(try #require(times.date(from: finished)) < Date(timeIntervalSinceNow: -2), "\(finished)")
            try project.remove()
        }
    }
}
