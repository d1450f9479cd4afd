import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What git knows of a project's files: in its own repository, or in the one that the project lies in.
///
/// It is looked for as git looks for it: upwards, to the end of the file system, and one of another user is not read.
/// Whatever is wrong with a repository is a remark, and leaves the project usable.
struct GitRepository {
    /// The tracked files of the project, as the project has their paths.
    private(set) var index = GitIndex()
    /// `info/exclude` of the repository.
    private(set) var exclude: IgnoreList?
    /// The `.gitignore` files above the project, the topmost first.
    private(set) var lists: [IgnoreList] = []
    /// What could not be taken into account, as sentences.
    private(set) var remarks: [String] = []

    private static let indexLimit = 256 << 20
    /// Of files that hold a path.
    private static let linkLimit = 8192

    /// The files of a repository, open.
    private struct Directory {
        let own: HeldDescriptor
        /// That of the main working tree, which has `info/exclude`.
        let common: HeldDescriptor
        /// How the two are named.
        let ownName: [UInt8], commonName: [UInt8]
    }

    private enum Finding {
        case directory(Directory)
        case refused(remark: String)
        case none
    }

    /// Finds the repository of an open project.
    init(of project: CInt) throws(SnapshotError) {
        if (try? Syscall.lstat(".git", at: project)) != nil {
            switch Self.repository(at: project, way: [], isProject: true) {
            case .directory(let directory): try read(directory, [])
            case .refused(let remark): remarks.append(remark)
            case .none: remarks.append("`.git` is no repository, so files that git tracks are not known")
            }
            return
        }
        var ancestors = GitAncestors(of: project)
        while let place = ancestors.next() {
            switch Self.repository(at: place.directory.number, way: place.way, isProject: false) {
            case .directory(let directory): try read(directory, ancestors.places)
            case .refused(let remark): remarks.append(remark)
            case .none: continue
            }
            return
        }
    }

    // MARK: Finding

    /// The repository of a directory.
    ///
    /// - Parameters:
    ///   - way: The way to the directory from the project, with a slash at the end.
    ///   - isProject: Whether it is the project, whose own `.git` is part of it whoever it belongs to.
    private static func repository(at directory: CInt, way: [UInt8], isProject: Bool) -> Finding {
        let name = way + Array(".git".utf8)
        guard let status = try? Syscall.lstat(".git", at: directory) else { return .none }
        if status.isDirectory {
            guard
                let opened = try? HeldDescriptor(
                    Syscall.open(".git", at: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: .withinTree))
            else { return isProject ? .none : .refused(remark: unreadable(name)) }
            if !isProject {
                guard isRepository(opened.number) else { return .none }
                guard isTrusted(directory), isTrusted(opened.number) else { return .refused(remark: foreign(name)) }
            }
            return .directory(Directory(own: opened, common: opened, ownName: name, commonName: name))
        }
        guard status.isRegular else { return .none }
        guard isTrusted(status), isProject || isTrusted(directory) else { return .refused(remark: foreign(name)) }
        guard let target = path(in: ".git", at: directory, behind: "gitdir: "), let own = open(target, at: directory),
            (try? Syscall.lstat("HEAD", at: own.number)) != nil
        else { return .refused(remark: unreadable(name)) }
        let common = path(in: "commondir", at: own.number, behind: "").map { open($0, at: own.number) } ?? own
        guard let common else { return .refused(remark: unreadable(name)) }
        guard isTrusted(own.number), isTrusted(common.number) else { return .refused(remark: foreign(name)) }
        return .directory(
            Directory(own: own, common: common, ownName: place(of: own.number), commonName: place(of: common.number)))
    }

    /// A path that a file of a repository holds.
    private static func path(in file: FilePath, at directory: CInt, behind word: String) -> FilePath? {
        guard
            let bytes = try? Syscall.readFile(file, at: directory, limit: linkLimit, resolve: .withinTree),
            bytes.starts(with: word.utf8)
        else { return nil }
        var text = bytes.dropFirst(word.utf8.count)
        while let last = text.last, last == 0x0A || last == 0x0D { text = text.dropLast() }
        return text.isEmpty || text.contains(0) ? nil : FilePath(bytes: text)
    }

    private static func open(_ path: FilePath, at directory: CInt) -> HeldDescriptor? {
        try? HeldDescriptor(Syscall.open(path, at: directory, O_RDONLY | O_DIRECTORY, resolve: .noMagicLinks))
    }

    /// What git asks of a directory before it takes it for a repository.
    private static func isRepository(_ directory: CInt) -> Bool {
        (try? Syscall.lstat("HEAD", at: directory)) != nil
            && ["objects", "refs"].allSatisfy { (try? Syscall.lstat(FilePath($0), at: directory))?.isDirectory == true }
    }

    private static func isTrusted(_ directory: CInt) -> Bool { (try? Syscall.fstat(directory)).map(isTrusted) ?? false }

    /// Whether git would use what this belongs to: the user's own, and behind sudo that of who called it.
    private static func isTrusted(_ status: FileStatus) -> Bool {
        if status.user == Syscall.effectiveUser { return true }
        guard Syscall.effectiveUser == 0, let caller = getenv("SUDO_UID") else { return false }
        return UInt32(String(cString: caller)) == status.user
    }

