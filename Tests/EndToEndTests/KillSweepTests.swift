import Foundation
import Testing

extension EndToEnd {
    /// Every process of a sandbox or a run is killed at every stage of its life.
    ///
    /// By default 60 kills of `exec` and 40 of a run; `CLOCHE_TEST_SWEEP=full` makes four hundred and two hundred.
    @Suite("Kill sweep", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct KillSweep {
        /// The process that is killed.
        enum Victim: String, CaseIterable {
            case command, keeper, supervisor, launcher, initProcess, step

            /// Finds it below the process of a command; nil while it does not exist.
            func pid(below command: pid_t) -> pid_t? {
                if self == .command { return command }
                let tree = ProcessTable.descendants(of: command)
                let supervisors = tree.filter { $0.value.hasPrefix("cloche-supervis") }.keys.sorted()
                let inits = tree.filter { $0.value.hasPrefix("memfd:cloche") || $0.value.contains(" cloche-init") }
                    .keys.sorted()
                switch self {
                case .command: return command
                case .keeper: return supervisors.first
                case .supervisor:
                    // The command is its own keeper in `exec`.
                    return supervisors.dropFirst().first ?? tree.filter { $0.value.hasPrefix("cloche ") }.keys.min()
                case .launcher: return tree.filter { $0.value.hasPrefix("cloche-launcher") }.keys.min()
                case .initProcess: return inits.first
                case .step:
                    return inits.first.flatMap { first in ProcessTable.descendants(of: first).keys.min() }
                }
            }
        }

        private static let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"

        @Test(
            "whatever of `exec` is killed, whenever, nothing is left", .timeLimit(.minutes(15)),
            arguments: [Victim.command, .supervisor, .launcher, .initProcess, .step])
        func exec(_ victim: Victim) throws {
            let before = try HostFootprint()
            let count = Self.isFull ? 80 : 12
            var surprises: [String] = []
            for number in 0..<count {
                let milliseconds = 60 * number / count
                let marker = "marker_\(UUID().uuidString.prefix(8))"
                let command = try Cloche.start(["exec", "--", "sh", "-c", "sleep 60; echo \(marker)"])
                usleep(UInt32(milliseconds) * 1000)
                let isKilled = killed(victim, below: command)
                // A launcher whose work is done is not missed: the command goes on.
                if victim == .launcher, isKilled, !eventually(within: 1, { !ProcessTable.isAlive(command.pid) }) {
                    command.signal(SIGTERM)
                }
                let result = command.wait(timeout: 20)
                let expected: [Int32] =
                    switch victim {
                    case .command, .step: [137]
                    case .supervisor: [125, 137]
                    case .initProcess: [125]
                    default: [125, 143]
                    }
                if !isKilled || !expected.contains(result.status) {
                    surprises.append("after \(milliseconds) ms: killed \(isKilled), \(result.status) \(result.errors)")
                }
                let isGone = eventually { ProcessTable.withMarker(marker).isEmpty }
                if !isGone {
                    surprises.append("after \(milliseconds) ms: processes live on")
                    ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) }
                }
            }
            #expect(surprises.isEmpty, "\(surprises.joined(separator: "\n"))")
            try before.expectNothingLeft()
        }

