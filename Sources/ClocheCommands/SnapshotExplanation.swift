import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

/// Says of paths of a project whether a snapshot would hold them, and what decides.
struct SnapshotExplanation {
    private struct Decision {
        let isLeftOut: Bool
        let reason: String
    }

    private let context: CommandContext
    private let project: CInt
    private let rules: IgnoreRules
    private let stores: StoreRecognition

    init(_ context: CommandContext, project: CInt, includesGit: Bool) throws {
        self.context = context
        self.project = project
        rules = try IgnoreRules(project: project, includesGit: includesGit)
        // Nothing is frozen by an explanation: without a store in use, others are known by their files.
        stores = StoreRecognition(store: try? CommandContext.storePath())
    }

    func print(_ paths: [String], json: Bool) throws {
        let decisions = try paths.map { path in (path, try decision(path)) }
        if json {
            return try context.print(
                Documents.object([
                    (
                        "decisions",
                        .array(
                            decisions.map { path, decision in
                                Documents.object([
                                    ("path", .string(path)), ("left_out", .bool(decision.isLeftOut)),
                                    ("reason", .string(decision.reason)),
                                ])
                            })
                    )
                ]))
        }
        for (path, decision) in decisions {
            try context.print("\(printable(path)): \(printable(decision.reason))")
        }
        for remark in rules.remarks { context.say("note: \(printable(remark))") }
    }

    private func decision(_ argument: String) throws -> Decision {
        let path = pathInProject(FilePath(argument))
        do throws(SnapshotError) {
            if let link = linkAbove(path) {
                return Decision(
                    isLeftOut: true, reason: "left out: `\(printable(link.string))` is a link, with nothing below it")
            }
            let decision = try rules.decision(for: path, in: project)
            let status = try? Syscall.lstat(path, at: project)
            let kind: CaptureNote.Kind? = isInStore(path) ? .store : status.flatMap(CaptureNote.Kind.init(special:))
            if !decision.ignored, let kind {
                return Decision(isLeftOut: true, reason: "left out: \(kind.sentence)")
            }
            return Decision(
                isLeftOut: decision.ignored,
                reason: decision.description + (status == nil ? "; there is no such path now" : ""))
        } catch {
            guard case .system(let cause) = error.reason, cause.errno == .invalidArgument else { throw error }
            throw CommandFailure(
                .usage, "explain `\(printable(argument))`: it is no path inside the project",
                hint: "name it from the project's directory, such as `data/big.csv`")
        }
    }

    /// An absolute path as the project has it, where it lies inside; any other as it is.
    private func pathInProject(_ path: FilePath) -> FilePath {
        guard path.isAbsolute, let root = Self.place(of: project) else { return path }
        var absolute = path.lexicallyNormalized()
        // The last component may be a link, and is meant itself.
        if let above = try? Syscall.openLocation(absolute.removingLastComponent()),
            let directory = Self.place(of: above.number), let name = absolute.lastComponent
        {
            absolute = directory.appending(name)
        }
        return absolute.removePrefix(root) ? absolute : path
    }

    private static func place(of descriptor: CInt) -> FilePath? {
        (try? Syscall.readLink(FilePath("/proc/self/fd/\(descriptor)"))).map { FilePath(bytes: $0) }
    }

    /// The first link on the way to a path.
    private func linkAbove(_ path: FilePath) -> FilePath? {
        prefixes(of: path).dropLast().first { (try? Syscall.lstat($0, at: project))?.isSymbolicLink == true }
    }

    private func isInStore(_ path: FilePath) -> Bool {
        prefixes(of: path).contains { place in
            guard let status = try? Syscall.lstat(place, at: project), status.isDirectory else { return false }
            return stores.isStore(status, name: place.bytes, at: project)
        }
    }

    /// The components of a path one after the other, each with those before it.
    private func prefixes(of path: FilePath) -> [FilePath] {
        var place = FilePath()
        return path.lexicallyNormalized().components.map { component in
            place.append(component)
            return place
        }
    }
}
