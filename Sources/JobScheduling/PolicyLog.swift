package import Isolation
import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One change of a policy document: who, when, and to what.
package struct PolicyLogEntry: Sendable, Hashable, Codable {
    /// What was done.
    package enum Action: String, Sendable, Hashable, Codable {
        case apply, rollback
        case remove = "rm"
    }

    package var time: Timestamp
    /// The user id, and its name where /etc/passwd has one.
    package var user: UInt32, userName: String?
    package var action: Action
    package var policy: String
    /// SHA-256 of the document that was put into force; nil where it was removed.
    package var digest: String?
    /// SHA-256 of the document that was in force before; nil where there was none.
    package var previous: String?
    /// SHA-256 of the line before this one, by which a change of the log shows; empty in the first line.
    package var chain: String

    private enum CodingKeys: String, CodingKey {
        case time, user
        case userName = "user_name"
        case action, policy, digest, previous, chain
    }
}

/// The log of a directory of policies: one JSON object a line, only ever appended to.
package struct PolicyLog: Sendable {
    package private(set) var entries: [PolicyLogEntry] = []
    /// The numbers of lines, from 1, before which something was changed or taken out.
    package private(set) var breaks: [Int] = []
    private var last: [UInt8] = []

    static let fileName: FilePath = ".log.jsonl"
    /// Some hundred thousand changes.
    private static let sizeLimit = 64 << 20

    /// The log of a directory that there is not.
    init() {}

    /// Reads the log of a directory; an empty one where there is none.
    init(in directory: CInt) throws(SyscallError) {
        let bytes: [UInt8]
        do throws(SyscallError) {
            let file = try Syscall.open(Self.fileName, at: directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            bytes = try Syscall.readAll(file.number, limit: Self.sizeLimit)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return
        }
        for (index, line) in bytes.split(separator: 0x0A).enumerated() {
            let entry = JSONFile.decode(PolicyLogEntry.self, Array(line))
            if entry == nil || entry?.chain != chain { breaks.append(index + 1) }
            if let entry { entries.append(entry) }
            last = Array(line)
        }
    }

    private var chain: String { last.isEmpty ? "" : Digest.hexadecimal(last) }

    /// Appends an entry; the caller holds the directory's lock.
    mutating func append(
        _ action: PolicyLogEntry.Action, _ policy: String, digest: String?, previous: String?, in directory: CInt
    ) throws(SyscallError) {
        let user = getuid()
        let entry = PolicyLogEntry(
            time: Timestamp(seconds: Syscall.wallClockSeconds()), user: user, userName: HostIdentity.userName(user),
            action: action, policy: policy, digest: digest, previous: previous, chain: chain)
        guard let line = JSONFile.encode(entry) else { throw SyscallError("encode", errno: .invalidArgument) }
        let file = try Syscall.open(
            Self.fileName, at: directory, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o644)
        try Syscall.writeAll(file.number, line)
        try Syscall.fsync(file.number)
        entries.append(entry)
        last = Array(line.dropLast())
    }
}
