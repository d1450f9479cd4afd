import Foundation
import Testing

/// A small system made of the host's own shell, its libraries and a few programs.
final class SmallSystem {
    let directory: TemporaryDirectory
    var path: String { directory.path + "/root" }

    init() throws {
        directory = try TemporaryDirectory()
        let script = """
            mkdir -p root/bin root/etc root/lib64
            for program in sh cat ls stat; do
                cp -L "$(command -v $program)" root/bin/
                ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r library; do
                    mkdir -p "root$(dirname "$library")"; cp -Ln "$library" "root$library"
                done
            done
            printf 'root:x:0:0::/root:/bin/sh\\n' > root/etc/passwd
            printf 'root:x:0:\\n' > root/etc/group
            printf 'ID=small\\nPRETTY_NAME="Small System"\\n' > root/etc/os-release
            echo made > root/etc/mark
            """
        try run(script)
    }

    /// Runs a shell's commands beside the system.
    @discardableResult
    func run(_ script: String) throws -> String {
        let result = try StartedCommand("/bin/sh", ["-euc", script], directory: directory.path).wait(timeout: 60)
        guard result.status == 0 else { throw TestFailure("`\(script)` failed: \(result.errors)") }
        return result.output
    }
}

extension EndToEndBeside {
    @Suite("Imported environments", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct Imports {
        private let name = "import-" + UUID().uuidString.prefix(8).lowercased()
        private static let hasTools = ["umoci", "skopeo"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: "/usr/bin/" + $0)
        }

        private func inside(_ text: String, _ options: String...) throws -> CommandResult {
            try Cloche.start(["exec", "--environment", name] + options + ["--", "sh", "-c", text]).wait(timeout: 30)
        }

        private func forget() throws {
            let home = try Cloche.home.get()
            try FileManager.default.removeItem(atPath: "\(home)/environments/names/\(name).json")
        }

        @Test("a flipped bit in an environment is found, nothing starts in it, and importing again makes it sound")
        func verification() throws {
            let system = try SmallSystem()
            try system.run("tar -C root -cf plain.tar .")
            let source = system.directory.path + "/plain.tar"
            #expect(try Cloche.run("env", "import", name, source).status == 0)
            let build = try #require(
                try Cloche.run("env", "show", name, "--json").value("environment", "id") as? String)
            let sound = try Cloche.run("env", "verify", name)
            #expect(sound.status == 0 && sound.output == "\(build.prefix(12)): sound\n", "\(sound.errors)")
            let tree = "\(try Cloche.home.get())/environments/builds/\(build)/tree"
            try system.run(
                "touch -r '\(tree)/etc/mark' time; printf mAde > '\(tree)/etc/mark'; touch -r time '\(tree)/etc/mark'")
            let damaged = try Cloche.run("env", "verify", name)
            #expect(
                damaged.status == 1 && damaged.output.contains("  etc/mark: size, content changed"), "\(damaged.output)"
            )
            let listed = try Cloche.run("env", "ls", "--json").value("environments") as? [[String: Any]] ?? []
            #expect(listed.filter { $0["damaged"] as? Bool == true }.map { $0["name"] as? String } == [name])
            #expect(try Cloche.run("env", "show", name).output.contains("damaged      use build"))
            let refused = try inside("true")
            #expect(refused.errors.contains("env import"), "\(refused.errors)")
            #expect(refused.status != 0 && refused.errors.contains("it is damaged: etc/mark"), "\(refused.errors)")
            let again = try Cloche.run("env", "import", name, source)
            #expect(again.status == 0 && !again.output.contains(build))
            #expect(try inside("cat /etc/mark").output == "made\n")
            let all = try Cloche.run("env", "verify", name, "--json")
            #expect(all.status == 0)
            try forget()
        }

        @Test("what has not changed is not imported again", arguments: ["plain.tar", "packed.gz", "root"])
        func again(_ source: String) throws {
            // A directory's files are the caller's own.
            guard source != "root" || Cloche.isRoot else { return }
            let system = try SmallSystem()
            try system.run("tar -C root -cf plain.tar .; gzip -c plain.tar > packed.gz")
            let path = system.directory.path + "/" + source
            let first = try Cloche.run("env", "import", name, path)
            #expect(first.status == 0 && !first.output.isEmpty, "\(first.errors)")
            let second = try Cloche.run("env", "import", name, path)
            #expect(second.status == 0 && second.output == first.output, "\(second.output)")
            #expect(second.errors.contains("is up to date"), "\(second.errors)")
            let refreshed = try Cloche.run("env", "import", name, path, "--refresh")
            #expect(refreshed.status == 0 && refreshed.output != first.output, "\(refreshed.errors)")
            try forget()
        }

        @Test("a directory, an archive in every compression, and the user and mount points that steps need")
        func archives() throws {
            let system = try SmallSystem()
            try system.run(
                """
                tar -C root -cf plain.tar .
                for tool in gzip xz zstd bzip2; do
                    command -v $tool >/dev/null && $tool -c plain.tar > packed.$tool || true
                done
                """)
            let project = try TemporaryDirectory()
            let sources = try FileManager.default.contentsOfDirectory(atPath: system.directory.path).filter {
                $0 != "root" || Cloche.isRoot
            }
            for source in sources.sorted() {
                let made = try Cloche.run(
                    "env", "import", name, system.directory.path + "/" + source, "--refresh")
                #expect(made.status == 0, "\(source): \(made.errors)")
                #expect(made.output.contains("Small System"), "\(made.output)")
                let result = try inside(
                    "cat /etc/mark; cat /etc/passwd; echo ~ > ~/own && ls ~; stat -c %u:%g / ~ /bin/sh; echo x > /data/t; ls /project-dir",
                    "--project", project.path)
                #expect(result.status == 0, "\(source): \(result.errors)")
                #expect(result.output.hasPrefix("made\nroot:x:0:0::/root:/bin/sh\njovyan:x:1000:1000::/home/jovyan:"))
                #expect(result.output.contains("own\n0:0\n1000:1000\n0:0\n"), "\(source): \(result.output)")
            }
            let shown = try Cloche.run("env", "show", name, "--json")
            #expect(try shown.value("environment", "image", "system") as? String == "Small System")
            #expect(try shown.value("environment", "interpreters", "bash") as? String == "/bin/sh")
            try forget()
        }

        @Test(
            "an image of umoci and skopeo, as a layout and as an archive, with its layers, variables and directory",
            .enabled(if: hasTools, "umoci and skopeo are not installed"))
        func images() throws {
            let system = try SmallSystem()
            try system.run(
                """
                umoci init --layout image; umoci new --image image:one
                umoci insert --image image:one root /; umoci insert --image image:one root/etc/mark /etc/old
                umoci insert --image image:one --whiteout /etc/old
                umoci config --image image:one --config.env KIND=layered --config.user 7 --config.workingdir /etc \\
                    --config.entrypoint /bin/sh
                umoci tag --image image:one two
                skopeo copy -q oci:image:one docker-archive:saved.tar:mine:latest
                tar -cf layout.tar -C image .; gzip -k saved.tar
                """)
            let several = try Cloche.run("env", "import", name, system.directory.path + "/image")
            #expect(several.status == 64 && several.errors.contains("--tag"), "\(several.errors)")
            for source in ["image", "layout.tar", "saved.tar", "saved.tar.gz"] {
                let options = source.hasPrefix("saved") ? ["--tag", "latest"] : ["--tag", "one"]
                let made = try Cloche.start(
                    ["env", "import", name, system.directory.path + "/" + source] + options
                ).wait()
                #expect(made.status == 0, "\(source): \(made.errors)")
                let result = try inside(
                    "echo $KIND $HOME $PWD; [ -e mark ] && [ ! -e old ] && echo whole; cat /proc/self/status")
                #expect(
                    result.output.hasPrefix("layered /home/jovyan /etc\nwhole\n"),
                    "\(source): \(result.output)")
                #expect(result.output.contains("Uid:\t1000\t1000"), "\(result.errors)")
            }
            let again = try Cloche.run(
                "env", "import", name, system.directory.path + "/saved.tar", "--tag", "latest", "--json")
            let build = try again.value("environment", "id") as? String
            let third = try Cloche.run(
                "env", "import", name, system.directory.path + "/saved.tar", "--tag", "latest", "--json")
            #expect(try third.value("environment", "id") as? String == build, "an equal image is not unpacked again")

            let left = try FileManager.default.contentsOfDirectory(
                atPath: try Cloche.home.get() + "/environments/staging")
            try system.run(
                """
                cp -r image damaged; blob=$(ls -S damaged/blobs/sha256/* | head -n 1)
                printf x | dd of=$blob bs=1 seek=2000 conv=notrunc 2>/dev/null
                umoci config --image image:two --architecture arm64
                """)
            let damaged = try Cloche.run("env", "import", name, system.directory.path + "/damaged", "--tag", "one")
            #expect(damaged.status == 65, "\(damaged.errors)")
            let foreign = try Cloche.run("env", "import", name, system.directory.path + "/image", "--tag", "two")
            #expect(foreign.status == 65 && foreign.errors.contains("linux/arm64"), "\(foreign.errors)")
            #expect(try inside("echo still").output == "still\n", "the last good import stays in force")
            let staging = try Cloche.home.get() + "/environments/staging"
            #expect(try FileManager.default.contentsOfDirectory(atPath: staging) == left)
            try forget()
        }

        @Test("the reader of an archive sees nothing of the host while it reads", .enabled(if: Cloche.isRoot))
        func confinement() throws {
            let system = try SmallSystem()
            try system.run("head -c 400000000 /dev/zero > zeros; tar -czf large.tar.gz zeros; rm zeros")
            let command = try Cloche.start(["env", "import", name, system.directory.path + "/large.tar.gz"])
            defer { command.signal(SIGTERM) }
            // The keeper stays outside; the reader is the one that has left the host's files.
            var reader: pid_t?
            _ = eventually(within: 20) {
                let readers = ProcessTable.descendants(of: command.pid).filter {
                    $0.value.contains("cloche-supervisor unpack ")
                }
                reader = readers.keys.first { Self.text($0, "mountinfo").split(separator: "\n").count == 1 }
                return reader != nil
            }
            let process = try #require(reader, "\(command.errors)")
            let mounts = Self.text(process, "mountinfo")
            #expect(mounts.contains("/environments/staging/") && mounts.contains(" / "), "\(mounts)")
            // Its own network namespace has a loopback device and nothing else.
            #expect(Self.text(process, "net/dev").split(separator: "\n").count == 3)
            // CHOWN, DAC_OVERRIDE, FOWNER, FSETID; and no id of the host's users. It has just left the host's files, and
            // gives up its privileges before it reads.
            var status = ""
            _ = eventually(within: 5) {
                status = Self.text(process, "status")
                return status.contains("CapEff:\t000000000000001b\n")
            }
            #expect(status.contains("CapEff:\t000000000000001b\n") && status.contains("NoNewPrivs:\t1\n"), "\(status)")
            #expect(!status.contains("Uid:\t0\t"), "\(status)")
            let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").map {
                try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\($0)")
            }
            #expect(
                files.allSatisfy { $0.hasPrefix("pipe:") || $0 == "/" || $0 == "/zeros" || $0.contains("/tree") },
                "\(files)")
        }

        private static func text(_ process: pid_t, _ name: String) -> String {
            (try? String(contentsOf: URL(filePath: "/proc/\(process)/\(name)"), encoding: .utf8)) ?? ""
        }

        @Test("archives that reach for the host find nothing of it, and bombs end with a hint")
        func hostile() throws {
            let system = try SmallSystem()
            let bait = try TemporaryDirectory()
            try bait.write("secret", to: "bait")
            chmod(bait.path, 0o777)
            chmod(bait.path + "/bait", 0o666)
            try system.run(
                """
                ln -s \(bait.path) root/out; ln -s ../../../../../../../../../../..\(bait.path) root/up
                mkdir -p 'root\(bait.path)'; echo inner > 'root\(bait.path)/bait'
                (cd root && tar -cf ../hostile.tar *); mkdir extra; echo changed > extra/bait
                tar -C extra --transform 's,^,out/,' -rf hostile.tar bait
                tar -C extra --transform 's,^,up/,' -rf hostile.tar bait
                head -c 300000000 /dev/zero > zeros; tar -czf bomb.tar.gz zeros; rm zeros
                """)
            let made = try Cloche.run("env", "import", name, system.directory.path + "/hostile.tar")
            #expect(made.status == 0, "\(made.errors)")
            #expect(try inside("cat /out/bait /up/bait").output == "changed\nchanged\n")
            #expect(bait.names == ["bait"])
            #expect(try bait.read("bait") == "secret")
            let bomb = try Cloche.run(
                "env", "import", name, system.directory.path + "/bomb.tar.gz", "--max-size", "100M")
            #expect(bomb.status == 6 && bomb.errors.contains("--max-size"), "\(bomb.errors)")
            let none = try Cloche.run("env", "import", name, system.directory.path + "/none")
            #expect(none.status == 5, "\(none.errors)")
            try forget()
            let base = try Cloche.run("env", "import", "python", system.directory.path + "/hostile.tar")
            #expect(base.status == 6, "\(base.errors)")
        }
    }
}

