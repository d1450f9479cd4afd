package import Isolation
import LinuxSystem
package import SandboxLaunch
import SystemPackage

/// What must be so before anything is started: what a policy demands of the host, and what a specification must be like.
package struct SandboxDemands {
    /// What a policy demands.
    private let policy: SandboxPolicy
    private let identity: IdentityMap

    /// Demands of a policy on runs with these ids.
    package init(_ policy: SandboxPolicy, identity: IdentityMap) {
        self.policy = policy
        self.identity = identity
    }

    /// Refuses what would be weaker than the policy allows, and limits that mean nothing.
    package func check(_ reports: [LimitReport]) throws(LaunchError) {
        for (name, value) in LimitName.allCases.compactMap({ name in policy.limits.value(of: name).map { (name, $0) } })
        where !(value > 0) || (name == .cpus && value > 65536) {
            throw LaunchError(
                step: "limit `\(name.rawValue)` to \(value)",
                reason: value > 0 ? "no host has as many" : "nothing could run",
                errno: .invalidArgument, remedy: "correct `limits.\(name.rawValue)` of policy `\(policy.name)`")
        }
        if identity.kind == .single, policy.needsRange {
            throw LaunchError(
                step: "keep supervisor and steps apart, as policy `\(policy.name)` demands",
                reason: "this user has no ids but its own", remedy: "give it a range: \(SubordinateRange.command())")
        }
        // With a range as without one, the author inside is the user who starts it (`IdentityMap.user`).
        if identity.kind != .ownerRange, policy.network == .host {
            throw LaunchError(
                step: "open the host's network, as policy `\(policy.name)` does",
                reason: "the command would be this user to everything of the host that listens there, such as the "
                    + "desktop and its session bus",
                remedy:
                    "use `network: outbound`, or `network: {mode: filtered, allow: [...]}` with what it has to reach; "
                    + "only runs that root starts, or that a service of root does, have ids of nobody else")
        }
        for name in LimitName.allCases where policy.hardLimits.contains(name) {
            let report = reports.first { $0.name == name }
            // A resource limit holds the processor time of each process, and not of all together.
            guard let report, report.enforcement.isHard, name != .cpuTime else {
                throw LaunchError(
                    step: "hold the limit `\(name.rawValue)`, as policy `\(policy.name)` demands",
                    reason: report?.remark
                        ?? "this host can hold it by \(report?.enforcement.rawValue ?? "nothing") only",
                    remedy: "run `cloche system doctor`, or use a policy that takes the limit as best it can")
            }
        }
    }
}

extension Enforcement {
    /// Whether the kernel itself holds the limit, at every moment.
    var isHard: Bool {
        switch self {
        case .cgroup, .rlimit, .tmpfs, .quota: true
        case .watchdog, .none: false
        }
    }
}

extension SandboxSpec {
    /// Refuses what no kernel could do, or what would be done at another place than it says.
    package func check() throws(LaunchError) {
        func refuse(_ step: String, _ reason: String, _ remedy: String) -> LaunchError {
            var error = LaunchError(step: step, reason: reason, errno: .invalidArgument, remedy: remedy)
            error.isRequestWrong = true
            return error
        }
        let elsewhere = "choose another place, such as /mnt/NAME"
        var targets: Set<String> = []
        for mount in mounts {
            let step = "mount at `\(mount.target)`"
            let path = FilePath(mount.target)
            // As the kernel reads it: slashes in a row are one.
            let target = path.string
            guard path.isAbsolute, path.isLexicallyNormal else {
                throw refuse(step, "it is no plain absolute path", "name one without `.` and `..`, such as /mnt/NAME")
            }
            guard !path.components.isEmpty else { throw refuse(step, "the root is the environment's", elsewhere) }
            guard targets.insert(target).inserted else {
                throw refuse(step, "something is mounted there already", elsewhere)
            }
            // What is mounted may hold links that lead a mount below it elsewhere.
            if let outer = mounts.first(where: { target.hasPrefix(FilePath($0.target).string + "/") }) {
                throw refuse(step, "`\(outer.target)` is mounted from elsewhere", elsewhere)
            }
            // Where the libraries of devices are shown, a link in what is mounted would lead them elsewhere.
            let libraries = policy.devices == nil ? [] : [DevicePlan.directory]
            if libraries.contains(where: { $0.hasPrefix(target + "/") }) {
                throw refuse(step, "the libraries of devices are shown below it", elsewhere)
            }
            for own in ["/proc", "/dev", "/sys"] + libraries where target == own || target.hasPrefix(own + "/") {
                throw refuse(step, "`\(own)` is the sandbox's own", elsewhere)
            }
        }
        guard directory.hasPrefix("/") else {
            throw refuse("enter `\(directory)`", "it is no absolute path", "name the directory from the root on")
        }
        guard let name = arguments.first, !name.isEmpty else {
            throw refuse("execute a command", "it has no name", "name a program, as in `cloche exec -- ls`")
        }
        guard arguments.count <= CommandPlan.wordLimit else {
            throw refuse(
                "execute `\(name)`",
                "\(arguments.count - 1) arguments are more than the \(CommandPlan.wordLimit - 1) that a command may have",
                "pass fewer at a time, as `xargs -n 10000` does, or have the command read them from a file")
        }
        for (name, _) in variables where name.isEmpty || name.contains("=") {
            throw refuse(
                "set the variable `\(name)`", "a name has at least one character, and no `=`", "give it another name")
        }
        guard !hostName.isEmpty, hostName.utf8.count <= 64 else {
            throw refuse("set the host name `\(hostName)`", "it has 1 to 64 bytes", "choose another one")
        }
    }
}
