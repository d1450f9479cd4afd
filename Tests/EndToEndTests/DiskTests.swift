import Foundation
import Testing

extension EndToEnd {
    @Suite("A full disk", .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"))
    struct FullDisk {
        /// Begins a script with a store at `$1` that has 64 MB, and the environments of the shared one, and a project at `$2`.
        private static let smallDisk = """
            set -e
            mount -t tmpfs -o size=64m disk "$1"
            cp "$CLOCHE_HOME/identity.json" "$1"
            mkdir "$1/environments"; mount --bind "$CLOCHE_HOME/environments" "$1/environments"
            export CLOCHE_HOME=$1
            cd "$2"

            """

        /// The store is on a small file system, in a mount namespace of the test's own.
        @Test("a step that fills the disk is ended while there is room to say so", .timeLimit(.minutes(2)))
        func project() throws {
            let directory = try TemporaryDirectory()
            let project = try TestProject([
                .init(
                    file: "one.py",
                    text: """
                        import time
                        block = b"1" * (1 << 20)
                        with open("filling", "wb") as file:
                            while True:
                                file.write(block); file.flush(); time.sleep(0.004)
                        """)
            ])
            let script = """
                set -e
                mount -t tmpfs -o size=160m disk "$1"
                cp "$CLOCHE_HOME/identity.json" "$1"
                mkdir "$1/environments"; mount --bind "$CLOCHE_HOME/environments" "$1/environments"
                export CLOCHE_HOME=$1
                cd "$2"
                "$3" run main.orchest --name full || true
                "$3" show full/0 --json
                """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, try Cloche.program()],
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 100)
            let shown = CommandResult(
                status: 0,
                output: String(result.output[(result.output.range(of: "{")?.lowerBound ?? result.output.endIndex)...]),
                errors: "")
            #expect(
                try shown.value("run", "verdict", "cause") as? String == "disk-full",
                "\(result.output) \(result.errors)")
            #expect((try shown.value("run", "verdict", "remedy") as? String)?.contains("make room") == true)
        }

        @Test("packages that are kept can be removed on a full disk", .timeLimit(.minutes(1)))
        func packages() throws {
            let directory = try TemporaryDirectory()
            let digest = String(repeating: "a", count: 64)
            let script = """
                set -e
                mount -t tmpfs -o size=2m disk "$1"
                export CLOCHE_HOME=$1
                mkdir -p "$1"/environments/packages/archives
                echo "\(digest) 100000 1 pool/a_1_all.deb" >"$1"/environments/packages/index
                head -c 100000 /dev/zero >"$1"/environments/packages/archives/\(digest)
                "$2" snapshot ls --json >/dev/null
                dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true
                "$2" env rm --packages
                "$2" snapshot ls --json
                """
            let result = try StartedCommand(
                "/usr/bin/unshare", ["-m", "bash", "-c", script, "bash", directory.path, try Cloche.program()],
                environment: ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 60)
            #expect(result.status == 0 && result.errors.contains("removed 1 package"), "\(result.errors)")
        }

        @Test(
            "a client of a service whose disk has no room to spare hears so, and so does its log",
            .timeLimit(.minutes(1)))
        func service() throws {
            let directory = try TemporaryDirectory()
            let project = try TestProject([.init(file: "one.sh", text: "true\n")])
            let script =
                Self.smallDisk + """
                    chmod 700 "$1"
                    "$3" serve --share --socket "$1/socket" 2>"$1/log" & service=$!
                    for n in $(seq 100); do [ -S "$1/socket" ] && break; sleep 0.1; done
                    set +e
                    CLOCHE_SERVICE="$1/socket" "$3" run main.orchest; echo "status $?"
                    kill $service; wait $service
                    cat "$1/log"
                    echo "left: $(ls "$1/incoming" | wc -l)"
                    """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, try Cloche.program()],
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 50)
            #expect(
                result.errors.contains(
                    "error: take the project: the service's disk has no more bytes than it keeps free\nhint: "),
                "\(result.errors)")
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines.first == "status 6" && lines.last == "left: 0", "\(result.output)")
            #expect(
                lines.contains {
                    $0.hasSuffix(
                        "problem: the user 0 cannot be served: take the project: the service's "
                            + "disk has no more bytes than it keeps free")
                }, "\(result.output)")
        }

        @Test("jobs can be listed on a full disk, and what needs room says so", .timeLimit(.minutes(2)))
        func listing() throws {
            let directory = try TemporaryDirectory()
            let project = try TestProject([.init(file: "one.sh", text: "sleep 60\n")])
            // The run is killed with all that would tell of it, so that whoever looks next has something to write.
            let script =
                Self.smallDisk + """
                    "$3" run main.orchest --name cut >/dev/null 2>&1 & run=$!
                    for n in $(seq 100); do ls "$1"/runs/*/0/attempts/1/logs/* >/dev/null 2>&1 && break; sleep 0.1; done
                    # The whole family of the command at once.
                    family() { for child in $(cat /proc/$1/task/*/children); do family $child; done; echo $1; }
                    kill -9 $(family $run)
                    sleep 0.5
                    dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null || true
                    truncate -s -40k "$1/filler"
                    out=/dev/shm/"$4"
                    for command in ls "show cut" "job create main.orchest --name none"; do
                        set +e; "$3" $command >"$out" 2>&1; echo "$command: $? $(tr '\\n' ' ' < "$out")"; set -e
                    done
                    dd if=/dev/zero of="$1/more" bs=4k 2>/dev/null || true
                    for command in ls "job copy cut" "rm cut --yes"; do
                        set +e; "$3" $command >"$out" 2>&1; echo "full: $? $(tr '\\n' ' ' < "$out")"; set -e
                    done
                    rm "$1/filler" "$1/more" "$out"
                    "$3" ls --json | tr -d '\\n '
                    """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, try Cloche.program(), project.name],
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 100)
            let lines = result.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 7, "\(result.output) \(result.errors)")
            #expect(lines[0].hasPrefix("ls: 0 ") && lines[0].contains("cut"), "\(lines[0])")
            #expect(lines[1].hasPrefix("show cut: 0 "), "\(lines[1])")
            #expect(lines[2].hasPrefix("job create main.orchest --name none: 6 "), "\(lines[2])")
            #expect(lines[2].contains("make room on the disk"), "\(lines[2])")
            #expect(lines[3].hasPrefix("full: 0 ") && lines[3].contains("cut"), "\(lines[3])")
            #expect(lines[4].hasPrefix("full: 6 ") && lines[4].contains("make room on the disk"), "\(lines[4])")
            // Removing a job makes the room that it takes.
            #expect(lines[5].hasPrefix("full: 0 removed job cut"), "\(lines[5])")
            #expect(lines[6] == #"{"jobs":[],"total":0}"#, "\(lines[6])")
        }

        /// Commands that only look.
        private static let looks = [
            "ls", "show one", "show one/0", "logs one/0", "compare one", "diff one/0", "watch one",
            "pipeline graph one/0",
            "system df", "snapshot ls", "snapshot show one", "snapshot verify one", "snapshot diff one one",
            "snapshot prune --dry-run", "env ls", "env show python", "env verify python", "env build --check python",
            "secret ls", "notify ls", "notify log", "policy ls", "policy log", "job plan main.orchest",
        ]

        @Test("whoever only looks needs no room, nor anything that the last command left", .timeLimit(.minutes(3)))
        func looking() throws {
            let directory = try TemporaryDirectory()
            let project = try TestProject([.init(file: "one.sh", text: "echo so it was\n")])
            // The last command takes away what processes share of the database; `none` has no room for it to be made again.
            let script =
                Self.smallDisk + """
                    "$3" run main.orchest --name one >/dev/null 2>&1
                    "$3" env ls >/dev/null
                    [ ! -e "$1/cloche.db-shm" ]
                    dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true
                    dd if=/dev/zero of="$1/more" bs=1k 2>/dev/null || true
                    out=/dev/shm/"$4"
                    while read -r command; do
                        set +e; "$3" $command >"$out" 2>&1 </dev/null; echo "$command: $? $(tr '\\n' ' ' < "$out")"; set -e
                    done <<EOF
                    \(Self.looks.joined(separator: "\n"))
                    EOF
                    set +e; "$3" job create main.orchest --name none >"$out" 2>&1; echo "create: $?"; set -e
                    "$3" rm one --yes >"$out" 2>&1; echo "rm: $?"
                    rm "$1/filler" "$1/more" "$out"
                    "$3" ls --json | tr -d '\\n '
                    """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, try Cloche.program(), project.name],
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 150)
            let lines = result.output.split(separator: "\n").map(String.init)
            try #require(lines.count == Self.looks.count + 3, "\(result.output) \(result.errors)")
            for (look, line) in zip(Self.looks, lines) { #expect(line.hasPrefix("\(look): 0 "), "\(line)") }
            #expect(lines[0].contains("one") && lines[3].contains("so it was"), "\(lines[0]) \(lines[3])")
            #expect(lines.suffix(3) == ["create: 6", "rm: 0", #"{"jobs":[],"total":0}"#], "\(lines.suffix(3))")
        }

        @Test("a dry run tells to the byte what prune frees, on a full disk too, and what a job refers to stays")
        func prune() throws {
            let directory = try TemporaryDirectory()
            let project = try TestProject([.init(file: "one.sh", text: "true\n")])
            let script =
                Self.smallDisk + """
                    "$3" job create main.orchest --name kept --draft >/dev/null
                    for round in 1 2 3; do
                        head -c 3000000 /dev/urandom > "change$round"; head -c 1000 /dev/urandom > small
                        "$3" snapshot create . >/dev/null
                    done
                    dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true
                    size() { du --summarize --block-size=1 "$1/snapshots" | cut -f1; }
                    before=$(size "$1")
                    "$3" snapshot prune --dry-run --json > /dev/shm/"$4".planned
                    unchanged=$(size "$1")
                    "$3" snapshot prune --yes --json > /dev/shm/"$4".done
                    after=$(size "$1")
                    rm "$1/filler"
                    printf '{"freed": %d, "changed": %d, "planned": %s, "done": %s, "sound": "%s"}' $((before - after)) \
                        $((before - unchanged)) "$(cat /dev/shm/"$4".planned)" "$(cat /dev/shm/"$4".done)" \
                        "$("$3" snapshot verify kept | cut -d' ' -f2)"
                    rm /dev/shm/"$4".*
                    """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, try Cloche.program(), project.name],
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
            ).wait(timeout: 100)
            let freed = try #require(try result.value("freed") as? Int, "\(result.errors)")
            #expect(freed > 9_000_000, "\(result.output)")
            #expect(try result.value("planned", "bytes") as? Int == freed, "\(result.output)")
            #expect(try result.value("done", "bytes") as? Int == freed)
            #expect(try result.value("changed") as? Int == 0)
            #expect((try result.value("planned", "snapshots") as? [String])?.count == 3)
            #expect(try result.value("sound") as? String == "sound")
        }
    }
}