extension EndToEndBeside {
    @Suite(
        "Imports without privileges", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making a user needs root"))
    struct UnprivilegedImports {
        @Test("a user imports a directory and an archive, executes, and removes them", arguments: [true, false])
        func user(hasRange: Bool) throws {
            let system = try SmallSystem()
            try system.run("tar -C root -czf packed.tar.gz .; chmod -R a+rX .")
            chmod(system.directory.path, 0o755)
            let user = try EndToEnd.Unprivileged.User(hasRange: hasRange)
            for source in ["root", "packed.tar.gz"] {
                let made = try user.run("env", "import", "mine", system.directory.path + "/" + source)
                #expect(made.status == 0, "\(source): \(made.errors)")
                let result = try user.run(
                    "exec", "--environment", "mine", "--", "sh", "-c", "cat /etc/mark; stat -c %u /bin/sh ~; ls -d ~")
                #expect(result.status == 0, "\(result.errors)")
                // With a single id everything is that user's, who is 1000 inside.
                let owners = hasRange ? "0\n1000\n" : "1000\n1000\n"
                #expect(result.output == "made\n\(owners)/home/jovyan\n", "\(source): \(result.output)")
            }
            let removed = try user.run("env", "rm", "mine", "--yes")
            #expect(removed.status == 0, "\(removed.errors)")
            let builds = user.home + "/store/environments/builds"
            #expect(try FileManager.default.contentsOfDirectory(atPath: builds) == [])
        }
    }
}
