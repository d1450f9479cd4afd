import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Packages that are kept for the next build", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct KeptPackages {
        /// A project whose environment runs a script on `python`.
        private struct Project {
            let directory: TemporaryDirectory

            init(_ script: String) throws {
                directory = try TemporaryDirectory()
                let uuid = UUID().uuidString.lowercased()
                try directory.write(
                    """
                    {"base_image": "python", "gpu_support": false, "language": "python", "name": "P", "uuid": "\(uuid)"}
                    """, to: ".orchest/environments/\(uuid)/properties.json")
                try directory.write(script, to: ".orchest/environments/\(uuid)/setup_script.sh")
            }

            func build() throws -> CommandResult {
                try Cloche.start(["env", "build", "."], in: directory.path).wait(timeout: 200)
            }
        }

        private static let install = """
            set -e
            apt-get update -q
            apt-get install -q -y --no-install-recommends hello
            hello

            """
        /// Where `hello` is among the packages of a suite.
        private static let place = " pool/main/h/hello/hello_"

        private static var packages: String { get throws { try Cloche.home.get() + "/environments/packages" } }

        /// The digests of kept packages by their paths.
        private static var index: [String: String] {
            get throws {
                let text = try String(contentsOfFile: packages + "/index", encoding: .utf8)
                return Dictionary(
                    text.split(separator: "\n").map { $0.split(separator: " ") }.map { (String($0[3]), String($0[0])) }
                ) { first, _ in first }
            }
        }

        private static func hello() throws -> String {
            let path = try #require(try index.keys.first { (" " + $0).hasPrefix(place) })
            return try packages + "/archives/" + #require(try index[path])
        }

        @Test(
            "what a script fetched serves the next build, a hostile script changes nothing of it, and one bit is noticed",
            .timeLimit(.minutes(8)))
        func hostile() throws {
            // In a store that an older version has made nothing is known of the suite.
            if !FileManager.default.fileExists(atPath: try Self.packages) {
                let base = try Cloche.start(["env", "build", "python", "--refresh"]).wait(timeout: 600)
                #expect(base.status == 0, "\(base.errors)")
            }
            let first = try Project(Self.install).build()
            #expect(first.status == 0 && first.errors.contains("Hello, world!"), "\(first.errors)")
            let before = try Self.index

            // It goes for what it is shown, and leaves packages of its own making under names that others will ask for.
            let poisoned = try Project(
                Self.install + """
                    kept=/run/cloche-packages
                    test -n "$(find $kept -name '*.deb')"
                    ! mount -o remount,rw $kept
                    ! umount $kept
                    ! touch $kept/new $kept/pool/new
                    find $kept -name '*.deb' | while read -r file; do
                        if echo poison >>"$file" || rm -f "$file" || chmod 777 "$file" || ln "$file" /link || mv "$file" /x
                        then echo "CHANGED $file"; fi
                    done
                    cd /var/cache/apt/archives
                    test -e hello_*.deb
                    for file in *.deb adduser_3.134_all.deb; do echo poison >"$file"; done
                    digest=$(sha256sum adduser_3.134_all.deb | cut -d ' ' -f 1)
                    echo "$digest 7 pool/main/a/adduser/adduser_3.134_all.deb" >/var/cache/apt/known
                    printf 'Package: adduser\\nVersion: 3.134\\nFilename: pool/main/a/adduser/adduser_3.134_all.deb\\n' \\
                        >"$(ls /var/lib/apt/lists/*Packages* | head -n 1)"
                    ln -s /etc/passwd link.deb
                    mkfifo pipe.deb
                    """
            ).build()
            #expect(poisoned.status == 0 && !poisoned.errors.contains("CHANGED"), "\(poisoned.errors)")
            #expect(poisoned.errors.contains("copy:/run/cloche-packages"), "\(poisoned.errors)")
            #expect(try Self.index == before)
            for digest in before.values {
                let sum = try StartedCommand("/usr/bin/sha256sum", [try Self.packages + "/archives/" + digest]).wait()
                #expect(sum.output.hasPrefix(digest))
            }

            let archive = try Self.hello()
            let file = try #require(FileHandle(forUpdatingAtPath: archive))
            try file.seek(toOffset: 30000)
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: 30000)
            try file.write(contentsOf: Data([byte ^ 1]))
            try file.close()
            let repaired = try Project(Self.install + "echo third\n").build()
            #expect(
                repaired.status == 0 && repaired.errors.contains("was damaged")
                    && repaired.errors.contains("Hello, world!"), "\(repaired.errors)")
            #expect(try Self.index == before)
            #expect(try Data(contentsOf: URL(filePath: archive)).dropFirst(30000).first == byte)
        }

        @Test(
            "what pip fetched serves the next build, and a hostile script changes nothing of it",
            .timeLimit(.minutes(8)))
        func pip() throws {
            let install = "set -e\npip install six==1.16.0\npython -c 'import six; print(six.__version__)'\n"
            let first = try Project(install).build()
            #expect(first.status == 0 && first.errors.contains("1.16.0"), "\(first.errors)")
            func files() throws -> [String: String] { try Self.index.filter { $0.key.hasPrefix("pip/") } }
            let before = try files()
            #expect(!before.isEmpty)

            let poisoned = try Project(
                install + """
                    kept=/run/cloche-packages/pip
                    test -n "$(find $kept -type f)"
                    find $kept /tmp/pip-cache/* -type f | while read -r file; do
                        if echo poison >>"$file" || rm -f "$file" || chmod 777 "$file" || ln "$file" /link || mv "$file" /x
                        then echo "CHANGED $file"; fi
                    done
                    ! touch $kept/new $kept/http/new
                    rm -f /tmp/pip-cache/http*
                    mkdir -p /tmp/pip-cache/http
                    log=/var/log/cloche-pip.log
                    sed -n 's,https://[^ ]*/six-1.16.0,https://169.254.169.254/six-0.0.1,gp' $log >/tmp/more
                    sed -n 's/Using cached six-1.16.0/Using cached six-0.0.1/p' $log >>/tmp/more
                    cat /tmp/more >>$log
                    """
            ).build()
            #expect(poisoned.status == 0 && !poisoned.errors.contains("CHANGED"), "\(poisoned.errors)")
            #expect(poisoned.errors.contains("Using cached six-1.16.0"), "\(poisoned.errors)")
            #expect(try files() == before)
            for digest in before.values {
                let sum = try StartedCommand("/usr/bin/sha256sum", [try Self.packages + "/archives/" + digest]).wait()
                #expect(sum.output.hasPrefix(digest))
            }
            let third = try Project(install + "echo third\n").build()
            #expect(third.status == 0 && third.errors.contains("Using cached six-1.16.0"), "\(third.errors)")
            #expect(third.errors.contains("1.16.0\n") && !third.errors.contains("Downloading"), "\(third.errors)")
        }

        @Test("the disk's use shows them, and they are removed without what else is there")
        func removal() throws {
            let home = try TemporaryDirectory()
            let digest = String(repeating: "a", count: 64)
            let place = "environments/packages/"
            try home.write("\(digest) 7 1 pool/a_1_all.deb\n", to: place + "index")
            try home.write("archive", to: place + "archives/" + digest)
            func cloche(_ arguments: String...) throws -> CommandResult {
                try Cloche.start(arguments, environment: ["CLOCHE_HOME": home.path]).wait()
            }
            let shown = try cloche("system", "df")
            #expect(shown.output.contains("environments/packages"), "\(shown.output)")
            #expect(try cloche("env", "rm", "python", "--packages").status == 64)
            let removed = try cloche("env", "rm", "--packages", "--json")
            #expect(removed.status == 0, "\(removed.errors)")
            #expect(try removed.value("packages") as? Int == 1 && removed.value("packages_bytes") as? Int == 7)
            #expect(!FileManager.default.fileExists(atPath: home.path + "/" + place + "archives/" + digest))
            #expect(try cloche("env", "rm", "--packages").errors.contains("removed 0 packages"))
        }
    }
}
