import Foundation
import Testing

extension EndToEnd {
    @Suite("Interruption", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Interruption {
        /// The process of a run that is ended, and by which signal.
        enum Victim: String, CaseIterable {
            case commandByInterrupt, command, keeper, supervisor, initProcess, step

            var signal: Int32 { self == .commandByInterrupt ? SIGINT : SIGKILL }

            /// Finds its process among those that descend from `cloche`.
            func pid(of cloche: pid_t, marker: String) -> pid_t? {
                let tree = ProcessTable.descendants(of: cloche)
                func first(_ name: String, not others: Set<pid_t> = []) -> pid_t? {
                    tree.filter { $0.value.hasPrefix(name) && !others.contains($0.key) }.keys.min()
                }
                switch self {
                case .commandByInterrupt, .command: return cloche
                case .keeper: return first("cloche-supervis")
                case .supervisor: return first("cloche-supervis").flatMap { first("cloche-supervis", not: [$0]) }
                case .initProcess: return tree.filter { $0.value.contains("cloche-init") }.keys.min()
                case .step: return tree.filter { $0.value.contains(marker) }.keys.min()
                }
            }
        }

        @Test(
            "a build that is interrupted or killed while packages are fetched ends at once, with what fetches them",
            arguments: [SIGINT, SIGTERM, SIGKILL])
        func build(_ signal: Int32) throws {
            let build = try Cloche.start(["env", "build", "base-kernel-py"])
            defer { build.signal(SIGKILL) }
            try #require(eventually(within: 60) { build.errors.contains("apt-get update") })
            let family = ProcessTable.descendants(of: build.pid)
            #expect(family.values.contains { $0.contains("mmdebstrap") })
            build.signal(signal)
            let result = build.wait(timeout: 4)
            #expect(result.status == 128 + signal, "\(result.status) \(result.errors)")
            #expect(result.errors.contains("cancelled") == (signal != SIGKILL), "\(result.errors)")
            #expect(eventually { family.keys.allSatisfy { !ProcessTable.isAlive($0) } })
            #expect(try Cloche.run("env", "show", "base-kernel-py").status == 5)
        }

        @Test(
            "when a build is killed, its script does not live on, and what it left is counted and removed",
            .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "builds need /dev/net/tun"))
        func buildKilled() throws {
            let (groups, marker) = (try HostFootprint.controlGroups, "marker_\(UUID().uuidString.prefix(8))")
            let project = try TestProject([.init(file: "one.sh", text: "exit 0\n")])
            try project.bringEnvironment(
                UUID().uuidString.lowercased(), "sh -c 'sleep 600; echo \(marker)' &\nsleep 600\n")
            let build = try Cloche.start(["env", "build", "."], in: project.path)
            defer { build.signal(SIGKILL) }
            try #require(
                eventually(within: 60) {
                    ProcessTable.descendants(of: build.pid).values.contains {
                        $0.contains("sh -c") && $0.contains(marker)
                    }
                })
            let family = Array(ProcessTable.descendants(of: build.pid).keys)
            build.signal(SIGKILL)
            #expect(build.wait(timeout: 10).status == 137)
            #expect(eventually(within: 5) { family.allSatisfy { !ProcessTable.isAlive($0) } })
            ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) }
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            #expect(
                try eventually { try HostFootprint.controlGroups.subtracting(groups).isEmpty },
                "control groups are left")

            let announced = try Cloche.run("system", "prune", "--dry-run", "--json").value("remains") as? Int
            #expect(try #require(announced) >= 1)
            #expect(try Cloche.run("system", "prune", "--yes", "--json").value("remains") as? Int == announced)
        }

        @Test(
            "whichever process of a run is killed, nothing is left of it and its state is true",
            arguments: Victim.allCases)
        func killed(_ victim: Victim) throws {
            let marker = "marker_\(UUID().uuidString.prefix(8))"
            let project = try TestProject([
                .init(file: "\(marker).sh", text: "echo sleeping; sleep 600; exit 0\n"),
                .init(file: "below.sh", text: "echo never\n", after: [0]),
            ])
            let (groups, mounts) = (try HostFootprint.controlGroups, ProcessTable.mounts)
            let run = try Cloche.start(
                ["job", "create", "main.orchest", "--name", project.name], in: project.path)
            defer { run.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    ProcessTable.descendants(of: run.pid).values.contains { $0.contains(marker) && $0.contains("sh ") }
                })
            let family = Array(ProcessTable.descendants(of: run.pid).keys)
            kill(try #require(victim.pid(of: run.pid, marker: marker)), victim.signal)

            let result = run.wait(timeout: 10)
            let expected: Int32 =
                switch victim {
                case .commandByInterrupt: 130
                case .command: 137
                default: 1
                }
            #expect(result.status == expected, "\(result.errors)")
            #expect(eventually { family.allSatisfy { !ProcessTable.isAlive($0) } })
            #expect(ProcessTable.withMarker(marker).isEmpty)
            #expect(ProcessTable.mounts.subtracting(mounts).isEmpty)

            let runs = try Cloche.run("ls", project.name, "--json")
            let state = try runs.value("runs", 0, "state") as? String
            let cause = try runs.value("runs", 0, "verdict", "cause") as? String
            switch victim {
            case .commandByInterrupt:
                #expect(state == "cancelled")
                #expect(try Cloche.run("show", project.name, "--json").value("job", "state") as? String == "cancelled")
            case .command: #expect(state == "pending" || state == "failed", "the run cannot be running")
            case .keeper, .supervisor:
                #expect(state == "failed")
                #expect(cause == "supervisor-lost")
            case .initProcess, .step:
                #expect(state == "failed")
                #expect(cause == "signal")
            }
            #expect(
                try eventually { try HostFootprint.controlGroups.subtracting(groups).isEmpty },
                "control groups are left")
            // A job that nobody drives can be removed as it is.
            let removed = try Cloche.run("rm", project.name, "--yes")
            #expect(removed.status == 0, "\(removed.errors)")
        }

        @Test(
            "when `exec` is ended, nothing of it is left after the next command", arguments: [SIGTERM, SIGINT, SIGKILL])
        func execEnded(_ signal: Int32) throws {
            let (groups, marker) = (try HostFootprint.controlGroups, "marker_\(UUID().uuidString.prefix(8))")
            let command = try Cloche.start(["exec", "--", "sh", "-c", "sleep 600; echo \(marker)"])
            defer { command.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    ProcessTable.descendants(of: command.pid).values.contains { $0.hasPrefix("sleep ") }
                })
            let family = Array(ProcessTable.descendants(of: command.pid).keys)
            command.signal(signal)
            #expect(command.wait(timeout: 10).status == 128 + signal)
            #expect(eventually { family.allSatisfy { !ProcessTable.isAlive($0) } })
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            #expect(
                try eventually { try HostFootprint.controlGroups.subtracting(groups).isEmpty },
                "control groups are left")
        }

        @Test(
            "when `exec` is killed while it starts, nothing of it lives on", arguments: (0..<20).map { $0 * 4 })
        func execKilledEarly(_ milliseconds: Int) throws {
            let marker = "marker_\(UUID().uuidString.prefix(8))"
            let command = try Cloche.start(["exec", "--", "sh", "-c", "sleep 30; echo \(marker)"])
            usleep(UInt32(milliseconds) * 1000)
            command.signal(SIGKILL)
            #expect(command.wait(timeout: 10).status == 137)
            let isGone = eventually(within: 3) { ProcessTable.withMarker(marker).isEmpty }
            #expect(isGone)
            if !isGone { ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) } }
        }

        @Test(
            "a job whose command was ended by SIGTERM or killed goes on with `job start`",
            arguments: [SIGTERM, SIGKILL])
        func resumed(_ signal: Int32) throws {
            let project = try TestProject([
                .init(
                    file: "one.sh",
                    text: "if [ -e /data/seen-$CLOCHE_JOB ]; then exit 0; fi; touch /data/seen-$CLOCHE_JOB; sleep 600\n"
                )
            ])
            let run = try Cloche.start(["job", "create", "main.orchest", "--name", project.name], in: project.path)
            defer { run.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    ProcessTable.descendants(of: run.pid).values.contains { $0.hasPrefix("sleep ") }
                })
            run.signal(signal)
            #expect(run.wait().status == 128 + signal)
            if signal == SIGTERM {
                let jobs = try Cloche.run("ls", "--json").value("jobs") as? [[String: Any]] ?? []
                let job = try #require(jobs.first { $0["name"] as? String == project.name })
                #expect(job["state"] as? String == "running")
                #expect(job["driven"] as? Bool == false)
            }
            let resumed = try Cloche.run("job", "start", project.name, timeout: 30)
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(try Cloche.run("ls", project.name, "--json").value("runs", 0, "state") as? String == "succeeded")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}