        @Test(
            "whatever of a run is killed, whenever, its state is true and nothing is left", .timeLimit(.minutes(20)),
            arguments: Victim.allCases)
        func run(_ victim: Victim) throws {
            let before = try HostFootprint()
            let count = Self.isFull ? 36 : 7
            for number in 0..<count {
                // While it is made, during the first step, between the two, and during the second.
                let milliseconds = 240 * number / count
                let marker = "marker_\(UUID().uuidString.prefix(8))"
                let project = try TestProject([
                    .init(file: "\(marker).sh", text: "sleep 0.03\n"),
                    .init(file: "\(marker)_below.sh", text: "sleep 30\n", after: [0]),
                ])
                let command = try Cloche.start(
                    ["job", "create", "main.orchest", "--name", project.name], in: project.path)
                defer { command.signal(SIGKILL) }
                usleep(UInt32(milliseconds) * 1000)
                let isKilled = killed(victim, below: command)
                let place: Comment = "\(victim) after \(milliseconds) ms, killed: \(isKilled)"
                // A launcher that was not needed any more, and a first step that has just ended, leave the second running.
                if !eventually(within: 2, { !ProcessTable.isAlive(command.pid) }) { command.signal(SIGKILL) }
                let result = command.wait(timeout: 20)
                let isGone = eventually { ProcessTable.withMarker(marker).isEmpty }
                #expect(isGone, place)
                if !isGone { ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) } }
                try expectTruth(of: project, result, victim, place)
                let removed = try Cloche.run("rm", project.name, "--yes")
                #expect(removed.status == 0 || removed.status == 5, place)
            }
            // A job of which only the document had been written is there for a rebuild of the database.
            try before.expectNothingLeft(ignoring: victim == .command ? "file of the store jobs/" : nil)
        }

        @Test("a template that is killed, whenever, is not missed by any run", .timeLimit(.minutes(5)))
        func template() throws {
            let before = try HostFootprint()
            for milliseconds in stride(from: 0, to: 200, by: Self.isFull ? 10 : 50) {
                let project = try TestProject(
                    [.init(file: "one.sh", text: "sleep 0.02\n"), .init(file: "two.sh", text: "true\n", after: [0])],
                    parameters: ["seed": 0], grid: ["pipeline": ["seed": Array(0..<12)]])
                let command = try Cloche.start(
                    ["job", "create", "main.orchest", "--name", project.name, "--max-parallel", "2"], in: project.path)
                defer { command.signal(SIGKILL) }
                var killed = 0
                let isOver = eventually(within: 60) {
                    usleep(UInt32(milliseconds) * 1000)
                    for (pid, name) in ProcessTable.descendants(of: command.pid) where name.hasPrefix("cloche-template")
                    {
                        killed += kill(pid, SIGKILL) == 0 ? 1 : 0
                    }
                    return !ProcessTable.isAlive(command.pid)
                }
                let result = command.wait(timeout: 20)
                #expect(isOver && killed > 0, "killed \(killed) times, every \(milliseconds) ms")
                #expect(result.status == 0, "\(result.errors)")
                let runs = try Cloche.run("ls", project.name, "--json")
                for number in 0..<12 {
                    #expect(try runs.value("runs", number, "state") as? String == "succeeded", "\(runs.output)")
                    // None was made a second time.
                    #expect(try runs.value("runs", number, "attempt") as? Int == 1, "\(runs.output)")
                }
                #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
            }
            try before.expectNothingLeft()
        }

        private func expectTruth(
            of project: TestProject, _ result: CommandResult, _ victim: Victim, _ place: Comment
        ) throws {
            var runs = try Cloche.run("ls", project.name, "--json")
            // While the supervisor takes the sandbox down, the run is running.
            _ = try eventually {
                runs = try Cloche.run("ls", project.name, "--json")
                return try runs.status != 0 || runs.value("runs", 0, "state") as? String != "running"
            }
            // Killed before the job was made, the command leaves none.
            if runs.status == 5 { return #expect(result.status == 137, place) }
            #expect(runs.status == 0, place)
            let state = try runs.value("runs", 0, "state") as? String
            let cause = try runs.value("runs", 0, "verdict", "cause") as? String
            let show = try Cloche.run("show", project.name, "--json")
            #expect(try show.value("job", "driven") as? Bool == false, place)
            if result.status == 137 {
                #expect(state == "pending" || (state == "failed" && cause == "supervisor-lost"), place)
                return
            }
            #expect(state == "failed", place)
            #expect(try show.value("job", "state") as? String == "failed", place)
            let expected: [String] =
                switch victim {
                case .command: []
                case .keeper, .supervisor: ["supervisor-lost"]
                case .launcher: ["setup"]
                case .initProcess, .step: ["signal"]
                }
            #expect(expected.contains(cause ?? ""), place)
        }

        /// Kills a process as soon as it is there; false when it is not there in time.
        private func killed(_ victim: Victim, below command: StartedCommand) -> Bool {
            var pid: pid_t?
            _ = eventually(within: 3) {
                pid = victim.pid(below: command.pid)
                return pid != nil || !ProcessTable.isAlive(command.pid)
            }
            guard let pid else { return false }
            if victim == .command { command.signal(SIGKILL) } else { kill(pid, SIGKILL) }
            return true
        }
    }
}
