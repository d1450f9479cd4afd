import Isolation
import JobStorage
package import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Who is told of what: a file each in `notifications/` of the store, for its owner alone, as an address can hold a key.
///
/// The files are the truth; the database has what it needs of them to see whom a change concerns.
package struct NotifierStore: Sendable {
    private static let ending = ".json"
    private static let mostBytes = 1 << 20

    /// The directory of the files.
    package let directory: FilePath

    /// The notifiers of the store at that path.
    package init(store: FilePath) { directory = store.appending("notifications") }

    /// All of them by name; what cannot be read is left out, and named in `problems`.
    package func list() throws -> (notifiers: [Notifier], problems: [String]) {
        guard Syscall.exists(directory) else { return ([], []) }
        let opened = try open()
        var notifiers: [Notifier] = [], problems: [String] = []
        for entry in try Syscall.directoryEntries(opened.number) {
            let file = String(decoding: entry.name, as: UTF8.self)
            guard file.hasSuffix(Self.ending), Notifier.isName(String(file.dropLast(Self.ending.utf8.count))) else {
                continue
            }
            guard let bytes = try? Syscall.readFile(FilePath(file), at: opened.number, limit: Self.mostBytes),
                let notifier = JSONFile.decode(Notifier.self, bytes), notifier.format == Notifier.format,
                notifier.name + Self.ending == file
            else {
                problems.append("the notifier in `\(directory.appending(file))` cannot be read, and is told of nothing")
                continue
            }
            notifiers.append(notifier)
        }
        return (notifiers.sorted { $0.name < $1.name }, problems)
    }

    /// The one of that name.
    package func notifier(_ name: String) throws -> Notifier {
        let all = try list().notifiers
        if let found = all.first(where: { $0.name == name }) { return found }
        let meant = EditDistance.nearest(to: name, in: all.map(\.name)).map { "did you mean `\($0)`?" }
        throw StoreError(
            message: "find the notifier `\(printable(name))`: there is none of this name",
            hint: meant
                ?? (all.isEmpty
                    ? "`cloche notify add` adds one" : "there are " + all.map(\.name).joined(separator: ", ")),
            kind: .missing)
    }

    /// Adds one whose name is free.
    func add(_ notifier: Notifier) throws {
        guard Notifier.isName(notifier.name) else {
            throw StoreError(
                message: "name a notifier `\(printable(notifier.name))`: names have letters, digits, `_`, `-` and `.`, "
                    + "at most 64", hint: "choose another name, such as `ops`")
        }
        guard let bytes = JSONFile.encode(notifier) else {
            throw StoreError(message: "write the notifier `\(notifier.name)`", hint: nil)
        }
        try Syscall.makeDirectories(directory, mode: 0o700)
        let opened = try open()
        try Syscall.changeMode(of: opened.number, 0o700)
        let file = notifier.name + Self.ending
        guard !Syscall.exists(directory.appending(file)) else {
            throw StoreError(
                message: "add the notifier `\(notifier.name)`: there is one of this name",
                hint: "remove it by `cloche notify rm \(notifier.name)`, or choose another name")
        }
        try Syscall.replaceFile(FilePath(file), at: opened.number, bytes, mode: 0o600)
    }

    /// Removes one with its log.
    func remove(_ name: String) throws {
        _ = try notifier(name)
        let opened = try open()
        try Syscall.unlink(FilePath(name + Self.ending), at: opened.number)
        for file in [Self.log(of: name), Self.log(of: name) + ".old"] where Syscall.exists(directory.appending(file)) {
            try Syscall.unlink(FilePath(file), at: opened.number)
        }
        try Syscall.fsync(opened.number)
    }

    /// The file with the output of a program.
    static func log(of name: String) -> String { name + ".log" }

    /// The file of a notifier, which whoever delivers to it locks; nil where there is none.
    func lock(_ name: String) throws(SyscallError) -> OwnedFileDescriptor? {
        guard Syscall.exists(directory.appending(name + Self.ending)) else { return nil }
        let directory = try open()
        return try Syscall.open(FilePath(name + Self.ending), at: directory.number, O_RDONLY | O_NOFOLLOW)
    }

    func open() throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
}

extension Store {
    /// Who is told of what.
    package var notifiers: NotifierStore { NotifierStore(store: path) }

    /// Adds a notifier: from here on it is told.
    package func add(_ notifier: Notifier) throws {
        try notifiers.add(notifier)
        _ = try takeOverNotifiers()
    }

    /// Removes a notifier; what it was still to be told is given up.
    package func removeNotifier(_ name: String) throws {
        try notifiers.remove(name)
        _ = try takeOverNotifiers()
    }

    /// Brings the database to what the files say; gives what the user should know of.
    package func takeOverNotifiers() throws -> [String] {
        // One at a time: what somebody has listed before another one added a notifier must not be taken over after it.
        let lock = Syscall.exists(notifiers.directory) ? try HeldDirectory(try notifiers.open()) : nil
        defer { withExtendedLifetime(lock) {} }
        let (all, problems) = try notifiers.list()
        try database.set(all, at: JobEngine.now())
        return problems
    }
}

/// A directory that nobody else holds as long as this lives.
private final class HeldDirectory {
    private let descriptor: OwnedFileDescriptor

    init(_ descriptor: consuming OwnedFileDescriptor) throws(SyscallError) {
        try Syscall.flock(descriptor.number, LOCK_EX)
        self.descriptor = descriptor
    }
}
