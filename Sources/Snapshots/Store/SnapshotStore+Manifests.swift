import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SnapshotStore {
    /// The open files that hold a manifest.
    struct ManifestFiles {
        /// The manifest, or that of the tree below.
        let whole: HeldDescriptor
        /// What makes the manifest of that below; nil where it is whole.
        let changes: HeldDescriptor?

        /// Reads from the beginning.
        func reader() throws(SyscallError) -> ManifestReader {
            _ = try Syscall.seek(whole.number, to: 0)
            guard let changes else { return ManifestReader(whole.number) }
            _ = try Syscall.seek(changes.number, to: 0)
            return ManifestReader(below: whole.number, changes: changes.number)
        }

        /// Reads the manifest of the tree below from the beginning.
        func readerBelow() throws(SyscallError) -> ManifestReader {
            _ = try Syscall.seek(whole.number, to: 0)
            return ManifestReader(whole.number)
        }

        /// The most bytes that the manifest can have.
        func sizeLimit() throws(SyscallError) -> Int64 {
            let added = try changes.map { (file) throws(SyscallError) in try Syscall.fstat(file.number).size } ?? 0
            return try Syscall.fstat(whole.number).size + added
        }
    }

    /// The files from which a manifest can be read with other tools: itself, or that of the tree below and the changes.
    package func manifestPaths(of identity: SnapshotIdentity) -> [FilePath] {
        let path = path(of: identity)
        guard let base = baseForReading(identity), !Syscall.exists(path.appending(Self.manifestName.string)) else {
            return [path.appending(Self.manifestName.string)]
        }
        return [
            self.path(of: base).appending(Self.manifestName.string), path.appending(Self.changesName.string),
        ]
    }

    /// Reads the manifest of a snapshot, and checks it against the identity.
    package func manifest(of identity: SnapshotIdentity) throws(SnapshotError) -> Manifest {
        let files = try openManifest(of: identity)
        var bytes: [UInt8] = []
        do throws(SyscallError) {
            let size = try files.sizeLimit()
            guard size <= Manifest.sizeLimit else { throw SyscallError("read", errno: .fileTooLarge) }
            // In one piece: an array that grows takes twice the memory.
            bytes.reserveCapacity(Int(size))
            var reader = try files.reader()
            while case let part = try reader.read(), !part.isEmpty { bytes += part }
        } catch {
            throw .reading(identity.description.utf8, error)
        }
        // The identity first: what follows may then rely on our own format.
        guard SnapshotIdentity(manifest: bytes) == identity else { throw unsound(identity, files) }
        do throws(Manifest.ParseError) {
            return try Manifest(parsing: bytes)
        } catch {
            throw damaged(identity, "its manifest is malformed: \(error)")
        }
    }

    /// The open manifest of a snapshot, whose bytes have the identity.
    func soundManifest(of identity: SnapshotIdentity) throws(SnapshotError) -> ManifestFiles {
        let files = try openManifest(of: identity)
        guard try digest(try reader(files, of: identity), of: identity) == identity.description else {
            throw unsound(identity, files)
        }
        return files
    }

    /// Reads an open manifest from the beginning.
    func reader(_ files: ManifestFiles, of identity: SnapshotIdentity) throws(SnapshotError) -> ManifestReader {
        do throws(SyscallError) { return try files.reader() } catch { throw .reading(identity.description.utf8, error) }
    }

    private func digest(
        _ reader: consuming ManifestReader, of identity: SnapshotIdentity
    ) throws(SnapshotError) -> String {
        var (reader, hash) = (reader, StreamDigest())
        do throws(SyscallError) {
            while case let part = try reader.read(), !part.isEmpty { hash.add(part) }
        } catch {
            throw .reading(identity.description.utf8, error)
        }
        return hash.hexadecimal
    }

    private func openManifest(of identity: SnapshotIdentity) throws(SnapshotError) -> ManifestFiles {
        let path = path(of: identity)
        if let whole = try open(path.appending(Self.manifestName.string), of: identity) {
            return ManifestFiles(whole: whole, changes: nil)
        }
        guard let changes = try open(path.appending(Self.changesName.string), of: identity) else {
            guard Syscall.exists(path) else { throw SnapshotError(identity.description.utf8, .notFound) }
            throw damaged(identity, "its manifest is missing")
        }
        guard let base = baseForReading(identity) else {
            throw damaged(identity, "its manifest needs that of the tree below, and the name of that is missing")
        }
        guard let below = try open(self.path(of: base).appending(Self.manifestName.string), of: identity) else {
            // A layer goes before what it lies on: when it is gone too, both were removed meanwhile.
            guard Syscall.exists(path) else { throw SnapshotError(identity.description.utf8, .notFound) }
            let found = "the manifest is missing of the tree below it, of \(base)"
            noteDamage(of: base, "its manifest is missing")
            throw damaged(identity, found)
        }
        return ManifestFiles(whole: below, changes: changes)
    }

    /// Opens a file; nil when there is none.
    private func open(_ path: FilePath, of identity: SnapshotIdentity) throws(SnapshotError) -> HeldDescriptor? {
        do throws(SyscallError) {
            return HeldDescriptor(try Syscall.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .reading(identity.description.utf8, error)
        }
    }

    /// Marks the damage of a manifest that does not have its identity, where it is, and gives the error that tells it.
    private func unsound(_ identity: SnapshotIdentity, _ files: ManifestFiles) -> SnapshotError {
        guard files.changes != nil, let base = baseForReading(identity), let below = try? files.readerBelow(),
            (try? digest(below, of: base)) != base.description
        else { return damaged(identity, "its manifest does not have this identity") }
        noteDamage(of: base, "its manifest does not have this identity")
        return damaged(identity, "the manifest of the tree below it, of \(base), does not have its identity")
    }
}
