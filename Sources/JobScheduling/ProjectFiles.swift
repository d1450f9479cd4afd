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
    package func read(_ path: String) throws(SyscallError) -> [UInt8]? {
        for layer in layers {
            let directory = try Syscall.open(layer, O_RDONLY | O_DIRECTORY)
            do throws(SyscallError) {
                return try Syscall.readFile(
                    FilePath(path), at: directory.number, limit: Self.documentLimit, resolve: [.beneath, .noSymlinks])
            } catch let error where error.errno == .noSuchFileOrDirectory {
                continue
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
            layers.flatMap { layer in
                let directory = path.isEmpty ? layer : layer.appending(path)
                return (try? Self.names(in: directory)) ?? []
            }
        }
        let environments = environmentNames(names(".orchest/environments"))
        return ProjectListing(environments: environments, names: names) { path in
            for layer in layers {
                guard let status = try? Syscall.lstat(layer.appending(path)) else { continue }
                if status.isDirectory { return .directory }
                if status.isSymbolicLink { return .symlink }
                return status.isRegular ? .file : .special
            }
            return .missing
        }
    }

    private static func names(in directory: FilePath) throws(SyscallError) -> [String] {
        let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        return try Syscall.directoryEntries(opened.number).prefix(10_000).map {
            String(decoding: $0.name, as: UTF8.self)
        }
    }

    private func environmentNames(_ directories: [String]) -> [String: String] {
        var names: [String: String] = [:]
        for uuid in directories {
            let file = ".orchest/environments/\(uuid)/properties.json"
            guard let bytes = try? read(file),
                let properties = try? EnvironmentProperties(contentsOf: bytes, file: file, directory: uuid)
            else { continue }
            names[uuid] = properties.name
        }
        return names
    }
}
