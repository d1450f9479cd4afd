import LinuxSystem
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a client asks of a shared service.
///
/// Who asks is never in it: that the kernel tells.
package struct ClientRequest: Sendable, Hashable, Codable {
    /// The version of these messages that this program speaks.
    package static let version = 1

    package var version = Self.version
    /// The words of the command, without the program's name.
    package var arguments: [String]
    /// The pipeline's path in the project that follows; nil where none does.
    package var pipeline: String?
    /// What the project is called, and where its author has it, both for people alone.
    package var name: String?, source: String?
    /// Whether a parameters file follows.
    package var hasParameters = false
    /// Whether standard input follows.
    package var hasInput = false
    /// The width of the client's terminal.
    package var columns: Int?

    /// Asks for a command.
    package init(arguments: [String]) { self.arguments = arguments }

    private enum CodingKeys: String, CodingKey {
        case version, arguments, pipeline, name, source
        case hasParameters = "has_parameters"
        case hasInput = "has_input"
        case columns
    }

    /// What is wrong with it; nil when nothing is.
    var fault: String? {
        if version != Self.version { return "a request of version \(version); this service speaks \(Self.version)" }
        if arguments.contains(where: { $0.utf8.contains(0) }) { return "a word with a zero byte" }
        if let pipeline, !ProjectEntry.isSafe(Array(pipeline.utf8)) {
            return "the path of a pipeline that does not lie in its project"
        }
        if [name, source].contains(where: { $0?.utf8.contains(0) == true }) { return "a word with a zero byte" }
        if let name, name.isEmpty || name.utf8.count > 255 { return "a project without a usable name" }
        if let source, !source.hasPrefix("/") || source.utf8.count > 4096 { return "a project without a usable place" }
        return nil
    }
}

/// A project that a client sent, where it is kept until it has been frozen.
package struct ReceivedProject: Sendable, Hashable, Codable {
    /// The directory; nothing but what was received is in it.
    package var path: String
    /// The pipeline's path in it: without `..`, and not to be resolved through links.
    package var pipeline: String
    /// What the project is called, and where its author has it: as the client says, for people alone.
    package var name: String?, source: String?

    /// The directory.
    package var directory: FilePath { FilePath(path) }

    /// Removes it: what is needed of it is in a snapshot.
    ///
    /// What stays is removed when the client has gone.
    package func discard() {
        guard let name = directory.lastComponent else { return }
        do throws(SyscallError) {
            let parent = try Syscall.open(
                directory.removingLastComponent(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try TreeRemoval.remove(directory: parent.number, name: FilePath(name.string))
        } catch {
            // The one who received it removes it in the end.
        }
    }
}

/// The client for whom a command is executed, as whoever attends to it tells the command.
package struct ServedClient: Sendable, Hashable, Codable {
    /// The variable of the environment that carries it.
    package static let variable = "CLOCHE_CLIENT"

    /// The user id and the ids of the groups, as the kernel knows them.
    package var user: UInt32, groups: [UInt32]
    /// The name in /etc/passwd, where there is one.
    package var userName: String?
    /// Names in /etc/group of the groups.
    package var groupNames: [String]
    /// Whether it may do what the owner of the service's store may do there.
    package var isAdministrator: Bool
    package var project: ReceivedProject?
    /// The parameters file that was received.
    package var parameters: String?
    package var quota: UserQuota?

    /// Describes a client who has sent nothing yet.
    package init(
        user: UInt32, groups: [UInt32], userName: String?, groupNames: [String], isAdministrator: Bool,
        quota: UserQuota?
    ) {
        self.user = user
        self.groups = groups
        self.userName = userName
        self.groupNames = groupNames
        self.isAdministrator = isAdministrator
        self.quota = quota
    }

    private enum CodingKeys: String, CodingKey {
        case user, groups
        case userName = "user_name"
        case groupNames = "group_names"
        case isAdministrator = "is_administrator"
        case project, parameters, quota
    }
}
