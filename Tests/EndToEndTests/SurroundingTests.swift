import Foundation
import Testing

extension EndToEnd {
    /// What the processes around a sandbox could do if one of them were taken over, looked at from the host.
    @Suite(
        "Around a sandbox", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "looking into processes that are not dumpable needs root"))
    struct Surroundings {
        /// The processes of a run with a step that sleeps.
        private final class SleepingRun {
            let project: TestProject
            let command: StartedCommand
            private let marker = "marker_\(UUID().uuidString.prefix(8))"
            private(set) var family: [pid_t: String] = [:]

            init() throws {
                project = try TestProject([.init(file: "\(marker).sh", text: "sleep 600\n")])
                command = try Cloche.start(
                    ["job", "create", "main.orchest", "--name", project.name], in: project.path)
                let isThere = eventually(within: 20) {
                    family = ProcessTable.descendants(of: command.pid)
                    return family.values.contains { $0.contains("\(marker).sh") && !$0.hasPrefix("cloche") }
                        && family.values.contains { $0.hasPrefix("sleep") }
                }
                guard isThere else { throw TestFailure("the step has not begun: \(command.errors)") }
            }

            /// The supervisor, the last of its name: those above it are the template and the keeper.
            var supervisor: pid_t? { family.filter { $0.value.hasPrefix("cloche-supervis") }.keys.max() }
            var launcher: pid_t? { family.filter { $0.value.hasPrefix("cloche-launcher") }.keys.max() }
            var initProcess: pid_t? { family.filter { $0.value.contains(" cloche-init") }.keys.max() }

            func end() throws {
                command.signal(SIGKILL)
                _ = command.wait(timeout: 20)
                for pid in family.keys { kill(pid, SIGCONT) }
                _ = eventually { family.keys.allSatisfy { !ProcessTable.isAlive($0) } }
                _ = try Cloche.run("rm", project.name, "--yes")
            }
        }

        private static func status(_ pid: pid_t, _ field: String) throws -> String {
            let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            return text.split(separator: "\n").first { $0.hasPrefix(field + ":") }
                .map { $0.dropFirst(field.count + 1).replacing(/\s+/, with: " ").trimmingCharacters(in: .whitespaces) }
                ?? ""
        }

        private static func links(_ pid: pid_t) throws -> [Int: String] {
            let directory = "/proc/\(pid)/fd"
            var links: [Int: String] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
                // One may have been closed since.
                links[Int(name) ?? -1] = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: directory + "/" + name)
            }
            return links
        }

        @Test("nothing of the host is left in the supervisor's view, and nobody of its user may look into it")
        func views() throws {
            let run = try SleepingRun()
            defer { try? run.end() }
            for pid in [run.supervisor, run.launcher, run.initProcess] {
                let pid = try #require(pid, "\(run.family)")
                let name = run.family[pid] ?? ""
                let table = try String(contentsOfFile: "/proc/\(pid)/mountinfo", encoding: .utf8)
                    .split(separator: "\n").map { $0.split(separator: " ") }
                let roots = table.filter { $0.count > 9 && $0[4] == "/" }
                #expect(roots.count == 1 && !roots.contains { $0.contains("ext4") }, "\(name): \(roots)")
                #expect(!table.contains { $0.contains { $0.hasPrefix("shared:") || $0.hasPrefix("master:") } })
                for path in ["etc/passwd", "root", "home", "var", "sys"]
                where !name.contains("cloche-init") {
                    #expect(!FileManager.default.fileExists(atPath: "/proc/\(pid)/root/\(path)"), "\(name): \(path)")
                }
                let directory = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
                #expect(directory == "/", "\(name)")
                let ids = try Self.status(pid, "Uid").split(separator: " ").map { Int($0) ?? 0 }
                #expect(ids.count == 4 && Set(ids).count == 1 && !ids.contains(0), "\(name)")
                // procfs gives root of the namespace the files of whom no other process of the same user may trace.
                let owner = try FileManager.default.attributesOfItem(atPath: "/proc/\(pid)/environ")[.ownerAccountID]
                #expect(owner as? Int != ids.first, "\(name)")
                #expect(try Self.status(pid, "NoNewPrivs") == "1", "\(name)")
                #expect(try Self.status(pid, "Groups") == "", "\(name)")
            }
        }

        @Test("the launcher has its streams and one socket, process 1 has next to nothing")
        func descriptors() throws {
            let run = try SleepingRun()
            defer { try? run.end() }
            let launcher = try Self.links(try #require(run.launcher))
            #expect(Set(launcher.keys) == [0, 1, 2, 3] && launcher[3]?.hasPrefix("socket:") == true, "\(launcher)")
            let process = try #require(run.initProcess)
            var first: [Int: String] = [:]
            _ = try eventually {
                first = try Self.links(process)
                return first.count == 4
            }
            #expect(first.count == 4 && first[3]?.hasPrefix("socket:") == true, "\(first)")
            #expect(first.keys.allSatisfy { $0 > 2 }, "\(first)")
        }

        @Test(
            "a process that can do nothing any more ends with the one above it all the same",
            arguments: ["initProcess", "launcher", "supervisor"])
        func stopped(_ name: String) throws {
            let run = try SleepingRun()
            defer { try? run.end() }
            let victim = ["initProcess": run.initProcess, "launcher": run.launcher, "supervisor": run.supervisor][name]
            let pid = try #require(victim ?? nil, "\(run.family)")
            // Held by a tracer. SIGSTOP would not do: the kernel has whoever was stopped go on when his parent ends.
            let hold = """
                import ctypes, sys, time
                libc = ctypes.CDLL(None, use_errno=True)
                seize, interrupt = 0x4206, 0x4207
                for request in (seize, interrupt):
                    if libc.ptrace(request, int(sys.argv[1]), None, None) != 0: sys.exit(1)
                print("held", flush=True)
                time.sleep(60)
                """
            let tracer = try StartedCommand("/usr/bin/python3", ["-c", hold, "\(pid)"])
            defer { tracer.signal(SIGKILL) }
            try #require(eventually { tracer.output == "held\n" }, "\(tracer.errors)")
            // Whoever would clear away goes first: the engine, what makes supervisors, the keeper.
            kill(run.command.pid, SIGKILL)
            for one in run.family.filter({ $0.value.hasPrefix("cloche-supervis") }).keys.sorted() where one != pid {
                kill(one, SIGKILL)
            }
            let isGone = eventually { !ProcessTable.isAlive(pid) }
            if !isGone { kill(pid, SIGKILL) }
            #expect(isGone, "\(run.family)")
        }
    }
}
