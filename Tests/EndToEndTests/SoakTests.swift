import Foundation
import Testing

extension EndToEnd {
    /// Many sandboxes leave the host as it was.
    ///
    /// By default 150, then 60 of which eight run at a time; `CLOCHE_TEST_SWEEP=full` runs 1000, sixteen at a time.
    @Suite("Soak", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Soak {
        private static let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"

        @Test("many sandboxes, one after another, leave nothing behind", .timeLimit(.minutes(20)))
        func oneAfterAnother() throws {
            try leavesNothing(count: Self.isFull ? 1000 : 150, atATime: 1)
        }

        @Test("many sandboxes at a time leave nothing behind", .timeLimit(.minutes(20)))
        func atATime() throws {
            try leavesNothing(count: Self.isFull ? 1000 : 60, atATime: Self.isFull ? 16 : 8)
        }

        private func leavesNothing(count: Int, atATime width: Int) throws {
            // Whatever is made once for all is made before the first look.
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            let before = try HostFootprint()
            var failures: [String] = []
            for start in stride(from: 0, to: count, by: width) {
                let commands = try (start..<min(start + width, count)).map { number in
                    (number, try Cloche.start(["exec", "--", "sh", "-c", "echo \(number) > /tmp/own; cat /tmp/own"]))
                }
                for (number, command) in commands {
                    let result = command.wait(timeout: 60)
                    if result.status != 0 || result.output != "\(number)\n" || !result.errors.isEmpty {
                        failures.append("\(number): \(result.status) `\(result.output)` \(result.errors)")
                    }
                }
            }
            #expect(failures.isEmpty, "\(failures.prefix(5))")
            try before.expectNothingLeft()
        }
    }
}

/// What of Cloche is there on this host at a time: the tests compare two of them.
struct HostFootprint {
    /// Processes of the tests' store, and those below them.
    private let processes: Set<pid_t>
    private let mounts: Set<String>
    private let controlGroups: Set<String>
    private let networkNamespaces: Set<String>
    private let storeFiles: Set<String>
    private let temporaryFiles: Set<String>

    init() throws {
        let home = try Cloche.home.get()
        processes = Self.processes(of: home)
        mounts = ProcessTable.mounts
        controlGroups = Self.controlGroups(of: processes)
        networkNamespaces = Self.networkNamespaces(of: processes)
        // Snapshots stay until `system prune`, for other jobs of the same project.
        storeFiles = Self.names(in: home, ["sandboxes", "scratch", "runs", "jobs"])
        temporaryFiles = Set(
            ["/tmp", "/run", "/dev/shm"].flatMap { directory in
                ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
                    .filter { $0.contains("cloche") && !$0.hasPrefix("cloche-e2e-") }.map { directory + "/" + $0 }
            })
    }

    /// Fails the test for each thing that is there now and was not there before; a plain command may clear away first.
    ///
    /// `ignoring` is the beginning of names of things that may be there.
    func expectNothingLeft(ignoring: String? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let plain = try Cloche.run("exec", "--", "true")
        #expect(plain.status == 0 && plain.errors.isEmpty, "\(plain.errors)", sourceLocation: sourceLocation)
        var left: [String] = []
        _ = try eventually(within: 10) {
            left = try HostFootprint().remainder(beyond: self).filter { name in
                ignoring.map { !name.hasPrefix($0) } ?? true
            }
            return left.isEmpty
        }
        #expect(left.isEmpty, sourceLocation: sourceLocation)
    }

    private func remainder(beyond other: HostFootprint) -> [String] {
        processes.subtracting(other.processes).map { "process \($0)" }
            + mounts.subtracting(other.mounts).map { "mount \($0)" }
            + controlGroups.subtracting(other.controlGroups).map { "control group \($0)" }
            + networkNamespaces.subtracting(other.networkNamespaces).map { "network namespace \($0)" }
            + storeFiles.subtracting(other.storeFiles).map { "file of the store \($0)" }
            + temporaryFiles.subtracting(other.temporaryFiles).map { "file \($0)" }
    }

    /// The control groups of Cloche that exist now, as far as nobody else uses them.
    static var controlGroups: Set<String> {
        get throws { controlGroups(of: processes(of: try Cloche.home.get())) }
    }

    /// Groups with our names, wherever in the hierarchies this process may be, without those of other stores' commands.
    private static func controlGroups(of processes: Set<pid_t>) -> Set<String> {
        var found: Set<String> = []
        let lines = (try? String(contentsOf: URL(filePath: "/proc/self/cgroup"), encoding: .utf8)) ?? ""
        for line in lines.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else { continue }
            let names = fields[1].isEmpty ? ["", "/unified"] : ["/" + fields[1].replacing("name=", with: "")]
            for name in names {
                let root = "/sys/fs/cgroup" + name
                for directory in fields[2] == "/" ? [root] : [root, root + fields[2]] {
                    let entries = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                    let groups = entries.filter { $0.hasPrefix("cloche") }.map { directory + "/" + $0 }
                    found.formUnion(groups.filter { !isInUse($0, by: processes) })
                }
            }
        }
        return found
    }

    /// Whether a group holds processes that are not ours, or is tried out by one.
    private static func isInUse(_ group: String, by processes: Set<pid_t>) -> Bool {
        let members = ["", "/steps", "/supervisor"].flatMap { leaf in
            (bytes(group + leaf + "/cgroup.procs") ?? []).split(separator: UInt8(ascii: "\n"))
                .compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
        }
        let trial = group.split(separator: "/").last?.split(separator: "-").dropFirst(2).first.flatMap { pid_t($0) }
        let isTried = trial.map { !processes.contains($0) && ProcessTable.isAlive($0) } ?? false
        return isTried || !Set(members).subtracting(processes).isEmpty
    }

    private static func processes(of home: String) -> Set<pid_t> {
        let numbers = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
        let own = numbers.filter { number in
            guard number != getpid(), let variables = bytes("/proc/\(number)/environ") else { return false }
            return variables.split(separator: 0).contains { $0.elementsEqual("CLOCHE_HOME=\(home)".utf8) }
        }
        // Process 1 of a sandbox has no variables; one that lost its supervisor is the host's process 1's child.
        let lost = ProcessTable.descendants(of: 1).filter { number, text in
            text.hasPrefix("memfd:cloche") && parent(number) == 1
        }
        return Set(own + own.flatMap { ProcessTable.descendants(of: $0).keys } + lost.keys)
            .filter { ProcessTable.isAlive($0) }
    }

    private static func networkNamespaces(of processes: Set<pid_t>) -> Set<String> {
        Set(processes.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/ns/net") })
    }

    private static func names(in home: String, _ directories: [String]) -> Set<String> {
        Set(
            directories.flatMap { directory in
                ((try? FileManager.default.contentsOfDirectory(atPath: home + "/" + directory)) ?? [])
                    .map { directory + "/" + $0 }
            })
    }

    private static func parent(_ process: pid_t) -> pid_t? {
        guard let status = bytes("/proc/\(process)/stat"),
            let end = status.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let words = status[end...].split(separator: UInt8(ascii: " "))
        return words.count > 2 ? pid_t(String(decoding: words[2], as: UTF8.self)) : nil
    }

    private static func bytes(_ path: String) -> [UInt8]? {
        guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
        return (try? handle.readToEnd()).map { Array($0) }
    }
}
