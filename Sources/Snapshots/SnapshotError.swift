package import LinuxSystem
import PlainText
import SystemPackage

/// Why a snapshot could not be taken, read, verified or removed.
package struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    package enum Reason: Sendable, Hashable {
        /// The entry may not be read.
        case unreadable(SyscallError)
        /// The file or directory changed each time it was read.
        case changing
        /// A directory went away or became something else meanwhile.
        case replaced
        /// There is no more space for the snapshot.
        case diskFull(SyscallError)
        /// More of something than the bound allows.
        case tooMany(String, limit: Int)
        /// The path is longer than the bound.
        case pathTooLong(limit: Int)
        /// An ignore file exists but cannot be read.
        case ignoreFile(SyscallError)
        /// What is to be captured is a store of this program.
        case store
        /// The caller asked to stop.
        case stopped
        /// There is no such snapshot.
        case notFound
        /// Someone is about to refer to the snapshot.
        case inUse
        /// The stored snapshot is not what its identity says, for this cause.
        case damaged(String)
        /// Another system call failed.
        case system(SyscallError)
    }

    /// The path concerned: relative to the project or the snapshot, or the path of the store; may be empty.
    package let path: [UInt8]
    /// What went wrong with it.
    package let reason: Reason

    /// Names a failure.
    package init(_ path: some Collection<UInt8>, _ reason: Reason) {
        self.path = Array(path)
        self.reason = reason
    }

    /// Sorts the failure of a system call that read the project.
    static func reading(_ path: some Collection<UInt8>, _ error: SyscallError) -> SnapshotError {
        switch error.errno {
        case .permissionDenied, .notPermitted, .resourceTemporarilyUnavailable, .ioError:
            SnapshotError(path, .unreadable(error))
        case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels:
            SnapshotError(path, .replaced)
        default: SnapshotError(path, .system(error))
        }
    }

    /// Sorts the failure of a system call that wrote the snapshot.
    static func writing(_ path: some Collection<UInt8>, _ error: SyscallError) -> SnapshotError {
        switch error.errno {
        case .noSpace, .diskQuotaExceeded: SnapshotError(path, .diskFull(error))
        default: SnapshotError(path, .system(error))
        }
    }

    private var object: String { path.isEmpty ? "." : displayName(path) }

    /// A fragment that names the object and the cause.
    package var description: String {
        switch reason {
        case .unreadable(let error): "read `\(object)`: \(error.errno)"
        case .changing: "read `\(object)`: it changed each time it was read"
        case .replaced: "read `\(object)`: it was removed or replaced meanwhile"
        case .diskFull(let error): "store `\(object)`: \(error.errno)"
        case .tooMany(let what, let limit): "read `\(object)`: more than \(limit) \(what)"
        case .pathTooLong(let limit): "read `\(object.prefix(60))…`: the path is longer than \(limit) bytes"
        case .ignoreFile(let error): "read the ignore file `\(object)`: \(error.errno)"
        case .store: "read `\(object)`: it is a store of Cloche, and secrets lie in it"
        case .stopped: "take the snapshot: stopped on request"
        case .notFound: "find the snapshot `\(object)`: there is none of that identity"
        case .inUse: "remove the snapshot `\(object)`: it is in use"
        case .damaged(let cause): "use the snapshot `\(object)`: \(cause)"
        case .system(let error):
            "work on `\(object)`: \(error.errno == .notDirectory ? "it is no directory" : "\(error)")"
        }
    }

    /// What to do about it; nil when there is nothing to advise.
    package var hint: String? {
        switch reason {
        case .unreadable:
            "make it readable (chmod u+r, on directories also u+x), or leave it out with a line in .clocheignore"
        case .changing: "stop what writes it, or leave it out with a line in .clocheignore"
        case .replaced: "take the snapshot again when nothing changes the project"
        case .diskFull: "free space in the store, for example with `cloche snapshot prune`; nothing was stored"
        case .tooMany, .pathTooLong: "leave the part that is too large out with a line in .clocheignore"
        case .ignoreFile: "make it readable and smaller than 4 MiB"
        case .store: "name the directory of a project; where that is the store as well, set CLOCHE_HOME to another one"
        case .inUse: "wait until the job or the build is made that it was taken for"
        case .damaged: "take it again of the same project: that replaces it"
        case .stopped, .notFound, .system: nil
        }
    }
}
