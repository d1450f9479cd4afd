import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The use of a build and of the builds below it: as long as this value lives, nobody removes them.
package final class BuildHold {
    private let files: [OpenedFile]

    fileprivate init(_ files: [OpenedFile]) { self.files = files }

    /// Holds them until this process, and all that it forks, has ended.
    package func keepForLife() {
        for file in files { file.keepForLife() }
    }
}

/// The lock of a name: as long as this value lives, nothing is built or imported under it.
package final class NameLock {
    private let lock: OpenedFile

    fileprivate init(_ lock: OpenedFile) { self.lock = lock }
}

extension EnvironmentStore {
    /// Takes the lock of a name; nil while a build of it runs.
    package func lockForRemoval(_ name: EnvironmentName) throws(StoreError) -> NameLock? {
        guard let lock = try lock(name, isCancelled: { true }, waiting: {}) else { return nil }
        return NameLock(OpenedFile(lock))
    }

    /// Holds a build and its layers; a build that was removed meanwhile is unknown, and one that is damaged is refused.
    package func hold(_ record: BuildRecord) throws(StoreError) -> BuildHold {
        try requireSound(record)
        var files: [OpenedFile] = []
        for build in Set([record.id] + record.layers).sorted() {
            do throws(StoreError) {
                guard let file = try lock(build: build, LOCK_SH) else { throw .unknownBuild(build) }
                files.append(file)
            } catch {
                // Who has seized it is about to remove it.
                if case .system(let cause) = error, cause.errno == .wouldBlock { throw .unknownBuild(build) }
                throw error
            }
        }
        return BuildHold(files)
    }

    /// The paths of what says which build is in force, and whether it is sound; and of the records that `hold` locks.
    package func sources(of name: EnvironmentName, _ record: BuildRecord) -> (files: [FilePath], builds: [FilePath]) {
        let builds = ([record.id] + record.layers).map { path(of: $0) }
        return (
            [directory.appending("names"), namePath(name)] + builds.flatMap { [$0, $0.appending(Self.damagedName)] },
            builds.map { $0.appending("build.json") }
        )
    }

    /// Keeps a build from being removed while it is read; a build that was removed meanwhile is unknown.
    func lockForReading(_ build: String) throws(StoreError) -> BuildHold {
        guard let file = try lock(build: build, LOCK_SH) else { throw .unknownBuild(build) }
        return BuildHold([file])
    }

    /// Takes a build for removal, so that nobody can hold it any more; nil while somebody does.
    ///
    /// What has no record is no build, and nobody can hold it.
    package func seize(_ build: String) throws(StoreError) -> BuildHold? {
        do throws(StoreError) {
            return BuildHold([try lock(build: build, LOCK_EX)].compactMap(\.self))
        } catch {
            if case .system(let cause) = error, cause.errno == .wouldBlock { return nil }
            throw error
        }
    }

    /// Locks the record of a build, which never changes; nil where it is gone.
    private func lock(build: String, _ kind: CInt) throws(StoreError) -> OpenedFile? {
        guard EnvironmentName(build) != nil else { throw .unknownBuild(build) }
        let path = path(of: build).appending("build.json")
        return try system { () throws(SyscallError) in
            guard Syscall.exists(path) else { return nil }
            let file = OpenedFile(try Syscall.open(path, O_RDONLY | O_NOFOLLOW))
            try Syscall.flock(file.number, kind | LOCK_NB)
            return try Syscall.fstat(file.number).links > 0 ? file : nil
        }
    }
}
