import Foundation
import Testing

extension EndToEnd {
    /// The sandbox of the next step is there before that step may start.
    @Suite("Sandboxes that are made ahead", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct SandboxesAhead {
        /// The process 1 that waits for its command.
        private static func waiting(below command: pid_t) -> pid_t? {
            ProcessTable.descendants(of: command).first { pid, name in
                (name.hasPrefix("memfd:cloche") || name.contains(" cloche-init"))
                    && ProcessTable.descendants(of: pid).isEmpty
            }?.key
        }

        @Test(
            "its step sees what the one before has written last; one that has been killed is made anew",
            arguments: [false, true])
        func used(isKilled: Bool) throws {
            let before = try HostFootprint()
            let project = try TestProject([
                .init(file: "one.sh", text: "sleep 1.5; echo written > last\n"),
                .init(file: "two.sh", text: "cat last; test \"$(id -u)\" = 1000\n", after: [0]),
            ])
            let command = try Cloche.start(["run", "main.orchest", "--name", project.name], in: project.path)
            defer { command.signal(SIGKILL) }
            #expect(
                eventually(within: 20) {
                    ProcessTable.withMarker("one.sh").count > 0 && Self.waiting(below: command.pid) != nil
                })
            if isKilled, let waiting = Self.waiting(below: command.pid) { kill(waiting, SIGKILL) }
            let result = command.wait(timeout: 30)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0/two").output.contains("written"))
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
            try before.expectNothingLeft()
        }

        @Test("one that is not needed ends with its run")
        func unused() throws {
            let before = try HostFootprint()
            let project = try TestProject([
                .init(file: "one.sh", text: "sleep 1; exit 3\n"), .init(file: "two.sh", text: "true\n", after: [0]),
            ])
            let command = try Cloche.start(["run", "main.orchest", "--name", project.name], in: project.path)
            defer { command.signal(SIGKILL) }
            #expect(eventually(within: 20) { Self.waiting(below: command.pid) != nil })
            #expect(command.wait(timeout: 30).status == 1)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
            try before.expectNothingLeft()
        }
    }
}
