package import Isolation
package import LinuxSystem
import Pipelines
import PlainText
package import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Values that nobody is shown again: one file each, for the owner of the store alone.
///
/// Their names may be known; the values are read by the engine when it takes a job up, and go to supervisors by a
/// descriptor. Nothing else of the store holds them.
package struct SecretStore: Sendable {
    /// A secret, without its value.
    package struct Entry: Sendable, Hashable {
        package let name: String
        /// When its value was set.
        package let changed: Timestamp
    }

    private let directory: FilePath

    /// The most bytes of a value: what the kernel takes as one variable of a process, less a name.
    package static let mostBytes = 120 << 10

    /// Values of fewer bytes are not replaced in logs.
    package static let fewestMaskedBytes = SecretMask.shortest

    /// The secrets of the store at that path.
    package init(store: FilePath) { directory = store.appending("secrets") }

    /// Whether a text can be the name of a secret, and so of a variable: letters, digits, `_` and `-`, not first.
    package static func isName(_ text: some StringProtocol) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.first != UInt8(ascii: "-")
            && text.unicodeScalars.allSatisfy(isNameCharacter)
    }

    private static func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-")
    }

    /// Sets a secret: after a crash its old or its new value is there.
    package func set(_ name: String, to value: [UInt8]) throws {
        try Self.check(name)
        try Self.check(value, of: name)
        try Syscall.makeLastingDirectories(directory, mode: 0o700)
        let opened = try open()
        // Whoever made the directory may have been generous.
        try Syscall.changeMode(of: opened.number, 0o700)
        try Syscall.replaceFile(FilePath(name), at: opened.number, value, mode: 0o600)
    }

    /// All secrets, by name.
    package func list() throws(SyscallError) -> [Entry] {
        guard Syscall.exists(directory) else { return [] }
        let opened = try open()
        var entries: [Entry] = []
        for item in try Syscall.directoryEntries(opened.number) {
            let name = String(decoding: item.name, as: UTF8.self)
            guard Self.isName(name), let status = try? Syscall.lstat(item.path, at: opened.number), status.isRegular
            else { continue }
            let changed = Double(status.modified.seconds) + Double(status.modified.nanoseconds) / 1e9
            entries.append(Entry(name: name, changed: Timestamp(seconds: changed)))
        }
        return entries.sorted { $0.name < $1.name }
    }

    /// Removes a secret.
    package func remove(_ name: String) throws {
        guard Self.isName(name), Syscall.exists(directory.appending(name)) else {
            throw missing([name], kind: .missing)
        }
        let opened = try open()
        try Syscall.unlink(FilePath(name), at: opened.number)
        try Syscall.fsync(opened.number)
    }

    /// Refuses names that are not set; `secrets` are names by the variable that steps see.
    package func require(_ secrets: [String: String], kind: StoreError.Kind = .configuration) throws {
        let unset = Set(secrets.values).filter { !Self.isName($0) || !Syscall.exists(directory.appending($0)) }
        if !unset.isEmpty { throw missing(unset.sorted(), kind: kind) }
    }

    /// The values of secrets, by variable.
    package func values(_ secrets: [String: String]) throws -> SecretValues {
        if secrets.isEmpty { return SecretValues([:]) }
        try require(secrets)
        let opened = try open()
        var values: [String: String] = [:]
        for (variable, name) in secrets {
            let bytes = try Syscall.readFile(FilePath(name), at: opened.number, limit: Self.mostBytes)
            try Self.check(bytes, of: name)
            values[variable] = String(decoding: bytes, as: UTF8.self)
        }
        return SecretValues(values)
    }

    /// The value of one secret.
    func value(_ name: String) throws -> String {
        try require([name: name])
        let opened = try open()
        let bytes = try Syscall.readFile(FilePath(name), at: opened.number, limit: Self.mostBytes)
        try Self.check(bytes, of: name)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func open() throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    private func missing(_ names: [String], kind: StoreError.Kind) -> StoreError {
        let listed = names.map { "`\(printable($0))`" }.joined(separator: ", ")
        // A directory that cannot be listed has no name that could have been meant.
        let known = (try? list().map(\.name)) ?? []
        let meant = EditDistance.nearest(to: names[0], in: known).map { "did you mean `\($0)`? else " } ?? ""
        return StoreError(
            message: "find the \(names.count == 1 ? "secret" : "secrets") \(listed): not set in this store",
            hint: meant
                + "`cloche secret set \(printable(names[0]))` sets it; `cloche secret ls` lists those that there are",
            kind: kind)
    }

    private static func check(_ name: String) throws {
        guard isName(name) else {
            throw StoreError(
                message: "name a secret `\(printable(name))`: names have letters, digits, `_` and `-`, at most 128",
                hint: "choose another name, such as DB_PASSWORD")
        }
    }

    private static func check(_ value: [UInt8], of name: String) throws {
        let problem: String? =
            value.count > mostBytes
            ? "it has more than \(mostBytes) bytes"
            : value.contains(0)
                ? "it holds a zero byte, which no variable can"
                : String(validating: value, as: UTF8.self) == nil ? "it is no text in UTF-8" : nil
        guard let problem else { return }
        throw StoreError(
            message: "take the value of the secret `\(name)`: \(problem)",
            hint: "encode it, for example by base64, and decode it in the step")
    }
}

extension Store {
    /// Its secrets.
    package var secrets: SecretStore { SecretStore(store: path) }
}
