import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "Refusals of a filtered network, told and mended",
        .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/python3"), "the servers need python3"))
    struct NetworkRefusals {
        private let network: TestNetwork

        init() throws { network = try TestNetwork() }

        /// Asks for several things, and goes on whatever the answers are.
        private static let program = """
            import urllib.request, socket
            for url in ("http://data.example.org/one", "http://evil.example.net/", "http://evil.example.net/",
                        "http://data.example.org:8080/two", "http://private.example.org/"):
                try: print(urllib.request.urlopen(url, timeout=20).read().decode().strip())
                except OSError as error: print("refused")
            try: socket.getaddrinfo("looked.example.net", 80)
            except OSError: pass
            """
        private static let refused = "GET /one host=data.example.org body=0\nrefused\nrefused\nrefused\nrefused\n"
        private static let allowed = ["data.example.org:80", "private.example.org:80"]

        @Test func `exec tells at its end what was refused, though the command went on without`() throws {
            let result = try network.exec(Self.allowed, "python3", "-c", Self.program)
            #expect(result.status == 0 && result.output == Self.refused, "\(result.output)")
            for line in [
                "cloche: refused by `network.allow`: 5 connections and look-ups",
                "  evil.example.net:80: no rule of `network.allow` names `evil.example.net:80`",
                "  data.example.org:8080: rules of `network.allow` name `data.example.org` with the port 80, and not 8080",
                "  private.example.org:80: `private.example.org` has the address 10.9.0.7, which is not public",
                "  looked.example.net: no rule of `network.allow` names `looked.example.net`",
            ] { #expect(result.errors.contains(line), "\(line): \(result.errors)") }
            let quiet = try network.exec(Self.allowed, "true")
            #expect(quiet.errors == "", "\(quiet.errors)")
        }

        @Test func `policy test proposes the entries that are missing, and they are enough`() throws {
            let policy = try TestNetwork.policy(Self.allowed)
            let tried = try network.cloche([
                "policy", "test", policy.name, "--json", "--", "python3", "-c", Self.program,
            ])
            #expect(tried.status == 1, "\(tried.errors)")
            let edit = try #require(try tried.value("edit") as? String, "\(tried.output)")
            for entry in [
                "data.example.org:80", "data.example.org:8080", "evil.example.net:80", "private.example.org:80",
                "10.9.0.7:80",
            ] { #expect(edit.contains("\"\(entry)\""), "\(entry): \(edit)") }
            let rules = try (tried.value("refusals") as? [[String: Any]] ?? []).compactMap { $0["rule"] as? String }
            #expect(Set(rules) == ["network.allow"] && rules.count == 4, "\(tried.output)")
            let opened = try PolicyFile(edit)
            let again = try network.cloche(["exec", "--policy", opened.name, "--", "python3", "-c", Self.program])
            #expect(
                again.output.contains("GET /two") && again.output.contains("GET / host=private.example.org"),
                "\(again.output)\(again.errors)")
        }

        @Test func `policy explain of a run names for each refused connection the entry that allows it`() throws {
            let project = try TestProject([.init(file: "get.py", text: Self.program)])
            let policy = try TestNetwork.policy(Self.allowed)
            let job = try network.cloche(
                ["job", "create", "main.orchest", "--name", project.name, "--policy", policy.name], in: project.path)
            defer { _ = try? project.cloche("rm", project.name, "--yes") }
            #expect(job.status == 0, "\(job.errors)")
            let explained = try Cloche.run("policy", "explain", "\(project.name)/0", "--json")
            let refusals = try explained.value("refusals") as? [[String: Any]] ?? []
            #expect(refusals.count == 4, "\(explained.output)")
            #expect(refusals.allSatisfy { $0["rule"] as? String == "network.allow" })
            #expect(refusals.map { $0["count"] as? Int } == [2, 1, 1, 1])
            #expect((refusals[0]["place"] as? String)?.contains("\(policy.name).yaml:2:") == true, "\(refusals[0])")
            #expect((refusals[2]["edit"] as? String)?.contains("\"10.9.0.7:80\"") == true, "\(refusals[2])")
            #expect((refusals[3]["obstacle"] as? String)?.contains("add `looked.example.net:PORT`") == true)
            let edit = try #require(try explained.value("edit") as? String)
            #expect(edit.hasPrefix("extends: \(policy.name)\nnetwork: {mode: filtered, allow: ["), "\(edit)")
            let opened = try PolicyFile(edit)
            #expect(try Cloche.run("policy", "validate", opened.path).status == 0)
            let differences = try Cloche.run("policy", "diff", policy.name, opened.name)
            #expect(!differences.output.contains("less"), "\(differences.output)")
        }

        @Test func `a setup script under a filtered ceiling reaches what the ceiling names, and is told of the rest`()
            throws
        {
            let project = try TestProject([.init(file: "a.py", text: "import tiny; print(tiny.value)\n")])
            let own = UUID().uuidString.lowercased()
            let place = ".orchest/environments/\(own)/"
            try project.directory.write(
                """
                {"base_image": "python", "gpu_support": false, "language": "python", "name": "Filtered", "uuid": "\(own)"}
                """, to: place + "properties.json")
            func build(_ script: String) throws -> CommandResult {
                try project.directory.write(script, to: place + "setup_script.sh")
                let ceiling = try TemporaryDirectory()
                try ceiling.write(
                    "network: {mode: filtered, allow: ['data.example.org:80']}\n", to: "ceiling.yaml")
                chmod(ceiling.path, 0o755)
                let inside = """
                    mount -t tmpfs none /mnt && mkdir -p /mnt/etc/upper/cloche/policies /mnt/etc/work
                    cp "$0/ceiling.yaml" /mnt/etc/upper/cloche/policies && chmod 0644 /mnt/etc/upper/cloche/policies/ceiling.yaml
                    cp -a /etc/hosts /etc/resolv.conf /mnt/etc/upper
                    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc/upper,workdir=/mnt/etc/work /etc
                    exec "$@"
                    """
                return try network.start(
                    ["/bin/sh", "-c", inside, ceiling.path, try Cloche.program(), "env", "build", project.path],
                    environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 180)
            }
            let built = try build(
                "pip install --quiet --index-url http://data.example.org/files/simple --trusted-host data.example.org tiny\n"
            )
            #expect(built.status == 0, "\(built.errors)\(built.output)")
            #expect(built.errors.contains("network outbound to filtered [data.example.org:80]"), "\(built.errors)")
            #expect(network.requests.contains("dns tunnel.example.org 1") == false)
            let refused = try build(
                "python3 -c 'import urllib.request; urllib.request.urlopen(\"http://evil.example.net/\")'\n")
            #expect(refused.status != 0, "\(refused.errors)")
            #expect(
                (refused.errors + refused.output).contains("refused it a connection to `evil.example.net:80`"),
                "\(refused.errors)\(refused.output)")
        }
    }
}
