import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Shared data", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct SharedData {
        @Test("no socket can be made in what sandboxes share, and files can be moved there")
        func socketsInData() throws {
            let name = "shared_\(UUID().uuidString.prefix(8))"
            let program = """
                import os, shutil, socket
                def bind(path): return attempt(lambda: socket.socket(socket.AF_UNIX).bind(path))
                os.makedirs("/data/\(name)/a/b"); os.mkdir("/data/\(name)/c")
                os.rename("/data/\(name)/a/b", "/data/\(name)/c/b")
                print(bind("/data/\(name)/socket"), attempt(lambda: os.mknod("/data/\(name)/node", 0o140600)))
                shutil.rmtree("/data/\(name)")
                os.mkdir("/tmp/d"); os.rename("/tmp/d", "/home/jovyan/d")
                print(bind("/tmp/socket"), bind("/home/jovyan/d/socket"), bind("/dev/shm/socket"))
                """
            let result = try Cloche.python(EndToEnd.Sandbox.prelude + program)
            #expect(result.output == "EACCES EACCES\nok ok ok\n", "\(result.errors)")
            // The same directory under another name is still the shared one.
            let shared = try Cloche.home.get() + "/data/shared"
            let again = try Cloche.run(
                "exec", "--bind-ro", shared + ":/all", "--", "python3", "-c",
                EndToEnd.Sandbox.prelude + "print(attempt(lambda: socket.socket(socket.AF_UNIX).bind('/data/socket')))")
            #expect(again.output == "EACCES\n", "\(again.errors)")
        }

        @Test("a run that flips names in /data while others start changes nothing of what they see")
        func flippedNames() throws {
            let (directory, policy) = (try TemporaryDirectory(), try PolicyFile("extends: default\ndata: rw\n"))
            let place = "flip_\(UUID().uuidString.prefix(8).lowercased())"
            let flipper = """
                import os, sys
                os.makedirs("/data/\(place)/real"); os.chdir("/data/\(place)")
                open("real/mark", "w").close()
                print("begun", flush=True)
                while True:
                    for target in ("/etc", "/proc/1/root", "../../../..", "real"):
                        os.symlink(target, "next"); os.rename("next", "sub")
                        for name in ("/data", "/data/..", "/data/../projects"):
                            try: os.rename(name, "taken"); os._exit(9)
                            except OSError: pass
                    os.unlink("sub"); os.rename("real", "sub"); os.rename("sub", "real")
                """
            let running = try Cloche.start(
                ["exec", "--policy", policy.name, "--", "python3", "-c", flipper], environment: [:])
            defer { running.signal(SIGKILL) }
            let shared = try Cloche.home.get() + "/data/shared"
            try #require(eventually(within: 20) { FileManager.default.fileExists(atPath: "\(shared)/\(place)/real") })
            let expected = try FileManager.default.attributesOfItem(atPath: shared)[.systemFileNumber] as? Int
            for _ in 0..<25 {
                let seen = try Cloche.run(
                    "exec", "--policy", policy.name, "--project", directory.path, "--", "ls", "-id", "/data/.")
                #expect(seen.status == 0, "\(seen.errors)")
                #expect(seen.output.split(separator: " ").first.flatMap { Int($0) } == expected, "\(seen.output)")
            }
            #expect(ProcessTable.isAlive(running.pid), "it could rename what only the host can: \(running.errors)")
            running.signal(SIGTERM)
            _ = running.wait(timeout: 20)
            try FileManager.default.removeItem(atPath: "\(shared)/\(place)")
        }
    }
}
