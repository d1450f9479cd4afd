import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The files of the host that tell which archives and mirrors it uses.
package struct HostFiles: Sendable {
    /// The bytes of a file, or nil when it is not there or may not be read.
    package let contents: @Sendable (FilePath) -> [UInt8]?
    /// The names in a directory in order; none when there is no such directory.
    package let names: @Sendable (FilePath) -> [String]

    /// Takes both from elsewhere.
    package init(
        contents: @escaping @Sendable (FilePath) -> [UInt8]?, names: @escaping @Sendable (FilePath) -> [String]
    ) {
        self.contents = contents
        self.names = names
    }

    /// The host's own file system; files of more than 4 MiB are taken as absent.
    package static let live = HostFiles(
        contents: { path in
            guard let file = try? Syscall.open(path, O_RDONLY | O_NONBLOCK) else { return nil }
            guard (try? Syscall.fstat(file.number))?.isRegular == true else { return nil }
            return try? Syscall.readAll(file.number, limit: 4 << 20)
        },
        names: { path in
            guard let directory = try? Syscall.open(path, O_RDONLY | O_DIRECTORY) else { return [] }
            let entries = (try? Syscall.directoryEntries(directory.number)) ?? []
            return entries.compactMap { String(validating: $0.name, as: UTF8.self) }.sorted()
        })

    func text(_ path: FilePath) -> String? {
        contents(path).map { String(decoding: $0, as: UTF8.self) }
    }
}