    private static func place(of descriptor: CInt) -> [UInt8] {
        (try? Syscall.readLink(FilePath("/proc/self/fd/\(descriptor)"))) ?? []
    }

    private static func foreign(_ name: [UInt8]) -> String {
        "the git repository of `\(displayName(name))` belongs to another user, so its ignore rules are not followed"
    }

    private static func unreadable(_ name: [UInt8]) -> String {
        "`\(displayName(name))` leads to no repository that can be read, so files that git tracks are not known"
    }

    // MARK: Reading

    /// Reads a repository, and the ignore files of the directories above the project, the nearest first.
    private mutating func read(_ directory: Directory, _ places: [GitAncestors.Place]) throws(SnapshotError) {
        let whole = places.last?.path ?? []
        exclude = try IgnoreRules.readList(
            "info/exclude", at: directory.common.number, file: directory.commonName + Array("/info/exclude".utf8),
            above: whole)
        var found: [IgnoreList?] = []
        for place in places {
            found.append(
                try IgnoreRules.readList(
                    ".gitignore", at: place.directory.number, file: place.way + IgnoreRules.gitName, above: place.path))
        }
        if let rule = ruleAgainstProject(places, found) {
            exclude = nil
            remarks.append(
                "git ignores the project itself, by \(rule), so the rules of the repository above it are not followed")
            return
        }
        lists = found.reversed().compactMap(\.self)
        readIndex(directory)
        if !whole.isEmpty { index = index.below(whole.dropLast()) }
    }

    /// The rule by which git ignores the project's directory, or one above it.
    private func ruleAgainstProject(_ places: [GitAncestors.Place], _ lists: [IgnoreList?]) -> IgnoreRule? {
        for depth in places.indices.reversed() {
            let rest = depth == 0 ? 0 : places[depth - 1].path.count
            let entry = { (place: GitAncestors.Place) in place.path.dropLast(rest + 1) }
            let name = entry(places[depth])
            var rule: IgnoreRule?
            for above in depth..<places.count where rule == nil {
                rule = lists[above]?.decidingRule(below: entry(places[above]), component: name, isDirectory: true)
            }
            if let top = places.last {
                rule = rule ?? exclude?.decidingRule(below: entry(top), component: name, isDirectory: true)
            }
            if let rule, !rule.reincludes { return rule }
        }
        return nil
    }

    private mutating func readIndex(_ directory: Directory) {
        guard let whole = readIndexFile("index", directory) else { return }
        index = whole
        if let shared = whole.sharedIndex {
            let name = "sharedindex." + String(decoding: shared, as: UTF8.self)
            if let base = readIndexFile(name, directory) { index.formUnion(base) }
        }
    }

    private mutating func readIndexFile(_ name: String, _ directory: Directory) -> GitIndex? {
        let cause: String
        do throws(SyscallError) {
            let bytes = try Syscall.readFile(
                FilePath(name), at: directory.own.number, limit: Self.indexLimit, resolve: .withinTree)
            do throws(GitIndex.Failure) {
                return try GitIndex(bytes: bytes)
            } catch {
                cause = error.text
            }
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            cause = "\(error.errno)"
        }
        let file = displayName(directory.ownName + Array("/index".utf8))
        remarks.append(
            "`\(displayName(directory.ownName))/\(name)` cannot be used (\(cause)), so files that git tracks are not "
                + "known, and ignore rules alone decide; remove `\(file)`, and `git reset` makes it anew")
        return nil
    }
}

/// The directories above a project, one after the other, as long as git would look there for a repository.
struct GitAncestors {
    /// A directory above the project.
    struct Place {
        let directory: HeldDescriptor
        /// The way to it from the project, as in `../../`.
        let way: [UInt8]
        /// The way from it to the project, with a slash at the end.
        let path: [UInt8]
    }

    /// Those that were passed, the nearest first.
    private(set) var places: [Place] = []
    /// Names of the project and the directories above it, the topmost first.
    private var names: [[UInt8]]
    private let project: CInt

    /// Starts at an open project.
    init(of project: CInt) {
        self.project = project
        let place = (try? Syscall.readLink(FilePath("/proc/self/fd/\(project)"))).map { FilePath(bytes: $0) }
        names = place?.components.map { FilePath(root: nil, [$0]).bytes } ?? []
    }

    /// The next directory; nil at the end of the file system, and at a store: what a service received is frozen there.
    mutating func next() -> Place? {
        let child = places.last?.directory.number ?? project
        guard let name = names.popLast(), let below = try? Syscall.fstat(child),
            let above = try? HeldDescriptor(Syscall.openLocation("..", at: child)),
            let status = try? Syscall.fstat(above.number), status.device == below.device,
            // The name is only what it was a moment ago.
            let entry = try? Syscall.lstat(TerminatedName(name), at: above.number),
            entry.device == below.device, entry.inode == below.inode,
            !StoreRecognition(store: nil).isStore(status, name: [], at: above.number)
        else { return nil }
        let last = places.last
        let place = Place(
            directory: above, way: (last?.way ?? []) + Array("../".utf8),
            path: name + [UInt8(ascii: "/")] + (last?.path ?? []))
        places.append(place)
        return place
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
