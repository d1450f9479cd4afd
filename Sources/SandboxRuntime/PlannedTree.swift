import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The files of a sandbox that is not there yet: its mounts, and what lies in the directories that they show.
struct PlannedTree {
    /// Why a path leads nowhere that can be told.
    enum Obstacle: Error {
        case absent, notDirectory, loop, unsearchable
        case unreadable(String)
        /// The path below /proc.
        case kernel([String])
    }

    /// One file as the command would see it.
    struct Node {
        /// S_IFREG and so on.
        var kind: UInt32
        var permissions: UInt32
        /// Ids inside; 65534 for ids that are not mapped.
        var user: UInt32, group: UInt32
        /// Where a symbolic link leads.
        var link: String?
        /// Whether both ids are mapped.
        var isMapped = true
    }

    /// A mount of the sandbox.
    struct Place {
        enum Content {
            /// Directories of the host, the topmost first, whose entries are laid over each other.
            case layers([String])
            case file(String)
            case kernel
            case devices
            case terminals
            /// An empty directory in memory that everybody may write to.
            case memory
        }

        var target: [String]
        var content: Content
        var isReadOnly = false
        /// What a person calls it.
        var title: String
        /// The owner of the topmost directory, where it is the mount's own and not one of the host's.
        var ownTop: Node?
        /// Whose ids files have that are shown as the sandbox's; nil where they have those already.
        var owner: IdentityMap?

        var isDevices: Bool {
            switch content {
            case .devices, .terminals: true
            default: false
            }
        }
    }

    let facts = HostFacts.probe()
    /// Names in /proc of files that tell of limits instead.
    let viewFiles: Set<String>
    private let places: [Place]
    /// Nodes below /dev that the policy asks for.
    private let devices: [String]
    private let skeleton: Skeleton
    private let identity: IdentityMap
    /// Whoever owns what the set-up makes.
    private let maker: UInt32

    init(_ request: OneSandbox) {
        let (identity, view) = (request.identity, request.view)
        self.identity = identity
        maker = identity.hasRange ? 0 : identity.users.first?.inside ?? IdentityMap.user
        var skeleton = request.skeleton
        skeleton.show(view)
        skeleton.show(request.stage.devices)
        devices = request.stage.devices?.nodes ?? []
        self.skeleton = skeleton
        viewFiles = Set(view.processFiles.keys)
        let environment =
            request.stage.environments.indices.contains(request.sandbox.environment)
            ? request.stage.environments[request.sandbox.environment] : StageSpec.Environment(layers: [])
        var places = [
            Place(
                target: [], content: .layers(environment.layers), title: "the environment, with throw-away changes",
                owner: environment.owner),
            Place(target: ["proc"], content: .kernel, title: "/proc"),
            Place(target: ["dev"], content: .devices, isReadOnly: true, title: "/dev"),
            Place(target: ["dev", "pts"], content: .terminals, isReadOnly: true, title: "/dev/pts"),
            Place(target: ["dev", "shm"], content: .memory, title: "/dev/shm, in memory"),
        ]
        for mount in request.sandbox.mounts {
            let target = mount.target.split(separator: "/").map(String.init)
            switch mount.source {
            case .bind(let index):
                let bind = request.stage.binds[index]
                let isFile = (try? Syscall.lstat(FilePath(bind.source)).isRegular) ?? false
                places.append(
                    Place(
                        target: target, content: isFile ? .file(bind.source) : .layers([bind.source]),
                        isReadOnly: bind.readOnly, title: mount.target + ", of the host", owner: bind.owner))
            case .scratchOver(let index):
                let own = identity.hasRange ? IdentityMap.user : maker
                let bind = request.stage.binds[index]
                places.append(
                    Place(
                        target: target, content: .layers([bind.source]),
                        title: mount.target + ", with throw-away changes",
                        ownTop: Node(kind: S_IFDIR, permissions: 0o755, user: own, group: own), owner: bind.owner))
            case .project, .writable: break
            }
        }
        for companion in request.stage.devices?.companions ?? [] {
            places.append(
                Place(
                    target: companion.target.split(separator: "/").map(String.init),
                    content: companion.isDirectory ? .layers([companion.source]) : .file(companion.source),
                    isReadOnly: true, title: companion.target + ", of the host's driver"))
        }
        self.places = places.sorted { $0.target.count > $1.target.count }
    }

    /// The mount that a path lies on.
    func place(of path: [String]) -> Place {
        // The root is a prefix of everything.
        places.first { path.starts(with: $0.target) } ?? places[places.count - 1]
    }

    /// The file at a path without links in it; nil where there is none.
    func node(_ path: [String]) throws(Obstacle) -> Node? {
        let place = place(of: path)
        let rest = Array(path.dropFirst(place.target.count))
        switch place.content {
        case .kernel:
            guard rest.isEmpty else { throw .kernel(rest) }
            return Node(kind: S_IFDIR, permissions: 0o555, user: maker, group: maker)
        case .devices: return try device(rest)
        case .terminals:
            if rest.isEmpty { return own(S_IFDIR, 0o755) }
            return rest == ["ptmx"] ? own(S_IFCHR, 0o666) : nil
        case .memory: return rest.isEmpty ? own(S_IFDIR, 0o1777) : nil
        case .file(let file):
            guard rest.isEmpty else { throw .notDirectory }
            return try host { () throws(SyscallError) in
                let location = try Syscall.openLocation(FilePath(file))
                return self.node(try Syscall.fstat(location.number), of: place.owner, link: nil)
            }
        case .layers(let layers):
            if rest.isEmpty, let top = place.ownTop { return top }
            if place.target.isEmpty, let node = skeletonNode("/" + rest.joined(separator: "/")) { return node }
            return try node(rest, in: layers, of: place.owner)
        }
    }

