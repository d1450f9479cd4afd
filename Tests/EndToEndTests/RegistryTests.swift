import Foundation
import Testing

/// A registry on loopback with `lab/small:one`, an image that skopeo has pushed.
private final class DockerRegistry {
    static let isPossible = ["docker-registry", "skopeo", "umoci", "curl"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: "/usr/bin/" + $0)
    }

    let system: SmallSystem
    let port: Int
    private let server: StartedCommand

    init() throws {
        system = try SmallSystem()
        let free = """
            import socket
            s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])
            """
        try system.directory.write(free, to: "free.py")
        let text = try system.run("python3 free.py").trimmingCharacters(in: .whitespacesAndNewlines)
        port = try #require(Int(text))
        try system.directory.write(
            """
            version: 0.1
            log: {level: error, accesslog: {disabled: false}}
            storage: {filesystem: {rootdirectory: \(system.directory.path)/registry}}
            http: {addr: "127.0.0.1:\(port)"}
            """, to: "registry.yml")
        server = try StartedCommand(
            "/usr/bin/docker-registry", ["serve", "registry.yml"], directory: system.directory.path)
        try system.run("umoci init --layout image; umoci new --image image:one; umoci insert --image image:one root /")
        try push("image:one", "lab/small:one")
    }

    deinit {
        server.signal(SIGTERM)
        _ = server.wait(timeout: 10)
    }

    func push(_ image: String, _ name: String) throws {
        try system.run(
            """
            for attempt in 1 2 3 4 5 6 7 8 9 10; do
                skopeo copy -q --dest-tls-verify=false oci:\(image) docker://127.0.0.1:\(port)/\(name) && exit 0
                sleep 0.5
            done; exit 1
            """)
    }

    func reference(_ name: String) -> String { "docker://127.0.0.1:\(port)/\(name)" }
}

extension EndToEndBeside {
    @Suite(
        "Pulls from Debian's docker-registry", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: DockerRegistry.isPossible, "docker-registry, skopeo, umoci or curl is not installed"))
    struct Registries {
        private let name = "pull-" + UUID().uuidString.prefix(8).lowercased()

        private func inside(_ text: String) throws -> String {
            try Cloche.run("exec", "--environment", name, "--", "sh", "-c", text).output
        }

        @Test("an image is pulled, used, up to date, moved by its tag, and had again by its digest")
        func pull() throws {
            let registry = try DockerRegistry()
            defer { _ = try? Cloche.run("env", "rm", name, "--yes") }
            let made = try Cloche.run("env", "import", name, registry.reference("lab/small:one"))
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.errors.contains("127.0.0.1:\(registry.port)") && made.errors.contains("fetch layer 1 of 1"))
            #expect(try inside("cat /etc/mark") == "made\n")
            let shown = try Cloche.run("env", "show", name)
            let pinLine = try #require(shown.output.split(separator: "\n").first { $0.hasPrefix("pinned ") })
            let pin = String(try #require(pinLine.split(separator: " ").last))
            #expect(pin.hasPrefix(registry.reference("lab/small@sha256:")))

            let again = try Cloche.run("env", "import", name, registry.reference("lab/small:one"))
            #expect(again.status == 0 && again.errors.contains("is up to date: sha256:"), "\(again.errors)")
            #expect(!again.errors.contains("fetch layer"))

            try registry.system.run("umoci insert --image image:one root/etc/os-release /etc/moved")
            try registry.push("image:one", "lab/small:one")
            let moved = try Cloche.run("env", "import", name, registry.reference("lab/small:one"))
            #expect(moved.status == 0 && moved.errors.contains("fetch layer 2 of 2"), "\(moved.errors)")
            #expect(try inside("ls /etc/moved") == "/etc/moved\n")

            let first = try Cloche.run("env", "import", name, pin)
            #expect(first.status == 0, "\(first.errors)")
            #expect(try inside("ls /etc/moved; cat /etc/mark") == "made\n")
            let rebuilt = try Cloche.run("env", "build", name)
            #expect(
                rebuilt.status == 6 && rebuilt.errors.contains("cloche env import \(name) \(pin)"), "\(rebuilt.errors)")
        }

        @Test("docker's own types, a name that is not there, and one that is no name")
        func others() throws {
            let registry = try DockerRegistry()
            defer { _ = try? Cloche.run("env", "rm", name, "--yes") }
            try registry.system.run(
                """
                skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --format v2s2 \\
                    docker://127.0.0.1:\(registry.port)/lab/small:one docker://127.0.0.1:\(registry.port)/lab/docker:one
                """)
            let made = try Cloche.run("env", "import", name, registry.reference("lab/docker:one"))
            #expect(made.status == 0, "\(made.errors)")
            #expect(try inside("cat /etc/mark") == "made\n")
            let missing = try Cloche.run("env", "import", name, registry.reference("lab/small:two"))
            #expect(missing.status == 5 && missing.errors.contains("MANIFEST_UNKNOWN"), "\(missing.errors)")
            let wrong = try Cloche.run("env", "import", name, registry.reference("Lab/../small"))
            #expect(wrong.status == 64, "\(wrong.errors)")
            let tagged = try Cloche.run("env", "import", name, registry.reference("lab/small"), "--tag", "one")
            #expect(tagged.status == 64, "\(tagged.errors)")
            let unknown = try Cloche.run("env", "import", name, "docker://registry.invalid/lab/small")
            #expect(unknown.status == 69 && unknown.errors.contains("has no address"), "\(unknown.errors)")
            let nobody = try Cloche.run("env", "import", name, "docker://127.0.0.1:1/lab/small")
            #expect(nobody.status == 69 && nobody.errors.contains("cannot be reached"), "\(nobody.errors)")
        }
    }
}
