import Foundation
import Testing

extension EndToEnd {
    @Suite("A full disk", .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"))
    struct FullDisk {
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
    }
}
