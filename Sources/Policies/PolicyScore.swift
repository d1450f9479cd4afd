package import Isolation

/// How much a policy leaves open, from 0 to 10, by the doors that are open.
///
/// A score compares policies; it is no probability. Each door has a weight, and the score is the sum, at most 10.
package struct PolicyScore: Sendable, Hashable, Encodable {
    /// Something that a policy leaves open.
    package struct Door: Sendable, Hashable, Encodable {
        /// The key, or the group of refusals, that would close it.
        package var key: String
        /// What it adds to the score.
        package var points: Double
        /// What is open, and to whom.
        package var opens: String
        /// What no longer works when it is closed.
        package var cost: String
        /// The line of a policy that closes it.
        package var closing: String
        /// The test of `cloche-prove` that tries this way out; nil where a question shows it.
        package var probe: String?
        /// A question of `policy test --can` that shows it.
        package var question: String?
    }

    /// The sum, with one digit after the point.
    package var score: Double
    /// What is open, the widest first.
    package var doors: [Door]

    /// Scores a policy.
    package init(_ policy: SandboxPolicy) {
        let doors =
            policy.networkDoors + policy.deviceDoors + Self.data(policy) + Self.identity(policy) + Self.limits(policy)
            + Self.calls(policy)
        self.doors = doors.sorted { ($1.points, $0.key) < ($0.points, $1.key) }
        // In tenths, which sums of binary fractions would miss.
        let tenths = doors.reduce(0) { $0 + Int(($1.points * 10).rounded()) }
        score = Double(min(tenths, 100)) / 10
    }

    private static func data(_ policy: SandboxPolicy) -> [Door] {
        guard policy.data != .none else { return [] }
        let (points, whose) =
            switch policy.dataScope {
            case .shared: (1.0, "of every run of the store")
            case .project: (0.6, "of the runs of its project")
            case .job: (0.3, "of the runs of its job")
            }
        let writes = policy.data == .readWrite
        return [
            Door(
                key: "data", points: writes ? points : points * 0.4,
                opens: (writes ? "it reads and changes" : "it reads") + " the data \(whose)",
                cost: writes ? "steps can leave nothing behind but in their project" : "steps have no common data",
                closing: writes ? "data: ro" : "data: none", probe: "network.shared-sockets", question: "read /data")
        ]
    }

    private static func identity(_ policy: SandboxPolicy) -> [Door] {
        var doors: [Door] = []
        if policy.identity == .namespaceRoot {
            doors.append(
                Door(
                    key: "identity", points: 0.8,
                    opens: "its commands are root of the sandbox, with capabilities over its files",
                    cost: "package managers cannot install anything", closing: "extends: default",
                    probe: "identity.user"))
        }
        if !policy.needsRange {
            doors.append(
                Door(
                    key: "identity", points: 0.4,
                    opens: "on a host with a single id, commands have that of their supervisor",
                    cost: "nothing runs for users without a range in /etc/subuid", closing: "identity: range",
                    probe: "init.user"))
        }
        return doors
    }

    private static let limitDoors: [LimitName: (points: Double, opens: String, cost: String, probe: String)] = [
        .memory: (0.4, "it can take the host's memory", "programs that need more are ended", "resource.memory"),
        .pids: (
            0.4, "it can start processes until the host has no more", "programs that need more fail",
            "resource.fork-bomb"
        ),
        .cpus: (0.2, "it can use every processor", "programs are slower", "resource.cpu"),
        .wallTime: (0.2, "it can run for ever", "programs that take longer are ended", "resource.cpu"),
        .cpuTime: (
            0.1, "it can compute for as long as it runs", "programs that compute longer are ended",
            "resource.cpu"
        ),
        .openFiles: (
            0.1, "it can open as many files as the host allows", "programs that open more fail",
            "resource.descriptors"
        ),
        .scratch: (
            0.2, "it can fill the memory, or the disk, with files", "programs that write more fail",
            "resource.tmpfs"
        ),
        .project: (
            0.2, "it can fill the disk that runs are kept on", "programs that write more are ended", "resource.tmpfs"
        ),
        .output: (0.2, "it can fill the disk with its log", "programs that print more are ended", "resource.log"),
    ]

    private static func limits(_ policy: SandboxPolicy) -> [Door] {
        LimitName.allCases.compactMap { name in
            guard let door = limitDoors[name] else { return nil }
            let key = "limits.\(name.rawValue)"
            guard policy.limits.value(of: name) != nil else {
                return Door(
                    key: key, points: door.points, opens: door.opens, cost: door.cost,
                    closing: "limits: {\(name.rawValue): …}", probe: door.probe)
            }
            guard name == .memory || name == .pids, !policy.hardLimits.contains(name) else { return nil }
            return Door(
                key: key, points: 0.1,
                opens: "where the kernel cannot hold it, the limit of \(name.rawValue) is exceeded",
                cost: "nothing runs on hosts without control groups",
                closing: "limits: {\(name.rawValue): {enforce: hard}}", probe: door.probe)
        }
    }
}
