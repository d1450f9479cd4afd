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
            Self.kind(of: path, in: layers)
        }
    }

    /// So many links are followed, as many as the kernel does.
    private static let mostLinks = 40
    /// Where a step finds the project, and data.
    private static let project = FilePath(StepFile.projectDirectory), data = FilePath(StepFile.dataDirectory)

    /// What a step finds at a path: links lead where they do in its sandbox, and to nothing of this host.
    private static func kind(of path: String, in layers: [FilePath]) -> ProjectListing.Kind {
        var place = project
        var rest = Array(FilePath(path).components.reversed())
        var link = FilePath()
        var isLink = false
        var followed = 0
        while let component = rest.popLast() {
            if component.kind == .currentDirectory { continue }
            guard component.kind == .regular else {
                place.removeLastComponent()
                continue
            }
            place.append(component)
            guard let target = entry(place, in: layers)?.target else { continue }
            link = target
            isLink = isLink || rest.isEmpty
            followed += 1
            guard followed <= mostLinks else { return .dangling(link: link.string) }
            place = link.isAbsolute ? "/" : place.removingLastComponent()
            rest += link.components.reversed()
        }
        guard place.starts(with: project) else {
            return place.starts(with: data) ? .symlink : .outside(link: link.string)
        }
        guard let status = entry(place, in: layers)?.status else {
            return isLink ? .dangling(link: link.string) : .missing
        }
        if status.isDirectory { return .directory }
        guard status.isRegular else { return .special }
        return status.mode & 0o400 == 0 ? .unreadable : .file
    }

    /// An entry of the project, by its path in a sandbox without links; nil where the layers show none.
    private static func entry(
        _ place: FilePath, in layers: [FilePath]
    ) -> (status: FileStatus, target: FilePath?)? {
        var path = place
        guard path.removePrefix(project) else { return nil }
        if path.isEmpty { path = "." }
        for layer in layers {
            do throws(SyscallError) {
                let directory = try Syscall.open(layer, O_RDONLY | O_DIRECTORY)
                let found = try Syscall.openLocation(
                    path, at: directory.number, following: false, resolve: [.beneath, .noSymlinks])
                let status = try Syscall.fstat(found.number)
                if isWhiteout(status) { return nil }
                guard status.isSymbolicLink else { return (status, nil) }
                return (status, FilePath(bytes: try Syscall.readLink(FilePath(), at: found.number)))
            } catch {
                if error.errno != .noSuchFileOrDirectory { return nil }
            }
        }
        return nil
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
