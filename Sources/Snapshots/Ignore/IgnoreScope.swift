/// The rules in force inside one directory.
///
/// Rules of the directory come first, then those of the directories above it; `.clocheignore` files before all
/// `.gitignore` files, and `.git/info/exclude` last. A scope never changes, so directories without ignore files
/// share the scope of their parent.
final class IgnoreScope: Sendable {
    /// What happens to an entry.
    enum Outcome: Sendable {
        /// Taken; inside a directory the scope goes on.
        case keep(IgnoreDecision.Reason?)
        case leaveOut(IgnoreDecision.Reason)
        /// A directory that git ignores, of which only tracked files are taken.
        case keepTracked(IgnoreRule)
    }

    private let parent: IgnoreScope?
    private let git: IgnoreList?
    private let cloche: IgnoreList?
    /// Set in directories that git ignores but that hold tracked files.
    private let trackedOnly: IgnoreRule?
    private let isInsideGit: Bool
    private let root: Root

    /// What holds for the whole project.
    struct Root: Sendable {
        let index: GitIndex
        let exclude: IgnoreList?
        let includesGit: Bool
    }

    /// The scope of the project's own directory before its ignore files are read.
    init(root: Root) {
        self.root = root
        parent = nil
        git = nil
        cloche = nil
        trackedOnly = nil
        isInsideGit = false
    }

    private init(
        parent: IgnoreScope, git: IgnoreList? = nil, cloche: IgnoreList? = nil, trackedOnly: IgnoreRule? = nil,
        isInsideGit: Bool? = nil
    ) {
        self.root = parent.root
        self.parent = parent
        self.git = git
        self.cloche = cloche
        self.trackedOnly = trackedOnly ?? parent.trackedOnly
        self.isInsideGit = isInsideGit ?? parent.isInsideGit
    }

    /// Whether `.gitignore` files count here: not inside `.git`, nor where git ignores the directory itself.
    var readsGitIgnore: Bool { !isInsideGit && trackedOnly == nil }

    /// The scope with the ignore files of its own directory.
    func adding(git: IgnoreList?, cloche: IgnoreList?) -> IgnoreScope {
        git == nil && cloche == nil ? self : IgnoreScope(parent: self, git: git, cloche: cloche)
    }

    /// The scope inside a directory that `decide` let pass.
    func entering(path: [UInt8], name: Int, outcome: Outcome) -> IgnoreScope {
        if case .keepTracked(let rule) = outcome {
            return trackedOnly == nil ? IgnoreScope(parent: self, trackedOnly: rule) : self
        }
        if !isInsideGit, path[name...].elementsEqual(".git".utf8) {
            return IgnoreScope(parent: self, isInsideGit: true)
        }
        return self
    }

    /// Decides about an entry of the scope's directory.
    ///
    /// - Parameters:
    ///   - path: The entry relative to the project.
    ///   - name: Where its last component begins.
    func decide(path: [UInt8], name: Int, isDirectory: Bool) -> Outcome {
        if let pattern = builtInRule(path: path, name: name) { return .leaveOut(.builtIn(pattern)) }
        if let rule = rule(.cloche, path: path, name: name, isDirectory: isDirectory) {
            if !rule.reincludes { return .leaveOut(.rule(rule)) }
            if trackedOnly == nil { return .keep(.rule(rule)) }
        }
        if isInsideGit || path[name...].elementsEqual(".git".utf8) { return .keep(nil) }
        guard
            let rule = trackedOnly
                ?? rule(.git, path: path, name: name, isDirectory: isDirectory)
                ?? root.exclude?.decidingRule(path: path, name: name, isDirectory: isDirectory)
        else { return .keep(nil) }
        if rule.reincludes { return .keep(.rule(rule)) }
        // A tracked directory is a submodule.
        if root.index.contains(path) { return .keep(.tracked(instead: rule)) }
        if isDirectory, root.index.hasNames(below: path) { return .keepTracked(rule) }
        return .leaveOut(.rule(rule))
    }

    private enum Kind {
        case git
        case cloche
    }

    private func rule(
        _ kind: Kind, path: [UInt8], name: Int, isDirectory: Bool
    ) -> IgnoreRule? {
        var scope: IgnoreScope? = self
        while let current = scope {
            let list = kind == .git ? current.git : current.cloche
            if let rule = list?.decidingRule(path: path, name: name, isDirectory: isDirectory) { return rule }
            scope = current.parent
        }
        return nil
    }

    /// The built-in rules hold against every other rule, and for tracked files too.
    private func builtInRule(path: [UInt8], name: Int) -> String? {
        let component = path[name...]
        if component.first == UInt8(ascii: ".") {
            if component.elementsEqual(".ipynb_checkpoints".utf8) { return ".ipynb_checkpoints" }
            if !root.includesGit, component.elementsEqual(".git".utf8) { return ".git" }
        }
        guard path.starts(with: ".orchest/pipelines/".utf8) else { return nil }
        let isPlace = path.dropFirst(".orchest/pipelines/".utf8.count).count { $0 == UInt8(ascii: "/") } == 1
        let isKept = !component.elementsEqual("logs".utf8) && !component.elementsEqual("data".utf8)
        return isPlace && !isKept ? ".orchest/pipelines/*/{logs,data}" : nil
    }
}
