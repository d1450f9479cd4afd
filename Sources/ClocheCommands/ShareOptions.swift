import ArgumentParser
import Isolation
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

/// What a service lets other users of the host do.
struct ShareOptions: ParsableArguments {
    static let explanation = """
        With --share other users of the host use the service: by CLOCHE_SERVICE=/run/cloche.sock, and without rights of \
        their own. Each has jobs, secrets and a /data that nobody else sees; the kernel says who it is. A project is read by \
        its author's own command and sent; the service opens nothing that a user names. Environments and policies are those \
        of the service's store; a policy can be kept for some by its key `users`. Whoever runs the service does all to the \
        jobs of a user by CLOCHE_OWNER=NAME, and lists those of all by `cloche ls`.

          cloche serve --share --group science --max-pending 10000
          cloche serve --share --max-disk 50GiB --max-disk alice=none
        """

    @Flag(help: "Let other users of the host use the service.") var share = false
    @Option(help: "Where they connect; by default /run/cloche.sock for root's service.") var socket: String?
    @Option(help: "Let only members of this group use it.") var group: String?
    @Option(help: "How many runs of one user run at once; by default as many as of all.") var maxParallelPerUser: Int?
    @Option(help: "How many runs of one user may wait; 0 is any number.") var maxPending = Self.usualPending
    @Option(help: "How many commands a user may have at once.") var maxConnections = Self.usualConnections
    @Option(help: "How large a user's project may be, such as 500M or 20G.")
    var maxProject = ByteLimit(bytes: Self.usualProjectBytes)

    @Option(
        help: ArgumentHelp(
            """
            How much a user may keep on the disk: 50GiB; for some of them alice=200GiB or @science=none; can be repeated. \
            More ends the user's runs (`disk-full`), and starts none.
            """,
            valueName: "[who=]size"))
    var maxDisk: [DiskLimit] = []

    private static let usualPending = 100_000, usualConnections = 32
    private static let usualProjectBytes: Int64 = 20 << 30

    /// The words that ask for the same, without what holds anyway.
    var words: [String] {
        var words = share ? ["--share"] : []
        if let socket { words += ["--socket", socket] }
        if let group { words += ["--group", group] }
        if let maxParallelPerUser { words += ["--max-parallel-per-user", String(maxParallelPerUser)] }
        if maxPending != Self.usualPending { words += ["--max-pending", String(maxPending)] }
        if maxConnections != Self.usualConnections { words += ["--max-connections", String(maxConnections)] }
        if maxProject.bytes != Self.usualProjectBytes { words += ["--max-project", maxProject.argument] }
        for limit in maxDisk { words += ["--max-disk", limit.argument] }
        return words
    }

    /// What is asked for; nil where the service is not shared.
    func options() throws -> SharedService.Options? {
        guard share else {
            if socket != nil || group != nil { throw ValidationError("--socket and --group need --share") }
            if !maxDisk.isEmpty { throw ValidationError("--max-disk needs --share: it is for other users") }
            return nil
        }
        guard let path = socket.map({ FilePath($0) }) ?? SharedSocket.standard else {
            throw ValidationError(
                "--share needs --socket, in a directory that other users may enter, unless root serves")
        }
        guard path.isAbsolute, path.string.utf8.count < 108 else {
            throw ValidationError("--socket needs an absolute path of fewer than 108 bytes")
        }
        guard maxPending >= 0, (1...10_000).contains(maxConnections) else {
            throw ValidationError("--max-pending needs a number from 0 on, --max-connections 1 to 10,000")
        }
        return SharedService.Options(
            socket: path, group: try group.map(Self.group), connections: maxConnections,
            parallel: try maxParallelPerUser.map { try Parallelism.limit($0, option: "--max-parallel-per-user") },
            settings: SharingSettings(
                pending: maxPending == 0 ? nil : maxPending, projectBytes: maxProject.bytes,
                disk: DiskLimits(try maxDisk.map { try $0.checked() })))
    }

    private static func group(_ name: String) throws -> UInt32 {
        if let group = HostIdentity.group(named: name) { return group }
        guard let number = UInt32(name) else {
            throw CommandFailure(
                .notFound, "find the group `\(printable(name))`: /etc/group has none of that name",
                hint: "give its number")
        }
        return number
    }
}

/// An entry of `--max-disk`.
struct DiskLimit: ExpressibleByArgument {
    private let entry: DiskLimits.Entry
    /// As it was given.
    let argument: String

    init?(argument: String) {
        self.argument = argument
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let size = parts.last, parts.count == 1 || !parts[0].isEmpty else { return nil }
        let count = ByteCount(parsing: String(size))
        guard count != nil || size == "none" else { return nil }
        entry = DiskLimits.Entry(who: parts.count == 2 ? String(parts[0]) : nil, bytes: count?.bytes)
    }

    /// The entry, where there is such a user or group.
    func checked() throws -> DiskLimits.Entry {
        guard let who = entry.who, !HostIdentity.isKnown(who) else { return entry }
        throw CommandFailure(
            .notFound,
            "limit the disk of `\(printable(who))`: this host has no such \(who.first == "@" ? "group" : "user")",
            hint: "write `alice`, `@science`, or an id: those of /etc/passwd and /etc/group have names")
    }
}
