import Isolation
import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Measures hostile trees up to a limit, with memory that does not depend on what is in them.
///
/// Trees are walked below their descriptors, without following links or entering mounts. A file with several names counts
/// for each name with its share, a sparse one with what is set aside for it.
struct RoomMeasure {
    /// A directory that is measured.
    struct Tree: Sendable, Hashable {
        /// Where it is for the one who measures.
        var path: String
        /// Where a sandbox sees it; nil where none does.
        var shown: String?
        /// Whether it holds layers, each of which is seen there.
        var hasLayers = false
    }

    /// A directory on the way from the tree's own to the one that is read.
    private final class Level {
        let descriptor: OwnedFileDescriptor
        let name: [UInt8]
        var entries: [DirectoryEntry] = []
        var next = 0
        var bytes: Int64 = 0, files: Int64 = 0

        init(_ descriptor: consuming OwnedFileDescriptor, name: [UInt8]) {
            self.descriptor = descriptor
            self.name = name
        }
    }

    /// More levels than projects have; each holds a descriptor, so that nobody can lead the way back astray.
    private static let mostLevels = 800

    private let limit: ByteCount
    private(set) var written = WrittenRoom()

    init(limit: ByteCount) { self.limit = limit }

    /// Whether there is no need to look further.
    var isOver: Bool { written.exceeds(limit) }

    /// Adds what is in a tree; one that is not there has nothing in it.
    mutating func add(_ tree: Tree) throws(SyscallError) {
        let root: OwnedFileDescriptor
        do throws(SyscallError) {
            root = try Syscall.open(FilePath(tree.path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return
        }
        written.bytes += try Syscall.fstat(root.number).allocated
        var levels = [Level(root, name: [])]
        while let level = levels.last, !isOver {
            if level.next == level.entries.count {
                level.next = 0
                guard let entries = try Syscall.nextDirectoryEntries(level.descriptor.number, bytes: 4096) else {
                    leave(&levels, tree)
                    continue
                }
                level.entries = entries
            }
            guard level.next < level.entries.count else { continue }
            let name = level.entries[level.next].name
            level.next += 1
            try add(name, to: &levels, tree)
        }
        // What is known of the directories that were not read to their end.
        while !levels.isEmpty { leave(&levels, tree) }
    }

    private mutating func add(_ name: [UInt8], to levels: inout [Level], _ tree: Tree) throws(SyscallError) {
        guard let level = levels.last else { return }
        // What has gone meanwhile takes nothing.
        guard let status = try? Syscall.lstat(TerminatedName(name), at: level.descriptor.number) else { return }
        let isShared = !status.isDirectory && status.links > 1
        let size = isShared ? status.allocated / Int64(clamping: status.links) : status.allocated
        level.bytes += size
        level.files += 1
        written.bytes += size
        written.files += 1
        guard status.isDirectory else {
            if size >= Self.leastShown, levels.count > 1 + (tree.hasLayers ? 1 : 0) {
                consider(levels, name, tree, bytes: size, files: 1)
            }
            if levels.count == 1 + (tree.hasLayers ? 1 : 0) { consider(levels, name, tree, bytes: size, files: 1) }
            return
        }
        guard levels.count < Self.mostLevels else { return written.isTooDeep = true }
        do throws(SyscallError) {
            let directory = try Syscall.open(
                TerminatedName(name), at: level.descriptor.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                resolve: [.beneath, .noSymlinks, .sameMount])
            levels.append(Level(directory, name: name))
        } catch {
            // Else it has been moved away, or is something else by now: the next look sees it where it is.
            if error.errno == .tooManyOpenFiles { written.isTooDeep = true }
        }
    }

    /// A file deep in the tree is worth naming beside the directory that it is in.
    private static let leastShown: Int64 = 1 << 20

    private mutating func leave(_ levels: inout [Level], _ tree: Tree) {
        guard let level = levels.popLast(), let above = levels.last else { return }
        above.bytes += level.bytes
        above.files += level.files
        if levels.count == 1 + (tree.hasLayers ? 1 : 0), level.files > 0 {
            consider(levels, level.name, tree, bytes: level.bytes, files: level.files)
        }
    }

    private mutating func consider(_ levels: [Level], _ name: [UInt8], _ tree: Tree, bytes: Int64, files: Int64) {
        guard let shown = tree.shown else { return }
        let names = levels.dropFirst(tree.hasLayers ? 2 : 1).map(\.name) + [name]
        let path = (shown == "/" ? "" : shown) + "/" + names.map { displayName($0) }.joined(separator: "/")
        written.consider(
            .init(path: path.count > 200 ? String(path.prefix(200)) + "…" : path, bytes: bytes, files: files))
    }

    /// Adds a file that has no name any more.
    mutating func add(nameless path: [UInt8], _ status: FileStatus) {
        written.bytes += status.allocated
        written.files += 1
        written.consider(
            .init(path: displayName(path.prefix(200)) + " (removed, and open)", bytes: status.allocated, files: 1))
    }
}
