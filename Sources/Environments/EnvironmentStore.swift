import FoundationEssentials
package import LinuxSystem
import PlainText
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The directory of finished environments.
///
/// `builds/<id>/{tree,build.json,build.log,content}` never change. `names/<name>.json` says which build is in force; it is
/// replaced in one step. A build is made in `staging/<random>` and renamed when it is complete, so that after a crash
/// there is either a whole build or a staging directory that nobody holds. `failed/<name>` keeps the last failure.
package struct EnvironmentStore: Sendable, Hashable {
    /// The directory, such as `<store>/environments`.
    package let directory: FilePath

    /// Opens the store at a directory, which is made if it is missing and is the caller's alone.
    package init(directory: FilePath) throws(SyscallError) {
        self.directory = directory
        try Syscall.makeDirectories(directory, mode: 0o700)
        for name in ["builds", "names", "staging", "failed", "locks"] {
            try Syscall.makeDirectories(directory.appending(name), mode: 0o700)
        }
    }

    /// The directory of a build.
    package func path(of build: String) -> FilePath { directory.appending("builds").appending(build) }

    /// The trees of a build's root file system, top first.
    package func layers(of record: BuildRecord) -> [FilePath] {
        record.layers.map { path(of: $0).appending(BuildPaths.treeName) }
    }

    /// The log of a build.
    package func log(of record: BuildRecord) -> FilePath { path(of: record.id).appending("build.log") }

    /// The log of the last failed build of a name, if the last build failed.
    package func failedLog(of name: EnvironmentName) -> FilePath? {
        let log = directory.appending("failed").appending(name.text).appending("build.log")
        return Syscall.exists(log) ? log : nil
    }

    /// The build in force, or nil when the name was never built.
    package func current(_ name: EnvironmentName) throws(StoreError) -> BuildRecord? {
        var missing: String?
        while let build = try decode(CurrentBuild.self, namePath(name))?.build {
            if let record = try recordIfPresent(build) { return record }
            // Another one may have come into force since, and this one have been removed.
            if build == missing { throw .unknownBuild(build) }
            missing = build
        }
        return nil
    }

    /// The record of a build.
    package func record(_ build: String) throws(StoreError) -> BuildRecord {
        guard let record = try recordIfPresent(build) else { throw .unknownBuild(build) }
        return record
    }

    /// The record of a build; nil where it has been removed.
    package func recordIfPresent(_ build: String) throws(StoreError) -> BuildRecord? {
        guard EnvironmentName(build) != nil else { throw .unknownBuild(build) }
        return try decode(BuildRecord.self, path(of: build).appending("build.json"))
    }

    /// The name, or with `builds` the identity of a build, that a text stands for: itself, or the only one that begins with
    /// it among the names that may be meant; a text that stands for nothing is given back.
    package func resolve(
        _ text: String, builds: Bool, among isMeant: (String) -> Bool = { _ in true }
    ) throws(StoreError) -> String {
        if let name = EnvironmentName(text), Syscall.exists(namePath(name)) { return text }
        guard text.utf8.count >= Self.shortestPrefix else { return text }
        var found = try names().map(\.text).filter { $0.hasPrefix(text) && isMeant($0) }
        if builds, found.isEmpty { found = try self.builds().filter { $0.hasPrefix(text) } }
        guard found.count <= 1 || found.contains(text) else { throw .ambiguous(text, found) }
        return found.count == 1 ? found[0] : text
    }

    /// Shorter ones are typing errors.
    private static let shortestPrefix = 4

    /// The names that have a build in force, in order.
    package func names() throws(StoreError) -> [EnvironmentName] {
        try list("names").compactMap { $0.hasSuffix(".json") ? EnvironmentName(String($0.dropLast(5))) : nil }
    }

    /// The identities of all builds, and of what is left of removed ones, in order.
    package func builds() throws(StoreError) -> [String] { try list("builds") }

    /// Builds that are neither in force, nor a layer of one that is, nor kept, nor a layer of one that is kept.
    package func unused(keeping: Set<String>) throws(StoreError) -> [String] {
        var used = keeping
        // What was lost lies on nothing; a record that cannot be read might name any build, and is an error.
        for build in keeping {
            used.formUnion(try recordIfPresent(build)?.layers ?? [])
        }
        for name in try names() {
            guard let record = try current(name) else { continue }
            used.formUnion([record.id] + record.layers)
        }
        return try builds().filter { !used.contains($0) }
    }

    /// Takes a name out of force; its builds stay until they are removed.
    package func forget(_ name: EnvironmentName) throws(StoreError) {
        try system { () throws(SyscallError) in
            if Syscall.exists(namePath(name)) { try Syscall.unlink(namePath(name)) }
        }
    }
}

