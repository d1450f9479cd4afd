import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "HTTPS on a filtered network",
        .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"),
        .enabled(
            if: ["/usr/bin/python3", "/usr/bin/openssl"].allSatisfy { FileManager.default.fileExists(atPath: $0) },
            "the servers need python3 and openssl"))
    struct SecureNetwork {
        private let network: TestNetwork
        private static let allowed = ["data.example.org:443"]

        init() throws { network = try TestNetwork(tls: true) }

        private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        private static let libraries = "/usr/lib/x86_64-linux-gnu"

        /// Runs a shell script in which `/authority.pem` is the authority's certificate, and `/opt/host` has programs of
        /// this host.
        private func script(_ text: String, _ programs: String...) throws -> CommandResult {
            let policy = try TestNetwork.policy(Self.allowed)
            let options = programs.flatMap { ["--bind-ro", "\($0):/opt/host/\($0.split(separator: "/").last ?? "")"] }
            return try network.cloche(
                [
                    "exec", "--policy", policy.name, "--bind-ro", "\(Self.libraries):/opt/host/lib", "--bind-ro",
                    "\(network.directory.path)/authority.pem:/authority.pem",
                ] + options + ["--", "bash", "-c", "cd /tmp\n" + text])
        }

        private func expect(_ result: CommandResult, _ lines: [String]) {
            #expect(
                result.output.split(separator: "\n").map(String.init) == lines, "\(result.output)\n\(result.errors)")
        }

        private static func answer(_ path: String) -> String { "GET /\(path) host=data.example.org body=0" }

        @Test("curl, by CONNECT, by SOCKS and by the name's address", .enabled(if: exists("/usr/bin/curl"), "no curl"))
        func curl() throws {
            let result = try script(
                """
                host() { LD_LIBRARY_PATH=/opt/host/lib /opt/host/curl -sS --cacert /authority.pem "$@"; }
                host https://data.example.org/connect
                host -x socks5h://127.0.0.1:3128 https://data.example.org/socks
                host --noproxy '*' https://data.example.org/direct
                host -w '%{http_connect} %{exitcode}\\n' https://evil.example.net/ 2>/dev/null
                LD_LIBRARY_PATH=/opt/host/lib /opt/host/curl -s https://data.example.org/
                case $? in 60|77) echo "no authority";; esac
                """, "/usr/bin/curl")
            expect(
                result, ["connect", "socks", "direct"].map(Self.answer) + ["403 56", "no authority"])
        }

        @Test("Python and requests, by CONNECT and by the name's address")
        func python() throws {
            let result = try script(
                """
                export SSL_CERT_FILE=/authority.pem REQUESTS_CA_BUNDLE=/authority.pem
                python3 - <<'PY'
                import urllib.request, urllib.error
                from pip._vendor import requests
                url = "https://data.example.org/"
                print(urllib.request.urlopen(url + "connect").read().decode(), end="")
                direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                print(direct.open(url + "direct").read().decode(), end="")
                with requests.Session() as session:
                    print(session.get(url + "requests", verify="/authority.pem").text, end="")
                    session.trust_env = False
                    print(session.get(url + "plain", verify="/authority.pem").text, end="")
                try: requests.get(url + "unknown", verify="/etc/hosts")
                except OSError as error: print("no authority")
                PY
                """)
            expect(result, ["connect", "direct", "requests", "plain"].map(Self.answer) + ["no authority"])
        }

        @Test(
            "pip, git and node",
            .enabled(
                if: exists("/usr/bin/node") && exists("/usr/bin/git") && exists("/usr/lib/git-core"),
                "no git, or no node"))
        func others() throws {
            let place = network.directory.path
            let make = """
                cd "$0" && git init -q source && cd source && echo hello > file && git add file
                git -c user.name=x -c user.email=x@localhost commit -q -m one
                git clone -q --bare . ../www/files/repository.git && git -C ../www/files/repository.git update-server-info
                """
            #expect(
                try StartedCommand("/bin/sh", ["-c", make, place], environment: ["HOME": place]).wait().status == 0)
            let result = try script(
                """
                pip install --quiet --cert /authority.pem --index-url https://data.example.org/files/simple tiny \\
                    && python3 -c 'import tiny; print(tiny.value)'
                export LD_LIBRARY_PATH=/opt/host/lib GIT_EXEC_PATH=/opt/host/git-core GIT_SSL_CAINFO=/authority.pem
                /opt/host/git clone -q https://data.example.org/files/repository.git && cat repository/file
                NODE_EXTRA_CA_CERTS=/authority.pem /opt/host/node -e '
                fetch("https://data.example.org/fetch").then(answer => answer.text()).then(text => process.stdout.write(text))'
                """, "/usr/bin/git", "/usr/lib/git-core", "/usr/bin/node")
            expect(result, ["42", "hello", Self.answer("fetch")])
        }
    }
}
