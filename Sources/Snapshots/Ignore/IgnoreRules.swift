import LinuxSystem
package import SystemPackage

/// Which files of a project belong to its snapshots.
///
/// The rules are git's, read from the project alone: `.gitignore` files at every level, `.git/info/exclude`, and
/// `.git/index`, because tracked files are never ignored. `.clocheignore` files have the same syntax and come on top:
/// they can take back in what git ignores, and leave out what git tracks. Built-in rules come before all others.
///
/// The user's global excludes (`core.excludesFile`) do not count: they belong to one person's account, and the same
/// project must give the same snapshot whoever takes it, also in a service that runs without that account.
/// Nor does a repository count whose `.git` lies outside the project.
package struct IgnoreRules: Sendable {
    /// Name of git's ignore files.
    static let gitName = Array(".gitignore".utf8)
    /// Name of this program's ignore files.
    static let clocheName = Array(".clocheignore".utf8)

    private static let fileLimit = 4 << 20
    private static let indexLimit = 256 << 20
    /// Every file is compared with every pattern in the worst case.
    static let patternLimit = 20_000

    private static let resolution: PathResolution = [.beneath, .noSymlinks, .sameMount]

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
        var remarks: [String] = []
        var index = GitIndex()
        var exclude: IgnoreList?
        if let git = try? Syscall.lstat(".git", at: project) {
            if git.isDirectory {
                index = try Self.readIndex(project)
                exclude = try Self.readList([".git", "info", "exclude"], at: project, base: [])
            } else {
                remarks.append("`.git` is not a directory, so files that git tracks are not known")
            }
        }
        root = IgnoreScope(root: .init(index: index, exclude: exclude, includesGit: includesGit))
        self.remarks = remarks
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
        let git = hasGit && scope.readsGitIgnore ? try Self.readList([".gitignore"], at: directory, base: base) : nil
        let cloche = hasCloche ? try Self.readList([".clocheignore"], at: directory, base: base) : nil
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
            directory = try Syscall.openLocation(path, at: project, resolve: Self.resolution)
        } catch {
            return scope
        }
        return try self.scope(
            scope, in: directory.number, base: base, hasGit: true, hasCloche: true, patternCount: &patternCount)
    }

    /// Reads an ignore file; nil when there is none.
    ///
    /// Links are not followed, as in git.
    private static func readList(
        _ components: [String], at directory: CInt, base: [UInt8]
    ) throws(SnapshotError) -> IgnoreList? {
        let relative = components.joined(separator: "/")
        let file = base + Array(relative.utf8)
        do throws(SyscallError) {
            let bytes = try Syscall.readFile(
                FilePath(relative), at: directory, limit: fileLimit, resolve: resolution)
            return IgnoreList(bytes: bytes, file: file, base: base)
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels, .invalidArgument: return nil
            case .isDirectory, .improperLink: return nil
            default: throw SnapshotError(file, .ignoreFile(error))
            }
        }
    }

    private static func readIndex(_ project: CInt) throws(SnapshotError) -> GitIndex {
        guard var index = try readIndexFile("index", project: project) else { return GitIndex() }
        if let shared = index.sharedIndex {
            let name = "sharedindex." + String(decoding: shared, as: UTF8.self)
            if let base = try readIndexFile(name, project: project) { index.formUnion(base) }
        }
        return index
    }

    private static func readIndexFile(_ name: String, project: CInt) throws(SnapshotError) -> GitIndex? {
        let path = ".git/" + name
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try Syscall.readFile(FilePath(path), at: project, limit: indexLimit, resolve: resolution)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw SnapshotError(Array(path.utf8), .gitIndex("\(error.errno)"))
        }
        do throws(GitIndex.Failure) {
            return try GitIndex(bytes: bytes)
        } catch {
            throw SnapshotError(Array(path.utf8), .gitIndex(error.text))
        }
    }
}

extension GitIndex.Failure {
    /// The failure in words.
    var text: String {
        switch self {
        case .malformed(let offset): "malformed at byte \(offset)"
        case .unknownVersion(let version): "version \(version) is not known"
        case .tooLarge: "its names take too much space"
        }
    }
}
