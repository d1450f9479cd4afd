import Foundation
import Testing

extension EndToEnd {
    /// The power fails at many instants: a store lies on a disk whose writes and flushes are recorded, and what a disk
    /// with a cache may have of them is mounted and asked.
    ///
    /// By default 24 cuts; `CLOCHE_TEST_SWEEP=full` makes 300, with another choice of writes at each test.
    @Suite(
        "Power loss", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "only root can mount disks"),
        .enabled(if: TestDisks.arePossible, "needs /dev/fuse, a loop device and mkfs.ext4"))
    struct PowerLoss {
        private static let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"

        private static let seed = """
            seed=$(sed -n 's/.*"seed": \\([0-9]*\\).*/\\1/p' /pipeline.json | head -1)
            echo "seed $seed" | tee out.txt
            [ "$seed" != 2 ] || exit 5
            """

        @Test(
            "nothing that was reported is lost, no state is false, and what was left goes on", .timeLimit(.minutes(15)))
        func cuts() throws {
            let project = try TestProject(
                [.init(file: "seed.sh", text: Self.seed), .init(file: "after.sh", text: "cat out.txt\n", after: [0])],
                parameters: ["seed": 0], grid: ["pipeline": ["seed": [0, 1, 2, 3]]])
            let work = try TemporaryDirectory()
            let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/power_loss.py").path
            let choice = Self.isFull ? Int.random(in: 0..<1_000_000) : 1
            let program = try Cloche.program(), home = try Cloche.home.get()
            let driver = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "--propagation", "private", "--", "python3", script, program, home, project.path, work.path]
                    + [String(Self.isFull ? 300 : 24), String(choice)])
            let result = driver.wait(timeout: Self.isFull ? 850 : 240)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try result.value("problems") as? [String] == [], "with the choice \(choice)")
            #expect(try result.value("facts") as? Int ?? 0 >= 20)
        }
    }
}

/// Disks of files, with file systems that can be mounted.
private enum TestDisks {
    static let arePossible = ["/dev/fuse", "/dev/loop-control", "/usr/sbin/mkfs.ext4"].allSatisfy {
        FileManager.default.fileExists(atPath: $0)
    }
}
