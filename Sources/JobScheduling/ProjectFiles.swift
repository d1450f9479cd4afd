import Environments
package import LinuxSystem
package import Pipelines
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A project's files, in its snapshot or where its author works: read below its directory, without following links.
package struct ProjectFiles: Sendable {
    /// Directories in which a file is looked for, topmost first.
    package let layers: [FilePath]

    /// The largest document of a project that is read.
    private static let documentLimit = 17 << 20

    /// Files of a stack of directories.
    package init(layers: [FilePath]) { self.layers = layers }

    /// Bytes of a file by its path in the project; nil where there is none.
    ///
    /// What a layer hides, or has as something else than a directory on the way, is not looked for further below.
    package func read(_ path: String) throws(SyscallError) -> [UInt8]? {
        for layer in layers {
            let directory = try Syscall.open(layer, O_RDONLY | O_DIRECTORY)
            do throws(SyscallError) {
                return try Syscall.readFile(
                    FilePath(path), at: directory.number, limit: Self.documentLimit, resolve: [.beneath, .noSymlinks])
            } catch let error where error.errno == .noSuchFileOrDirectory {
                continue
            } catch let error where Self.isHidden(path, at: directory.number, error) {
                return nil
            }
        }
        return nil
    }

    /// Reads a pipeline of the project.
    package func pipeline(_ path: String) throws -> Pipeline {
        guard let bytes = try read(path) else {
            throw SyscallError("open", path, errno: .noSuchFileOrDirectory)
        }
        return try Pipeline(contentsOf: bytes, file: path)
    }

    /// What a pipeline's check asks of the project.
    package func listing() -> ProjectListing {
        let layers = self.layers
        let names: @Sendable (String) -> [String] = { path in
            Self.names(path, in: layers)
        }
        let (environments, unusable) = readEnvironments(names(".orchest/environments"))
        return ProjectListing(environments: environments, unusableEnvironments: unusable, names: names) { path in
            for layer in layers {
                let status: FileStatus
                do throws(SyscallError) {
                    status = try Self.status(of: path, in: layer)
                } catch {
                    if error.errno == .noSuchFileOrDirectory { continue }
                    return .missing
                }
                if Self.isWhiteout(status) { return .missing }
                if status.isDirectory { return .directory }
                if status.isSymbolicLink { return .symlink }
                return status.isRegular ? .file : .special
            }
            return .missing
        }
    }

    /// The status of an entry; a link on the way to it may not lead out of the project.
    private static func status(of path: String, in layer: FilePath) throws(SyscallError) -> FileStatus {
        let directory = try Syscall.open(layer, O_RDONLY | O_DIRECTORY)
        let entry = try Syscall.openLocation(
            FilePath(path.isEmpty ? "." : path), at: directory.number, following: false,
            resolve: [.beneath, .noMagicLinks])
        return try Syscall.fstat(entry.number)
    }

    /// The names that a directory shows; a link on the way to it may not lead out of the project.
    private static func names(_ path: String, in layers: [FilePath]) -> [String] {
        var names: [String] = []
        var seen: Set<[UInt8]> = []
        for layer in layers {
            do throws(SyscallError) {
                let directory = try Syscall.open(layer, O_RDONLY | O_DIRECTORY)
                let opened = try Syscall.open(
                    FilePath(path.isEmpty ? "." : path), at: directory.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                    resolve: [.beneath, .noMagicLinks])
                for entry in try Syscall.directoryEntries(opened.number).prefix(10_000)
                where seen.insert(entry.name).inserted {
                    let status = try? Syscall.lstat(entry.path, at: opened.number)
                    if let status, isWhiteout(status) { continue }
                    names.append(String(decoding: entry.name, as: UTF8.self))
                }
            } catch {
                if error.errno != .noSuchFileOrDirectory { return names }
            }
        }
        return names
    }

    /// Whether it is the device 0/0 by which overlay mounts hide an entry of a layer below.
    private static func isWhiteout(_ status: FileStatus) -> Bool {
        status.mode & S_IFMT == S_IFCHR && status.deviceNumber == 0
    }

    private static func isHidden(_ path: String, at directory: CInt, _ error: SyscallError) -> Bool {
        if error.errno == .notDirectory { return true }
        return (try? Syscall.lstat(FilePath(path), at: directory)).map(isWhiteout) ?? false
    }

    /// The names of environments by their directories, and what is wrong with those that cannot be used.
    private func readEnvironments(
        _ directories: [String]
    ) -> (names: [String: String], unusable: [String: [Diagnostic]]) {
        var names: [String: String] = [:]
        var unusable: [String: [Diagnostic]] = [:]
        // Directories with other names are none of an environment.
        for uuid in directories where EnvironmentProperties.isIdentifier(uuid) {
            let file = ".orchest/environments/\(uuid)/properties.json"
            do {
                guard let bytes = try read(file) else {
                    unusable[uuid] = [
                        Diagnostic(
                            file: file, message: "the environment has no such file",
                            hint: "write the file, or remove the directory")
                    ]
                    continue
                }
                names[uuid] = try EnvironmentProperties(contentsOf: bytes, file: file, directory: uuid).name
            } catch let error as InvalidDocument {
                unusable[uuid] = error.diagnostics
            } catch {
                unusable[uuid] = [Diagnostic(file: file, message: "\(error)")]
            }
        }
        return (names, unusable)
    }
}
