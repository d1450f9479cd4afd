package import Isolation

/// One key of policy documents: what it means, what it may be, and what enforces it.
///
/// The one place that tells of keys to people and editors; the reader is compared with it by a test.
package struct PolicyKey: Sendable, Hashable, Encodable {
    /// What may stand under a key.
    package enum Form: Sendable, Hashable {
        /// One of these words.
        case words([String])
        case policyName
        /// Names and ids of users, and of groups behind an `@`.
        case users
        case limit(LimitName)
        /// System calls, and groups of refusals where `groups` says so.
        case calls(groups: Bool)
        /// Where connections may go.
        case endpoints
        /// Kinds of devices, or `none`.
        case devices
        /// A map of the keys below it, or, where `short` says so, the value of that one of them.
        case map(short: String?)
    }

    /// The key with points between the levels.
    package var path: String
    package var form: Form
    /// What it decides.
    package var meaning: String
    /// What holds where neither the document nor what it extends says anything.
    package var standard: String
    /// What enforces it.
    package var enforcement: String
    /// The first kernel that can enforce it; the oldest that is supported is 6.1.
    package var since: String

    /// What may be written, for people.
    package var values: String {
        switch form {
        case .words(let words): words.joined(separator: " | ")
        case .policyName: "the name of a policy"
        case .users: "a list of users and @groups of the host, by name or id"
        case .limit(let name):
            switch name {
            case .memory, .scratch, .project, .output: "a size with its unit, such as 512MiB | unlimited"
            case .pids, .openFiles: "a whole number | unlimited"
            case .cpus: "a number, such as 1.5 | unlimited"
            case .wallTime, .cpuTime: "a time, such as 90s or 1h30m | unlimited"
            }
        case .calls(let groups): groups ? "a list of system calls and groups of refusals" : "a list of system calls"
        case .endpoints: "a list of HOST:PORT, \"*.DOMAIN:PORT\" and NETWORK/PREFIX:PORT"
        case .devices:
            "a list of " + DeviceAccess.Family.allCases.map(\.rawValue).joined(separator: ", ") + " | none"
        case .map(let short): "a map" + (short.map { ", or the value of \($0)" } ?? "")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case path = "key"
        case values, meaning
        case standard = "default"
        case enforcement, since
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(path, forKey: .path)
        try container.encode(values, forKey: .values)
        try container.encode(meaning, forKey: .meaning)
        try container.encode(standard, forKey: .standard)
        try container.encode(enforcement, forKey: .enforcement)
        try container.encode(since, forKey: .since)
    }

    /// Every key, in the order of a document.
    package static let all: [PolicyKey] =
        [
            PolicyKey(
                path: "extends", form: .policyName, meaning: "the policy that this one changes", standard: "default",
                enforcement: "read once, when a job is made", since: "6.1"),
            PolicyKey(
                path: "users", form: .users, meaning: "who may use it, in a service that several users share",
                standard: "everybody", enforcement: "the service, by SO_PEERCRED", since: "6.1"),
            PolicyKey(
                path: "network", form: .map(short: "mode"), meaning: "what can be reached", standard: "none",
                enforcement: "a network namespace", since: "6.1"),
            PolicyKey(
                path: "network.mode", form: .words(["none", "filtered", "outbound", "host"]),
                meaning: "nothing, what `allow` names, the public network by a stack of its own, the host's network",
                standard: "none", enforcement: "a proxy outside for filtered; routes and pasta for outbound",
                since: "6.1"),
            PolicyKey(
                path: "network.allow", form: .endpoints, meaning: "where a filtered network leads", standard: "none",
                enforcement: "a proxy, which looks names up and checks their addresses", since: "6.1"),
            PolicyKey(
                path: "data", form: .map(short: "access"), meaning: "what is shown at /data", standard: "rw, shared",
                enforcement: "a mount, or none", since: "6.1"),
            PolicyKey(
                path: "data.access", form: .words(["rw", "ro", "none"]), meaning: "whether it can be changed",
                standard: "rw", enforcement: "a read-only mount; no sockets in it by Landlock",
                since: "6.1 (Landlock 5.19)"),
            PolicyKey(
                path: "data.scope", form: .words(["shared", "project", "job"]), meaning: "which runs see the same",
                standard: "shared", enforcement: "a directory for each", since: "6.1"),
            PolicyKey(
                path: "identity", form: .words(["any", "range"]),
                meaning: "whether it also runs where supervisor and steps share the only id that there is",
                standard: "any", enforcement: "refused before anything starts", since: "6.1"),
            PolicyKey(
                path: "devices", form: .map(short: "allow"), meaning: "devices of graphics processors that it gets",
                standard: "none", enforcement: "nodes in a /dev of its own", since: "6.1"),
            PolicyKey(
                path: "devices.allow", form: .devices,
                meaning: "their drivers: NVIDIA's with its libraries, AMD's for computing, render nodes of any",
                standard: "none", enforcement: "nodes are bound by descriptors whose numbers were checked",
                since: "6.1"),
            PolicyKey(
                path: "devices.need", form: .words(["all", "any", "none"]),
                meaning: "which of them the host must have so that anything runs", standard: "all",
                enforcement: "refused before anything starts", since: "6.1"),
            PolicyKey(
                path: "limits", form: .map(short: nil), meaning: "what a run may use at most",
                standard: "those of `default`", enforcement: "see each", since: "6.1"),
        ] + LimitName.allCases.flatMap(limit) + [
            PolicyKey(
                path: "seccomp", form: .map(short: nil), meaning: "system calls beside those that the base allows",
                standard: "those of `default`", enforcement: "a seccomp filter, an allow-list", since: "6.1"),
            PolicyKey(
                path: "seccomp.allow", form: .calls(groups: true), meaning: "calls, or reasons for refusals, to open",
                standard: "none", enforcement: "a seccomp filter", since: "6.1"),
            PolicyKey(
                path: "seccomp.deny", form: .calls(groups: false),
                meaning: "calls to refuse, with EPERM where the base allows them", standard: "none",
                enforcement: "a seccomp filter", since: "6.1"),
            PolicyKey(
                path: "seccomp.only", form: .calls(groups: false),
                meaning: "the only calls that may be made, of those that are allowed, beside those that every program "
                    + "needs; others get EPERM", standard: "all that are allowed", enforcement: "a seccomp filter",
                since: "6.1"),
        ]

    private static func limit(_ name: LimitName) -> [PolicyKey] {
        let (meaning, enforcement) = words(name)
        let key = "limits.\(name.rawValue)"
        let value = BuiltInPolicies.standard.limits.value(of: name).map(name.text(of:)) ?? "unlimited"
        let since = name == .scratch ? "6.6 (before, on the disk, held by the supervisor)" : "6.1"
        // What the supervisor measures is never held by the kernel.
        let choices = name == .wallTime || name == .output ? ["best-effort"] : ["hard", "best-effort"]
        return [
            PolicyKey(
                path: key, form: .map(short: "value"), meaning: meaning, standard: value, enforcement: enforcement,
                since: since),
            PolicyKey(
                path: key + ".value", form: .limit(name), meaning: meaning, standard: value, enforcement: enforcement,
                since: since),
            PolicyKey(
                path: key + ".enforce", form: .words(choices),
                meaning: "whether nothing may run where the kernel does not hold it", standard: "best-effort",
                enforcement: "refused before anything starts", since: "6.1"),
        ]
    }

    private static func words(_ name: LimitName) -> (meaning: String, enforcement: String) {
        switch name {
        case .memory: ("memory of all steps together, files in memory included", "a control group, else a watchdog")
        case .pids: ("processes and threads of all steps together", "a control group, else a resource limit")
        case .cpus: ("processors' worth of time", "a control group, else nothing")
        case .wallTime: ("time on the clock for each step", "the supervisor")
        case .cpuTime: ("processor time of each step", "a resource limit and the supervisor")
        case .openFiles: ("open files of each process", "a resource limit")
        case .scratch: ("room for changes that are thrown away, /tmp included", "the size of a tmpfs")
        case .project:
            (
                "room on the disk for what is written to the project, or to an environment that is built; and a file for each "
                    + "16KiB of it (what is written to /data has no limit)",
                "a project quota of the file system (ext4 and XFS, for root), else a watchdog"
            )
        case .output: ("bytes that each step may print", "the supervisor")
        }
    }
}
