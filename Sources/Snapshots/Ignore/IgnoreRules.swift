import LinuxSystem
package import SystemPackage

/// Which files of a project belong to its snapshots.
///
/// The rules are git's: `.gitignore` files at every level, those above a project that lies in a repository too, the
/// repository's `info/exclude`, and its index, because tracked files are never ignored. `.clocheignore` files have the
/// same syntax and come on top: they can take back in what git ignores, and leave out what git tracks. Built-in rules
/// come before all others.
///
/// The user's global excludes (`core.excludesFile`) do not count: they belong to one person's account, and the same
/// project must give the same snapshot whoever takes it, also in a service that runs without that account.
package struct IgnoreRules: Sendable {
    /// Name of git's ignore files.
    static let gitName = Array(".gitignore".utf8)
    /// Name of this program's ignore files.
    static let clocheName = Array(".clocheignore".utf8)

    private static let fileLimit = 4 << 20
    /// Every file is compared with every pattern in the worst case.
    static let patternLimit = 20_000

    /// The scope of the project's directory without its own ignore files.
    let root: IgnoreScope
    /// What could not be taken into account and does no harm, as sentences.
    package let remarks: [String]

    /// Reads what holds for the whole project.
    ///
    /// - Parameters:
    ///   - project: The project's open directory.
    ///   - includesGit: False leaves every `.git` out.
    package init(project: CInt, includesGit: Bool = true) throws(SnapshotError) {
        let repository = try GitRepository(of: project)
        var scope = IgnoreScope(
            root: .init(index: repository.index, exclude: repository.exclude, includesGit: includesGit))
        for list in repository.lists { scope = scope.adding(git: list, cloche: nil) }
        let patternCount = repository.lists.reduce(repository.exclude?.count ?? 0) { $0 + $1.count }
        guard patternCount <= Self.patternLimit else {
            throw SnapshotError(Array("..".utf8), .tooMany("ignore patterns", limit: Self.patternLimit))
        }
        root = scope
        remarks = repository.remarks
    }

    /// Adds the ignore files of a directory to the scope that it was entered with.
    ///
    /// - Parameters:
    ///   - scope: The scope on entering.
    ///   - directory: The open directory.
    ///   - base: Its path relative to the project with a slash at the end; empty for the project itself.
    ///   - patternCount: Counts the patterns of the whole project.
    func scope(
        _ scope: IgnoreScope, in directory: CInt, base: [UInt8], hasGit: Bool, hasCloche: Bool,
        patternCount: inout Int
    ) throws(SnapshotError) -> IgnoreScope {
        func list(_ name: [UInt8]) throws(SnapshotError) -> IgnoreList? {
            try Self.readList(String(decoding: name, as: UTF8.self), at: directory, file: base + name, base: base)
        }
        let git = hasGit && scope.readsGitIgnore ? try list(Self.gitName) : nil
        let cloche = hasCloche ? try list(Self.clocheName) : nil
        patternCount += (git?.count ?? 0) + (cloche?.count ?? 0)
        guard patternCount <= Self.patternLimit else {
            throw SnapshotError(base, .tooMany("ignore patterns", limit: Self.patternLimit))
        }
        return scope.adding(git: git, cloche: cloche)
    }

    /// Decides about one path, and says which rule did.
    ///
    /// - Parameters:
    ///   - path: Relative to the project; what does not exist is taken for a file.
    ///   - project: The project's open directory.
    package func decision(for path: FilePath, in project: CInt) throws(SnapshotError) -> IgnoreDecision {
        let components = path.lexicallyNormalized().components.map { FilePath(root: nil, [$0]).bytes }
        guard path.isRelative, !components.isEmpty, components.first != Array("..".utf8) else {
            throw SnapshotError(path.bytes, .system(SyscallError("explain", errno: .invalidArgument)))
        }
        var scope = root
        var base: [UInt8] = []
        var patternCount = 0
        for (number, component) in components.enumerated() {
            scope = try self.scope(at: base, from: scope, in: project, patternCount: &patternCount)
            let name = base.count
            let full = base + component
            let isDirectory = (try? Syscall.lstat(FilePath(bytes: full), at: project))?.isDirectory ?? false
            let outcome = scope.decide(
                path: full, name: name, isDirectory: isDirectory || number < components.count - 1)
            if case .leaveOut(let reason) = outcome { return IgnoreDecision(ignored: true, reason: reason) }
            if number == components.count - 1 {
                switch outcome {
                case .keepTracked(let rule): return IgnoreDecision(ignored: false, reason: .tracked(instead: rule))
                case .keep(let reason): return IgnoreDecision(ignored: false, reason: reason)
                case .leaveOut(let reason): return IgnoreDecision(ignored: true, reason: reason)
                }
            }
            scope = scope.entering(path: full, name: name, outcome: outcome)
            base = full + [UInt8(ascii: "/")]
        }
        return IgnoreDecision(ignored: false, reason: nil)
    }

    private func scope(
        at base: [UInt8], from scope: IgnoreScope, in project: CInt, patternCount: inout Int
    ) throws(SnapshotError) -> IgnoreScope {
        let directory: OwnedFileDescriptor
        do throws(SyscallError) {
            let path = base.isEmpty ? FilePath(".") : FilePath(bytes: base)
            directory = try Syscall.openLocation(path, at: project, resolve: .withinTree)
        } catch {
            return scope
        }
        return try self.scope(
            scope, in: directory.number, base: base, hasGit: true, hasCloche: true, patternCount: &patternCount)
    }

    /// Reads an ignore file; nil when there is none.
    ///
    /// Links are not followed, as in git.
    ///
    /// - Parameters:
    ///   - path: From an open directory.
    ///   - file: Its path from the project, for explanations.
    ///   - base: See ``IgnoreList``, as for `above`.
    static func readList(
        _ path: String, at directory: CInt, file: [UInt8], base: [UInt8] = [], above: [UInt8] = []
    ) throws(SnapshotError) -> IgnoreList? {
        do throws(SyscallError) {
            let bytes = try Syscall.readFile(FilePath(path), at: directory, limit: fileLimit, resolve: .withinTree)
            return IgnoreList(bytes: bytes, file: file, base: base, above: above)
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels, .invalidArgument: return nil
            case .isDirectory, .improperLink: return nil
            default: throw SnapshotError(file, .ignoreFile(error))
            }
        }
    }
}