extension EnvironmentStore {
    func namePath(_ name: EnvironmentName) -> FilePath {
        directory.appending("names").appending(name.text + ".json")
    }

    func list(_ name: String) throws(StoreError) -> [String] {
        try system { () throws(SyscallError) in
            let folder = try Syscall.open(directory.appending(name), O_RDONLY | O_DIRECTORY)
            return try Syscall.directoryEntries(folder.number).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
        }
    }

    /// Puts a build into force.
    func putIntoForce(_ name: EnvironmentName, _ record: BuildRecord) throws(StoreError) {
        let bytes = try encode(CurrentBuild(build: record.id))
        try system { () throws(SyscallError) in
            let names = try Syscall.open(directory.appending("names"), O_RDONLY | O_DIRECTORY)
            try Syscall.replaceFile(FilePath(name.text + ".json"), at: names.number, bytes, mode: 0o600)
        }
    }

    func encode(_ value: some Encodable) throws(StoreError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        do {
            return Array(try encoder.encode(value)) + [0x0A]
        } catch {
            throw .damaged(directory)
        }
    }

    /// What a file holds; nil where it does not exist.
    private func decode<Value: Decodable>(_ type: Value.Type, _ path: FilePath) throws(StoreError) -> Value? {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try Syscall.readFile(path, limit: 16 << 20)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw .system(error)
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw .damaged(path)
        }
    }

    func system<Value: ~Copyable>(
        _ body: () throws(SyscallError) -> Value
    ) throws(StoreError) -> Value {
        do throws(SyscallError) {
            return try body()
        } catch {
            throw .system(error)
        }
    }
}

/// What `names/<name>.json` holds.
private struct CurrentBuild: Codable {
    let build: String
}

/// Why the store could not be used.
package enum StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A file could not be read or written.
    case system(SyscallError)
    /// A file is not what was written there.
    case damaged(FilePath)
    /// There is no such build.
    case unknownBuild(String)
    /// More than one name or build begins with the text.
    case ambiguous(String, [String])
    /// A build is no longer what was built, and what was found first.
    case damagedBuild(String, String)

    /// What is wrong, safe to show.
    package var description: String {
        switch self {
        case .system(let error): error.description
        case .damaged(let path): "read `\(printable(path.string, limit: 4096))`: not a record of a build"
        case .unknownBuild(let build): "find build `\(printable(build, limit: 120))`: it is not in the store"
        case .ambiguous(let text, let found):
            "find `\(printable(text, limit: 120))`: \(found.count) environments or builds begin with that"
        case .damagedBuild(let build, let found):
            "use build `\(printable(build, limit: 120))`: it is damaged: \(printable(found, limit: 400))"
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .system(let error) where error.errno == .noSpace: "make room on the disk"
        case .system: nil
        case .ambiguous(_, let found):
            "it could be " + found.prefix(5).map { "`\(printable($0))`" }.joined(separator: ", ")
        case .damaged, .unknownBuild, .damagedBuild:
            "build the environment again with `cloche env build`, or import it again with `cloche env import`"
        }
    }
}
