import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What the command of a sandbox may do with files: told from what its launch is made of, and from the directories that
/// it would show, without starting it.
///
/// Links are followed as inside, and never on the host.
package struct PlannedFiles {
    /// What is to be done with a file.
    package enum Access: String, Sendable, Hashable {
        case read, write, execute
        /// For reading and writing; nothing is made.
        case open
    }

    /// What the plan says of it.
    package struct Answer: Sendable, Hashable {
        /// Nil where the plan cannot tell.
        package var isAllowed: Bool?
        package var reason: String
    }

    private let tree: PlannedTree
    private let user: UInt32
    private let overridesModes: Bool

    /// Looks at what `request` would show.
    package init(_ request: OneSandbox) {
        tree = PlannedTree(request)
        overridesModes = request.sandbox.policy.identity == .namespaceRoot
        user = overridesModes ? 0 : IdentityMap.user
    }

    /// Whether the command may access a file in that way; `path` is absolute.
    package func answer(_ access: Access, _ path: String) -> Answer {
        do throws(PlannedTree.Obstacle) {
            let found = try resolve(path)
            guard let node = found.node else {
                guard access == .write else { return refused("there is no such file (ENOENT)") }
                guard !found.place.isReadOnly else { return refused("\(found.place.title) is read-only (EROFS)") }
                return allows(found.parent, 0o3)
                    ? allowed("a new file in \(found.place.title)")
                    : refused("the directory belongs to somebody else (EACCES)")
            }
            return answer(access, node, found.place)
        } catch {
            return answer(access, error)
        }
    }

    private func answer(_ access: Access, _ node: PlannedTree.Node, _ place: PlannedTree.Place) -> Answer {
        if node.kind == S_IFSOCK { return refused("it is a socket (ENXIO)") }
        if node.kind == S_IFCHR || node.kind == S_IFBLK, !place.isDevices {
            return refused("devices have no effect there (EACCES)")
        }
        switch access {
        case .read: break
        case .write, .open:
            if node.kind == S_IFDIR { return refused("it is a directory (EISDIR)") }
            // The nodes of a read-only /dev are as writable as their devices.
            if place.isReadOnly, node.kind != S_IFCHR { return refused("\(place.title) is read-only (EROFS)") }
        case .execute:
            if node.kind != S_IFREG { return refused("it is no program (EACCES)") }
            if place.isDevices { return refused("nothing is executed there (EACCES)") }
        }
        let bit: UInt32 =
            switch access {
            case .read: 0o4
            case .write: 0o2
            case .open: 0o6
            case .execute: 0o1
            }
        guard allows(node, bit) else {
            return refused("its mode is \(String(node.permissions, radix: 8)), of user \(node.user) (EACCES)")
        }
        return allowed("in \(place.title)")
    }

    private func answer(_ access: Access, _ obstacle: PlannedTree.Obstacle) -> Answer {
        switch obstacle {
        case .absent: refused("there is no such file (ENOENT)")
        case .notDirectory: refused("a part of the path is no directory (ENOTDIR)")
        case .loop: refused("too many links (ELOOP)")
        case .unsearchable: refused("a directory on the way belongs to somebody else (EACCES)")
        case .unreadable(let reason): Answer(isAllowed: nil, reason: "the host's files cannot be looked at: \(reason)")
        case .kernel(let path): kernelFile(access, path)
        }
    }

    /// What a file of procfs answers: the kernel decides, but where it is covered.
    private func kernelFile(_ access: Access, _ path: [String]) -> Answer {
        let facts = tree.facts
        let (name, first) = (path.joined(separator: "/"), path.first ?? "")
        if facts.maskedFiles.contains(name) { return refused("it is covered: nothing can be read there, or written") }
        if facts.maskedDirectories.contains(first) {
            return path.count == 1 && access == .read
                ? allowed("an empty directory covers it") : refused("an empty directory covers it (ENOENT)")
        }
        if access == .execute { return refused("nothing in /proc is executed (EACCES)") }
        if tree.viewFiles.contains(name) {
            return access == .read
                ? allowed("as of a machine of its own, within its limits") : refused("it is read-only (EROFS)")
        }
        if access != .read, facts.readOnlyPaths.contains(first) {
            return refused("/proc/\(first) is read-only (EROFS)")
        }
        return Answer(isAllowed: nil, reason: "the plan cannot tell: the kernel decides; --prove does it")
    }

    private func allowed(_ reason: String) -> Answer { Answer(isAllowed: true, reason: reason) }
    private func refused(_ reason: String) -> Answer { Answer(isAllowed: false, reason: reason) }
}

extension PlannedFiles {
    /// The most links on one path (path_resolution(7)).
    private static let mostLinks = 40

    /// Follows a path as the kernel would for the command; the node is nil where only the last part is missing.
    private func resolve(_ path: String) throws(PlannedTree.Obstacle) -> (
        node: PlannedTree.Node?, parent: PlannedTree.Node, place: PlannedTree.Place
    ) {
        var rest = Array(path.split(separator: "/").map(String.init).reversed())
        var links = 0
        var here: [String] = []
        guard var node = try tree.node(here) else { throw .absent }
        while let part = rest.popLast() {
            if part == "." { continue }
            guard node.kind == S_IFDIR else { throw .notDirectory }
            guard allows(node, 0o1) else { throw .unsearchable }
            if part == ".." {
                here = here.dropLast()
                guard let parent = try tree.node(here) else { throw .absent }
                node = parent
                continue
            }
            let next = here + [part]
            guard let child = try tree.node(next) else {
                guard rest.isEmpty else { throw .absent }
                return (nil, node, tree.place(of: next))
            }
            if let link = child.link {
                links += 1
                guard links <= Self.mostLinks else { throw .loop }
                rest += link.split(separator: "/").map(String.init).reversed()
                if link.hasPrefix("/") {
                    here = []
                    guard let root = try tree.node([]) else { throw .absent }
                    node = root
                }
                continue
            }
            (here, node) = (next, child)
        }
        return (node, node, tree.place(of: here))
    }

    /// Whether the command has all of the rights `bits` (4 read, 2 write, 1 execute) to a file.
    private func allows(_ node: PlannedTree.Node, _ bits: UInt32) -> Bool {
        if overridesModes, node.isMapped {
            // CAP_DAC_OVERRIDE executes what anybody may execute (capabilities(7)).
            return bits & 1 == 0 || node.kind == S_IFDIR || node.permissions & 0o111 != 0
        }
        let shift: UInt32 = node.user == user ? 6 : node.group == user ? 3 : 0
        return (node.permissions >> shift) & bits == bits
    }
}
