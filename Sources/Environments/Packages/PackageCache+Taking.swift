import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A task of a build: what it fetched of Debian's archives is kept, as far as signed metadata names it.
package struct PackageTaking: Sendable, Hashable {
    /// The tree or layer in which apt left the archives.
    package let tree: FilePath
    /// Whose metadata counts: the suite and its components.
    package let metadata: String
    /// Whether the tree's list of what the metadata names is believed: nothing but the host's programs has written it.
    package let learns: Bool
    /// Whether the programs that fetched did not come to their end.
    package var isCutOff = false
}

extension PackageArchive {
    /// The name of the list of what this archive's metadata names.
    var metadataName: String { ([suite] + components).joined(separator: "+") }
}

extension PackageCache {
    /// Where the host's programs leave the list of what signed metadata names, in the tree of a base.
    static let listPath = "/var/cache/apt/known"
    /// How much of a build is looked at, how large an archive may be, and how much of the disk is left alone.
    private static let countLimit = 8192, sizeLimit: Int64 = 1 << 30
    static let spared: Int64 = 1 << 30

    /// Takes the archives in a tree; gives how many are new, and their size.
    func take(_ taking: PackageTaking, now: Int64) throws(SyscallError) -> (count: Int, bytes: Int64) {
        let tree = try Syscall.open(taking.tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        return try locked { () throws(SyscallError) in
            let known = try metadata(taking, tree.number)
            var packages = Dictionary(try index().map { ($0.digest, $0) }) { first, _ in first }
            let found = try Self.candidates(in: tree.number)
            let new = Set(found.keys).subtracting(packages.keys)
            for digest in found.keys where !new.contains(digest) { packages[digest]?.used = now }
            var bytes: Int64 = 0
            var count = 0
            for (digest, package) in known.packages(of: new, used: now).sorted(by: { $0.key < $1.key }) {
                guard let name = found[digest], try hasRoom(for: package) else { continue }
                guard try keep(package, from: name, in: tree.number) else { continue }
                packages[digest] = package
                bytes += package.size
                count += 1
            }
            try replaceIndex(Self.bounded(Array(packages.values)))
            return (count, bytes)
        }
    }

    /// What the metadata names; it is written down where the tree has it and is believed.
    private func metadata(_ taking: PackageTaking, _ tree: CInt) throws(SyscallError) -> KnownPackages {
        let folder = try Syscall.open(directory.appending("known"), O_RDONLY | O_DIRECTORY)
        let name = FilePath(taking.metadata)
        let list = FilePath(String(Self.listPath.dropFirst()))
        // What was cut off before it was written goes by what an earlier build has learnt.
        if taking.learns, !taking.isCutOff || Syscall.exists(list, at: tree) {
            let text = try Syscall.readFile(list, at: tree, limit: 256 << 20, resolve: [.beneath, .noSymlinks])
            try Syscall.replaceFile(name, at: folder.number, text, mode: 0o600)
            return KnownPackages(text)
        }
        guard Syscall.exists(name, at: folder.number) else { return KnownPackages([]) }
        return KnownPackages(try Syscall.readFile(name, at: folder.number, limit: 256 << 20))
    }

    /// The names of the archives in a tree by their digests; the tree may be hostile, and what is none is passed over.
    private static func candidates(in tree: CInt) throws(SyscallError) -> [String: FilePath] {
        // A script may have fetched nothing, or have put something else there.
        guard let folder = try? archives(in: tree) else { return [:] }
        var found: [String: FilePath] = [:]
        var left = limit
        var seen = 0
        while seen < countLimit, let entries = try Syscall.nextDirectoryEntries(folder.number, bytes: 65536) {
            seen += entries.count
            for entry in entries where entry.name.suffix(4).elementsEqual(".deb".utf8) {
                guard let file = try? Self.open(entry.path, in: folder.number) else { continue }
                let status = try Syscall.fstat(file.number)
                // Hashing is work for the host, which hostile files must not make.
                guard status.isRegular, (1...sizeLimit).contains(status.size), status.size <= left else { continue }
                left -= status.size
                found[try digest(file.number)] = entry.path
            }
        }
        return found
    }

    private static func archives(in tree: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(
            "var/cache/apt/archives", at: tree, O_RDONLY | O_DIRECTORY, resolve: [.beneath, .noSymlinks])
    }

    private static func open(_ name: FilePath, in folder: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(name, at: folder, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    }

    /// Copies an archive; false where its bytes are not what the name promises.
    private func keep(
        _ package: KeptPackage, from name: FilePath, in tree: CInt
    ) throws(SyscallError) -> Bool {
        let folder = try Self.archives(in: tree)
        let source = try Self.open(name, in: folder.number)
        // It is not in the index, so that it goes with the next change where this one does not come to its end.
        let incoming = archives.appending("incoming")
        if Syscall.exists(incoming) { try Syscall.unlink(incoming) }
        let file = try Syscall.open(incoming, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        let digest = try Self.digest(source.number) { part throws(SyscallError) in
            try Syscall.writeAll(file.number, part, 0..<part.count)
        }
        guard digest == package.digest else { return false }
        try Syscall.changeMode(of: file.number, 0o444)
        try Syscall.rename(incoming, to: archives.appending(package.digest))
        return true
    }

    private func hasRoom(for package: KeptPackage) throws(SyscallError) -> Bool {
        let opened = try Syscall.open(archives, O_RDONLY | O_DIRECTORY)
        return try Syscall.fileSystem(of: opened.number).freeBytes - package.size > Self.spared
    }

    /// The packages that are kept of these: the ones used last, up to the limit.
    static func bounded(_ packages: [KeptPackage], limit: Int64 = limit) -> [KeptPackage] {
        var left = limit
        return packages.sorted { ($1.used, $0.path) < ($0.used, $1.path) }.filter { package in
            left -= package.size
            return left >= 0
        }
    }
}
