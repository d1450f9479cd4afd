import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "Clients on a filtered network",
        .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/python3"), "the servers need python3"))
    struct NetworkClients {
        private let network: TestNetwork

        init() throws { network = try TestNetwork() }

        private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        private static let libraries = "/usr/lib/x86_64-linux-gnu"

        /// Runs a shell script in which `host NAME` is a program of this host with its libraries.
        private func script(_ text: String, _ allowed: [String], _ programs: String...) throws -> CommandResult {
            let options = programs.flatMap { ["--bind-ro", "\($0):/opt/host/\($0.split(separator: "/").last ?? "")"] }
            let policy = try TestNetwork.policy(allowed)
            let prelude = "host() { name=$1; shift; LD_LIBRARY_PATH=/opt/host/lib /opt/host/$name \"$@\"; }; cd /tmp\n"
            return try network.cloche(
                ["exec", "--policy", policy.name, "--bind-ro", "\(Self.libraries):/opt/host/lib"] + options
                    + ["--", "bash", "-c", prelude + text])
        }

        @Test("curl, every way", .enabled(if: exists("/usr/bin/curl"), "there is no curl"))
        func curl() throws {
            let result = try script(
                """
                set -x
                host curl -sS http://data.example.org/plain
                host curl -sS -p http://data.example.org/tunnel
                host curl -sS -x socks5h://127.0.0.1:3128 http://data.example.org/socks
                host curl -sS --noproxy '*' http://data.example.org/direct
                host curl -sS http://data.example.org/a --next http://data.example.org/b
                host curl -sS -H 'Transfer-Encoding: chunked' -d hello http://data.example.org/chunks
                host curl -sS -o /dev/null -w '%{size_download}\\n' http://data.example.org/big
                host curl -sS -o /dev/null -w '%{http_code}\\n' http://evil.example.net/
                host curl -sS -o /dev/null -w '%{http_connect}\\n' https://evil.example.net/
                host curl -sS -x socks5h://127.0.0.1:3128 http://evil.example.net/; echo $?
                """, ["data.example.org:80"], "/usr/bin/curl")
            let expected =
                ["plain", "tunnel", "socks", "direct", "a", "b"].map { "GET /\($0) host=data.example.org body=0" }
                + ["POST /chunks host=data.example.org body=5", "67108864", "403", "403", "97"]
            #expect(
                result.output.split(separator: "\n").map(String.init) == expected, "\(result.output)\n\(result.errors)")
        }

        @Test("pip and requests, by variables")
        func pip() throws {
            let result = try script(
                """
                pip install --quiet --index-url http://data.example.org/files/simple --trusted-host data.example.org tiny \
                    && python3 -c 'import tiny; print(tiny.value)'
                python3 - <<'PY'
                from pip._vendor import requests
                with requests.Session() as session:
                    for path in ("/one", "/two"): print(session.get("http://data.example.org" + path).text, end="")
                    print(session.post("http://data.example.org/many", data=iter([b"a", b"b"])).text, end="")
                    print(session.get("http://evil.example.net/").status_code)
                    try: session.get("https://evil.example.net/")
                    except requests.exceptions.ProxyError as error: print("403" in str(error))
                PY
                """, ["data.example.org:80"])
            #expect(
                result.output.split(separator: "\n").map(String.init) == [
                    "42", "GET /one host=data.example.org body=0", "GET /two host=data.example.org body=0",
                    "POST /many host=data.example.org body=2", "403", "True",
                ], "\(result.output)\n\(result.errors)")
        }

        @Test(
            "git clones by HTTP", .enabled(if: exists("/usr/bin/git") && exists("/usr/lib/git-core"), "there is no git")
        )
        func git() throws {
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
                export GIT_EXEC_PATH=/opt/host/git-core LD_LIBRARY_PATH=/opt/host/lib
                /opt/host/git clone -q http://data.example.org/files/repository.git && cat repository/file
                /opt/host/git clone -q http://evil.example.net/repository.git other 2>&1 | grep -o 403
                """, ["data.example.org:80"], "/usr/bin/git", "/usr/lib/git-core")
            #expect(result.output == "hello\n403\n", "\(result.output)\n\(result.errors)")
        }

        @Test(
            "node, which knows of no proxy",
            .enabled(if: exists("/usr/bin/node"), "there is no node in /usr/bin"))
        func node() throws {
            let result = try script(
                """
                host node -e '
                fetch("http://data.example.org/fetch").then(answer => answer.text()).then(text => {
                    process.stdout.write(text);
                    require("http").get("http://data.example.org:8080/get", answer => answer.pipe(process.stdout));
                    fetch("http://evil.example.net/").catch(error => console.log(error.cause.code));
                })'
                """, ["data.example.org:80", "data.example.org:8080"], "/usr/bin/node")
            #expect(
                Set(result.output.split(separator: "\n").map(String.init)) == [
                    "GET /fetch host=data.example.org body=0", "GET /get host=data.example.org:8080 body=0",
                    "ENOTFOUND",
                ], "\(result.output)\n\(result.errors)")
        }
    }
}
