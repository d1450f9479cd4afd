/// What a new process does between clone(2) and the execution of init, in order; see `CSandboxLaunch.h`.
package struct LaunchPlan: Sendable, Hashable {
    /// One step of the set-up; the first that fails ends the launch.
    package enum Operation: Sendable, Hashable {
        /// Takes on these ids and keeps the capabilities.
        case becomeUser(user: UInt32, group: UInt32)
        /// mount(2).
        case mount(source: String?, target: String, type: String?, flags: UInt64, data: String?)
        /// Changes the flags of a mount, beside those that are locked.
        case remount(target: String, flags: UInt64)
        /// mkdir(2).
        case makeDirectory(String, mode: UInt32)
        /// Makes the directory the root, and detaches the old one.
        case pivotRoot(String)
        /// lchown(2).
        case changeOwner(String, user: UInt32, group: UInt32)
        /// sethostname(2).
        case setHostName(String)
        /// Brings the loopback device up.
        case loopbackUp
        /// setrlimit(2); nil is unlimited.
        case setLimit(resource: Int32, soft: UInt64?, hard: UInt64?)
        /// Writes a file of procfs.
        case writeFile(String, text: String)
        /// Ends with the supervisor.
        case parentDeath
        /// umask(2).
        case setUmask(UInt32)
        /// symlink(2).
        case linkSymbolic(target: String, path: String)
        /// Lets init keep the capabilities of the namespace although it has no id of root.
        case keepCapabilities
        /// Joins a namespace: the launch's descriptor of that index, and the CLONE_NEW* bit of its kind.
        case joinNamespace(descriptor: Int, kind: UInt32)
        /// Runs on these processors only (sched_setaffinity(2)).
        case setAffinity([Int])
        /// Compares the mount table with what it has to be, and fails on any difference.
        case auditMounts([ExpectedMount])
    }

    /// The namespaces that the process gets for itself, as CLONE_NEW* bits.
    package var namespaces: UInt32
    package var operations: [Operation]

    /// Makes a plan.
    package init(namespaces: UInt32, operations: [Operation]) {
        self.namespaces = namespaces
        self.operations = operations
    }
}

extension LaunchPlan.Operation: CustomStringConvertible {
    /// What the operation does, to come after "failed to".
    package var description: String {
        switch self {
        case .becomeUser(let user, let group): "become user \(user) and group \(group)"
        case .mount(let source, let target, let type, _, _):
            "mount \(type ?? source.map { "`\($0)`" } ?? "")" + " at `\(target)`"
        case .remount(let target, _): "change the flags of the mount at `\(target)`"
        case .makeDirectory(let path, _): "make the directory `\(path)`"
        case .pivotRoot: "change the root directory"
        case .changeOwner(let path, let user, let group): "give `\(path)` to user \(user) and group \(group)"
        case .setHostName(let name): "set the host name `\(name)`"
        case .loopbackUp: "bring the loopback device up"
        case .setLimit(let resource, _, _): "set the resource limit \(resource)"
        case .writeFile(let path, _): "write `\(path)`"
        case .parentDeath: "bind the sandbox to its supervisor"
        case .setUmask: "set the file mode mask"
        case .linkSymbolic(_, let path): "make the link `\(path)`"
        case .keepCapabilities: "keep the capabilities for process 1"
        case .joinNamespace: "join the prepared network namespace"
        case .setAffinity(let processors): "keep to \(processors.count) processors"
        case .auditMounts: "compare the mount table with the plan"
        }
    }

    /// The system call that the operation consists of, by the manual's name.
    package var call: String {
        switch self {
        case .becomeUser: "setresuid"
        case .mount, .remount: "mount"
        case .makeDirectory: "mkdir"
        case .pivotRoot: "pivot_root"
        case .changeOwner: "lchown"
        case .setHostName: "sethostname"
        case .loopbackUp: "ioctl"
        case .setLimit: "prlimit"
        case .writeFile: "write"
        case .parentDeath: "prctl"
        case .setUmask: "umask"
        case .linkSymbolic: "symlink"
        case .keepCapabilities: "capset"
        case .joinNamespace: "setns"
        case .setAffinity: "sched_setaffinity"
        case .auditMounts: "read"
        }
    }

    /// The path that the operation acts on, where there is one.
    package var path: String? {
        switch self {
        case .mount(_, let path, _, _, _), .remount(let path, _), .makeDirectory(let path, _), .pivotRoot(let path),
            .changeOwner(let path, _, _), .writeFile(let path, _), .linkSymbolic(_, let path):
            path
        case .auditMounts: "/proc/self/mountinfo"
        default: nil
        }
    }
}

/// What init makes of process 2: the credentials, the filter, and the program.
package struct CommandPlan: Sendable, Hashable {
    /// The arguments; the first is the name that the program sees.
    package var arguments: [String]
    /// Files to execute, tried in order.
    package var candidates: [String]
    /// The whole process environment, as `NAME=value`.
    package var variables: [String]
    /// The working directory inside.
    package var directory: String
    /// The ids of the command and of init, and whether they can be taken on at all.
    package var user: UInt32, group: UInt32, initUser: UInt32, initGroup: UInt32
    package var changesIdentity: Bool
    /// Bits of all four capability sets of the command.
    package var capabilities: UInt64
    /// The seccomp filter of the command, as bytes of `struct sock_filter`.
    package var filter: [UInt8]
    /// Whether that filter answers some calls by user notification.
    package var filterListens: Bool
    /// The filter of init.
    package var initFilter: [UInt8]
    /// The standard streams that become a new terminal, the controlling one.
    package var terminal: StandardStreams
    /// Names of directories in `/` in which, and below which, the command may make no socket.
    package var socketless: [String]
    package var umask: UInt32
    /// Where init attaches the mount that comes with the command; nil where none comes.
    package var attachment: String?

    /// Makes a plan with no privileges at all.
    package init(arguments: [String], candidates: [String], variables: [String], directory: String) {
        self.arguments = arguments
        self.candidates = candidates
        self.variables = variables
        self.directory = directory
        user = IdentityMap.user
        group = IdentityMap.user
        initUser = IdentityMap.initProcess
        initGroup = IdentityMap.initProcess
        changesIdentity = true
        capabilities = 0
        filter = []
        filterListens = false
        initFilter = []
        terminal = []
        socketless = []
        umask = 0o022
    }

    /// The files to try for a name, as execvp(3) would: itself with a slash in it, else along PATH.
    package static func candidates(for name: String, path: String?) -> [String] {
        if name.contains("/") { return [name] }
        let directories = (path ?? "/usr/local/bin:/usr/bin:/bin").split(
            separator: ":", omittingEmptySubsequences: true)
        return directories.prefix(64).map { "\($0)/\(name)" }
    }
}
