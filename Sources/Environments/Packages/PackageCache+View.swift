import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a build is shown of the packages that are kept.
struct PackageView: Sendable, Hashable {
    /// How many archives it sees.
    var count = 0
    /// The paths of those that were damaged, and are gone.
    var damaged: [String] = []
}

extension PackageCache {
    /// Makes a directory with a link to each archive, at its path; each is read again before.
    ///
    /// The links are to the very files, so that archives can be removed meanwhile; whoever sees the directory gets it
    /// mounted read-only.
    func show(in view: FilePath) throws(SyscallError) -> PackageView {
        guard Syscall.exists(directory) else { return PackageView() }
        return try locked { () throws(SyscallError) in
            var result = PackageView()
            var made: Set<FilePath> = []
            let packages = try index()
            var sound: [KeptPackage] = []
            for package in packages {
                guard isSound(package) else {
                    result.damaged.append(package.path)
                    continue
                }
                sound.append(package)
                let path = view.pushing(FilePath(package.path))
                do throws(SyscallError) {
                    try Self.makeReadable(path.removingLastComponent(), made: &made)
                    try Syscall.link(
                        TerminatedName(archives.appending(package.digest).bytes), at: Syscall.workingDirectory,
                        to: TerminatedName(path.bytes), at: Syscall.workingDirectory)
                    if package.path.hasSuffix(PipForm.bodySuffix) { try Self.addHead(to: path) }
                    result.count += 1
                } catch  where [.fileExists, .notDirectory].contains(error.errno) {
                    // Another archive has that path: whoever wants this one has it from a mirror.
                }
            }
            if sound.count != packages.count { try replaceIndex(sound) }
            return result
        }
    }

    /// Puts the head of an answer beside its body.
    private static func addHead(to body: FilePath) throws(SyscallError) {
        let path = FilePath(String(body.string.dropLast(PipForm.bodySuffix.count)))
        let file = try Syscall.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o444)
        try Syscall.writeAll(file.number, PipForm.head)
        try Syscall.changeMode(of: file.number, 0o444)
    }

    private func isSound(_ package: KeptPackage) -> Bool {
        do throws(SyscallError) {
            let file = try Syscall.open(archives.appending(package.digest), O_RDONLY | O_NOFOLLOW)
            guard try Syscall.fstat(file.number).size == package.size else { return false }
            return try Self.digest(file.number) == package.digest
        } catch {
            // What cannot be read is of no use to a build either.
            return false
        }
    }

    private static func makeReadable(_ folder: FilePath, made: inout Set<FilePath>) throws(SyscallError) {
        guard !made.contains(folder) else { return }
        if !Syscall.exists(folder) {
            try makeReadable(folder.removingLastComponent(), made: &made)
            try Syscall.makeDirectory(folder, mode: 0o755)
            let opened = try Syscall.open(folder, O_RDONLY | O_DIRECTORY)
            try Syscall.changeMode(of: opened.number, 0o755)
        }
        made.insert(folder)
    }
}
