import LinuxSystem
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A task of a build: what its pip fetched is kept, as far as a package index promises it.
package struct PipTaking: Sendable, Hashable {
    /// The tree or layer in which pip left its log.
    package let tree: FilePath
    /// What has run there: where it could not reach the network, nobody asks an index for it.
    package let command: SandboxCommand
}

extension PackageCache {
    /// How many projects an index is asked for after a build, how large a file may be, and how long all may take.
    private static let projectLimit = 512, fileLimit: Int64 = 1 << 30, timeLimit = 60.0

    /// Keeps what a build's pip has asked for; gives how many files are new, and their size.
    ///
    /// `scratch` is a directory on the file system of the cache. Throws `ChildProgram.Stopped` when cancelled.
    func take(
        _ taking: PipTaking, settings: HostSettings, scratch: FilePath, now: Int64, isCancelled: @escaping () -> Bool
    ) throws -> (count: Int, bytes: Int64) {
        let uses = try Self.uses(in: taking.tree)
        guard !uses.isEmpty else { return (0, 0) }
        let deadline = Syscall.monotonicSeconds() + Self.timeLimit
        var index = PipIndex(settings: settings) { isCancelled() || Syscall.monotonicSeconds() > deadline }
        let projects = Dictionary(grouping: try mark(uses, now: now)) { index.project($0.page) ?? "" }
        var result: (count: Int, bytes: Int64) = (0, 0)
        do {
            for (project, uses) in projects.sorted(by: { $0.key < $1.key }).prefix(Self.projectLimit)
            where !project.isEmpty {
                let pages = try index.pages(of: project)
                for use in uses {
                    guard let digest = pages.lazy.compactMap({ $0[use.address] }).first else { continue }
                    let incoming = scratch.appending(Self.incomingName)
                    // What was kept has gone from there already; what stays goes with the directory.
                    defer { try? Syscall.unlink(incoming) }
                    let fetched = try Self.fetch(use, digest: digest, into: incoming, from: &index)
                    guard let package = fetched.flatMap({ use.package($0.digest, size: $0.size, now: now) }),
                        try keep(package, from: incoming)
                    else { continue }
                    result.count += 1
                    result.bytes += package.size
                }
            }
        } catch is ChildProgram.Stopped where !isCancelled() {
            // The time is over: what has come is kept, and the build waits no longer.
        }
        return result
    }

    static let incomingName = "incoming"

    private static func uses(in tree: FilePath) throws(SyscallError) -> [PipLog.Use] {
        let folder = try Syscall.open(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let log: OwnedFileDescriptor
        do throws(SyscallError) {
            log = try Syscall.open(
                FilePath(String(PipLog.path.dropFirst())), at: folder.number, O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
                resolve: [.beneath, .noSymlinks])
        } catch {
            // A script need not use pip, and may put something else there.
            return []
        }
        guard try Syscall.fstat(log.number).isRegular else { return [] }
        var text: [UInt8] = []
        while text.count < PipLog.limit {
            let part = try Syscall.read(log.number, upTo: 1 << 20)
            if part.isEmpty { break }
            text += part
        }
        return PipLog(text).uses
    }

    /// Notes that kept files were used again; gives what is not kept.
    private func mark(_ uses: [PipLog.Use], now: Int64) throws(SyscallError) -> [PipLog.Use] {
        try locked { () throws(SyscallError) in
            let paths = Dictionary(uses.map { ($0.form.path(of: $0.address), $0) }) { first, _ in first }
            var packages = try index()
            var kept: Set<String> = []
            for number in packages.indices where paths[packages[number].path] != nil {
                packages[number].used = now
                kept.insert(packages[number].path)
            }
            if !kept.isEmpty { try replaceIndex(packages) }
            return paths.filter { !kept.contains($0.key) }.map(\.value).sorted { $0.address < $1.address }
        }
    }

    /// Fetches a file in the form in which pip keeps it; nil where it is not what the index promises.
    private static func fetch(
        _ use: PipLog.Use, digest: String, into path: FilePath, from index: inout PipIndex
    ) throws -> (digest: String, size: Int64)? {
        let file = try Syscall.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        let number = file.number
        let space = try Syscall.fileSystem(of: number).freeBytes - spared
        guard space > 0 else { return nil }
        // What stands before the body has the same length for every size.
        let room = use.form.frame(0).before.count
        try Syscall.writeAll(number, Array(repeating: 0, count: room))
        var hash = StreamDigest()
        var size: Int64 = 0
        do {
            try index.get(use.address, limit: min(fileLimit, space)) { part in
                hash.add(part)
                size += Int64(part.count)
                try Syscall.writeAll(number, part, 0..<part.count)
            }
        } catch is WebFailure {
            return nil
        }
        guard size > 0, hash.hexadecimal == digest else { return nil }
        let frame = use.form.frame(size)
        try Syscall.writeAll(number, frame.after)
        _ = lseek(number, 0, SEEK_SET)
        try Syscall.writeAll(number, frame.before)
        try Syscall.changeMode(of: number, 0o444)
        let opened = try Syscall.open(path, O_RDONLY | O_NOFOLLOW)
        return (try Self.digest(opened.number), size + Int64(room + frame.after.count))
    }

    private func keep(_ package: KeptPackage, from path: FilePath) throws(SyscallError) -> Bool {
        try locked { () throws(SyscallError) in
            var packages = try index()
            guard !packages.contains(where: { $0.digest == package.digest || $0.path == package.path }) else {
                return false
            }
            try Syscall.rename(path, to: archives.appending(package.digest))
            packages.append(package)
            try replaceIndex(Self.bounded(packages))
            return true
        }
    }
}

extension PipLog.Use {
    fileprivate func package(_ digest: String, size: Int64, now: Int64) -> KeptPackage? {
        KeptPackage(digest: digest[...], size: "\(size)", used: now, path: form.path(of: address)[...])
    }
}