    private func own(_ kind: UInt32, _ permissions: UInt32, link: String? = nil) -> Node {
        Node(kind: kind, permissions: permissions, user: maker, group: maker, link: link)
    }

    private func device(_ rest: [String]) throws(Obstacle) -> Node? {
        guard let name = rest.first else { return own(S_IFDIR, 0o755) }
        let path = rest.joined(separator: "/")
        if devices.contains(path) {
            let status = try host { () throws(SyscallError) in try Syscall.lstat(FilePath("/dev/" + path)) }
            return node(status, of: nil, link: nil)
        }
        if devices.contains(where: { $0.hasPrefix(path + "/") }) { return own(S_IFDIR, 0o755) }
        guard rest.count == 1 else { return nil }
        if Stage.devices.contains(name) { return own(S_IFCHR, 0o666) }
        switch name {
        case "ptmx": return own(S_IFLNK, 0o777, link: "pts/ptmx")
        case "fd": return own(S_IFLNK, 0o777, link: "/proc/self/fd")
        case "stdin", "stdout", "stderr":
            let number = ["stdin": 0, "stdout": 1, "stderr": 2][name] ?? 0
            return own(S_IFLNK, 0o777, link: "/proc/self/fd/\(number)")
        case "mqueue": return own(S_IFDIR, 0o755)
        default: return nil
        }
    }

    /// What the set-up lays over the environment.
    private func skeletonNode(_ path: String) -> Node? {
        if let mode = skeleton.directories[path] { return own(S_IFDIR, mode) }
        if skeleton.files[path] != nil { return own(S_IFREG, 0o644) }
        let prefix = path == "/" ? "/" : path + "/"
        let isParent =
            skeleton.directories.keys.contains { $0.hasPrefix(prefix) }
            || skeleton.files.keys.contains { $0.hasPrefix(prefix) }
        return isParent ? own(S_IFDIR, 0o755) : nil
    }

    /// Looks a path up in directories that overlayfs lays over each other.
    private func node(_ path: [String], in layers: [String], of owner: IdentityMap?) throws(Obstacle) -> Node? {
        for layer in layers {
            switch try host({ () throws(SyscallError) in try look(for: path, in: FilePath(layer), of: owner) }) {
            case .found(let node): return node
            case .hidden: return nil
            case .missing: continue
            }
        }
        return nil
    }

    private enum Found {
        case found(Node)
        /// This layer says that there is nothing, whatever the lower ones have.
        case hidden
        case missing
    }

    private func look(
        for path: [String], in layer: FilePath, of owner: IdentityMap?
    ) throws(SyscallError) -> Found {
        var directory = try Syscall.openLocation(layer)
        var status = try Syscall.fstat(directory.number)
        var isOpaque = false
        for (index, part) in path.enumerated() {
            isOpaque = isOpaque || Self.isOpaque(directory.number)
            do throws(SyscallError) {
                status = try Syscall.lstat(FilePath(part), at: directory.number)
            } catch let error where error.errno == .noSuchFileOrDirectory {
                return isOpaque ? .hidden : .missing
            }
            // A whiteout: a character device 0/0.
            if status.mode & S_IFMT == S_IFCHR, status.deviceNumber == 0 { return .hidden }
            if index == path.count - 1 {
                let link =
                    status.isSymbolicLink
                    ? String(decoding: try Syscall.readLink(FilePath(part), at: directory.number), as: UTF8.self) : nil
                return .found(node(status, of: owner, link: link))
            }
            // What is no directory here is not laid over one below.
            guard status.isDirectory else { return .hidden }
            directory = try Syscall.openLocation(
                FilePath(part), at: directory.number, resolve: [.beneath, .noSymlinks])
        }
        return .found(node(status, of: owner, link: nil))
    }

    /// Whether a directory hides those of lower layers; one that cannot be looked at is taken for one that does not.
    private static func isOpaque(_ directory: CInt) -> Bool {
        guard let readable = try? Syscall.open(".", at: directory, O_RDONLY | O_DIRECTORY) else { return false }
        return (try? Syscall.attribute(TerminatedName("user.overlay.opaque".utf8), of: readable.number)) == [0x79]
    }

    /// A file of the host whose ids are shown as the sandbox's, those of `owner`, or are the sandbox's already.
    private func node(_ status: FileStatus, of owner: IdentityMap?, link: String?) -> Node {
        let map = owner ?? identity
        let (user, group) = (inside(status.user, map.users), inside(status.group, map.groups))
        return Node(
            kind: status.mode & S_IFMT, permissions: status.permissions, user: user ?? 65534, group: group ?? 65534,
            link: link, isMapped: user != nil && group != nil)
    }

    private func inside(_ outside: UInt32, _ ranges: [IdentityMap.Range]) -> UInt32? {
        ranges.first { outside >= $0.outside && outside - $0.outside < $0.count }
            .map { $0.inside + (outside - $0.outside) }
    }

    private func host<Value>(_ body: () throws(SyscallError) -> Value) throws(Obstacle) -> Value {
        do throws(SyscallError) {
            return try body()
        } catch {
            throw .unreadable("\(error)")
        }
    }
}
