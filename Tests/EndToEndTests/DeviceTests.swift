import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "Devices",
        .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root can make nodes"))
    struct Devices {
        /// Tries to open nodes, and tells what came of it.
        private static let look = """
            import errno, os, stat, sys
            for path in sys.argv[1:]:
                try: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK)); print(path, "open")
                except OSError as error: print(path, errno.errorcode[error.errno])
            """

        private func look(_ host: TestDevices, _ policy: String, _ paths: String...) throws -> [String] {
            let arguments = ["exec", "--policy", policy, "--", "python3", "-c", Self.look] + paths
            let result = try host.run(arguments)
            #expect(result.status == 0, "\(result.errors)")
            return result.output.split(separator: "\n").map(String.init)
        }

        private static let nodes = """
            mknod -m 0666 nvidiactl c 195 255; mknod -m 0666 nvidia0 c 195 0; mknod -m 0666 nvidia-modeset c 195 254
            mkdir dri; mknod -m 0666 dri/renderD128 c 226 128; mknod -m 0666 dri/card0 c 226 0
            mknod -m 0666 mem c 1 1; mknod -m 0666 sda b 8 0; mknod -m 0666 kvm c 10 232
            """

        @Test func `a policy opens the nodes of its families, and no others`() throws {
            let host = try TestDevices(Self.nodes)
            // ENXIO comes from the kernel's table of drivers: the node has effect, and nothing is behind it here.
            #expect(
                try look(
                    host, "gpu", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dri/renderD128", "/dev/null", "/dev/dri/card0",
                    "/dev/nvidia-modeset", "/dev/mem", "/dev/sda", "/dev/kvm", "/dev/net/tun") == [
                        "/dev/nvidiactl ENXIO", "/dev/nvidia0 ENXIO", "/dev/dri/renderD128 ENXIO", "/dev/null open",
                        "/dev/dri/card0 ENOENT", "/dev/nvidia-modeset ENOENT", "/dev/mem ENOENT", "/dev/sda ENOENT",
                        "/dev/kvm ENOENT", "/dev/net/tun ENOENT",
                    ])
            let some = try PolicyFile("extends: default\ndevices: [dri]\n")
            #expect(
                try look(host, some.name, "/dev/nvidia0", "/dev/dri/renderD128") == [
                    "/dev/nvidia0 ENOENT", "/dev/dri/renderD128 ENXIO",
                ])
            #expect(try look(host, "default", "/dev/dri/renderD128") == ["/dev/dri/renderD128 ENOENT"])
            let notes = try host.cloche("exec", "--policy", "gpu", "--", "true")
            #expect(notes.errors.contains("note: no devices of `rocm`: there is no `/dev/kfd`"), "\(notes.errors)")
            #expect(notes.errors.contains("there is no `/dev/nvidia-uvm`"), "\(notes.errors)")
        }

        @Test(
            "what is called like a device and is another thing is refused before anything starts",
            arguments: [
                ("a block device", "mkdir dri; mknod -m 0666 dri/renderD128 b 226 128", "is no device of that driver"),
                ("memory", "mkdir dri; mknod -m 0666 dri/renderD128 c 1 1", "is no device of that driver"),
                ("another minor", "mkdir dri; mknod -m 0666 dri/renderD128 c 226 0", "is no device of that driver"),
                ("a file", "mkdir dri; echo x > dri/renderD128", "is no device of that driver"),
                ("a link", "mkdir dri; ln -s ../null dri/renderD128", "cannot be looked at"),
                (
                    "a directory that is a link", "mkdir x; mknod -m 0666 x/renderD128 c 226 128; ln -s x dri",
                    "`/dev/dri` cannot be looked at"
                ),
                ("a mode", "mkdir dri; mknod -m 0660 dri/renderD128 c 226 128", "none of their caller's groups"),
                ("nothing", "true", "there is no `/dev/dri/renderD128`"),
            ])
        func hostile(what: String, prepare: String, reason: String) throws {
            let host = try TestDevices(prepare)
            let policy = try PolicyFile("extends: default\ndevices: [dri]\n")
            let result = try host.cloche("exec", "--policy", policy.name, "--", "echo", "started")
            #expect(result.status == 78 && result.output == "", "\(what): \(result.output)\(result.errors)")
            #expect(result.errors.contains(reason) && result.errors.contains("hint: "), "\(what): \(result.errors)")
            let lenient = try PolicyFile("extends: default\ndevices: {allow: [dri], need: none}\n")
            #expect(try look(host, lenient.name, "/dev/dri/renderD128") == ["/dev/dri/renderD128 ENOENT"])
        }

        @Test("a node that is exchanged while the sandbox is made is in none", .timeLimit(.minutes(2)))
        func exchanged() throws {
            let host = try TestDevices(
                """
                mkdir dri; mknod -m 0666 dri/renderD128 c 226 128; mknod -m 0666 dri/other c 1 8
                /usr/bin/python3 - <<'END' & sleep 0.1
                import ctypes, os
                libc, parent = ctypes.CDLL(None), os.getppid()
                # RENAME_EXCHANGE: both nodes stay.
                while os.getppid() == parent: libc.renameat2(-100, b"dri/renderD128", -100, b"dri/other", 2)
                END
                """)
            let policy = try PolicyFile("extends: default\ndevices: [dri]\n")
            var seen: [String: Int] = [:]
            // On a busy machine the right node is rarely met each time that it is looked at.
            for number in 0..<200 where number < 40 || seen["e2:80\n"] == nil {
                let result = try host.cloche(
                    "exec", "--policy", policy.name, "--", "stat", "-c", "%t:%T", "/dev/dri/renderD128")
                // 1 is from one for which there was no device when it was planned.
                #expect([0, 1, 78, 125].contains(result.status), "\(result.output)\(result.errors)")
                seen[result.output, default: 0] += 1
            }
            #expect(Set(seen.keys).subtracting(["", "e2:80\n"]).isEmpty, "\(seen)")
            #expect(seen["e2:80\n"] != nil, "\(seen)")
        }

        @Test(
            "libraries of the host's driver are where programs find them",
            .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/cc"), "there is no C compiler"))
        func libraries() throws {
            let host = try TestDevices(
                Self.nodes + """

                    mkdir "$0/lib"; echo 'int cuInit(unsigned flags) { return 4242; }' > "$0/cuda.c"
                    /usr/bin/cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$0/lib/libcuda.so.535.1" "$0/cuda.c"
                    /usr/bin/cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o "$0/lib/libnvidia-ml.so.535.1" "$0/cuda.c"
                    chmod 0666 "$0/lib/libnvidia-ml.so.535.1"
                    echo "$0/lib" > "$0/ld.so.conf"; chmod 0755 "$0/lib"
                    /sbin/ldconfig -C "$0/cache" -f "$0/ld.so.conf"
                    mount --bind "$0/cache" /etc/ld.so.cache
                    """)
            let policy = try PolicyFile("extends: gpu\ndevices: [nvidia]\n")
            let program = """
                import ctypes, os
                print(ctypes.CDLL("libcuda.so.1").cuInit(0))
                print(os.listdir("/usr/local/nvidia/lib64"))
                try: open("/usr/local/nvidia/lib64/libcuda.so.1", "r+b")
                except OSError as error: print(error.errno)
                """
            let result = try host.cloche("exec", "--policy", policy.name, "--", "python3", "-c", program)
            #expect(
                result.output == "4242\n['libcuda.so.1']\n30\n" || result.output == "4242\n['libcuda.so.1']\n13\n",
                "\(result.output)\(result.errors)")
            #expect(result.errors.contains("is left out: others than root can change it"), "\(result.errors)")
        }

        @Test func `questions, explanations and doctor tell what there is`() throws {
            let host = try TestDevices(Self.nodes)
            let asked = try host.cloche(
                "policy", "test", "gpu", "--json", "--prove", "--can", "open /dev/nvidia0", "--can",
                "open /dev/dri/card0",
                "--can", "write /dev/dri/renderD128", "--can", "open /dev/null", "--can", "open /dev/sda", "--can",
                "open /dev/nothing", "--can", "open /etc/passwd")
            let answers = try asked.value("answers") as? [[String: Any]] ?? []
            #expect(
                answers.map { $0["answer"] as? String } == [
                    "allowed", "refused", "allowed", "allowed", "refused", "refused", "refused",
                ], "\(asked.output)\(asked.errors)")
            #expect(answers.first?["rule"] as? String == "devices" && answers.first?["proof"] as? String == "unknown")
            for answer in answers.dropFirst(3) { #expect(answer["answer"] as? String == answer["proof"] as? String) }
            let explained = try host.cloche("policy", "explain", "gpu")
            #expect(explained.output.contains("devices      dri/renderD128, nvidia0, nvidiactl"), "\(explained.output)")
            let doctor = try host.cloche("system", "doctor", "--json")
            let checks = try doctor.value("checks") as? [[String: Any]] ?? []
            func check(_ name: String) -> [String: Any] { checks.first { $0["name"] as? String == name } ?? [:] }
            #expect(
                (check("devices dri")["detail"] as? String)?.contains("dri/renderD128` has no driver") == true,
                "\(checks)")
            #expect(check("devices rocm")["detail"] as? String == "none found")
            #expect(check("devices nvidia")["state"] as? String == "weaker")
            // Where nothing is started, the host does not matter.
            let none = try TestDevices("true")
            #expect(try none.cloche("policy", "explain", "gpu").status == 0)
            #expect(try none.cloche("policy", "test", "gpu", "--can", "open /dev/nvidia0").status == 1)
            #expect(try none.cloche("policy", "test", "gpu", "--prove", "--can", "open /dev/nvidia0").status == 78)
        }

        @Test func `a run gets them, and one that would lack them is not made`() throws {
            let project = try TestProject([
                .init(
                    file: "look.py",
                    text: "import os\nprint(sorted(os.listdir('/dev/dri')), os.path.exists('/dev/nvidia0'))\n")
            ])
            let host = try TestDevices(Self.nodes)
            let create = ["job", "create", project.path + "/main.orchest", "--name", project.name, "--policy", "gpu"]
            let refused = try TestDevices("true").run(create)
            #expect(
                refused.status == 78 && refused.errors.contains("find the devices that policy `gpu` needs"),
                "\(refused.errors)")
            #expect(try project.cloche("show", project.name).status == 5)
            let made = try host.run(create)
            defer { _ = try? project.cloche("rm", project.name, "--yes") }
            #expect(made.status == 0, "\(made.errors)")
            #expect(try project.cloche("logs", "\(project.name)/0").output.contains("['renderD128'] True"))
            // Another host, or the same one without its driver.
            _ = try project.cloche("rm", project.name, "--yes")
            #expect(try host.run(create + ["--draft"]).status == 0)
            let later = try project.cloche("job", "start", project.name)
            #expect(later.status == 125, "\(later.errors)")
            let shown = try project.cloche("show", "\(project.name)/0")
            #expect(shown.output.contains("find the devices that policy `gpu` needs"), "\(shown.output)\(later.errors)")
        }
    }
}
