package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Tells whether files below a directory are opened or changed (inotify(7)).
///
/// Whoever does so: it watches the files themselves, on every mount that shows them. Links are not followed.
package struct UseWatch: ~Copyable {
    /// What has been seen.
    package enum Use: Int, Sendable, Hashable {
        case none, opened, changed
    }

    private let descriptor: OwnedFileDescriptor
    private var directories: [Int32: FilePath] = [:]
    private let most: Int
    private var seen = Use.none
    /// Whether something may have been missed.
    package private(set) var isIncomplete = false

    /// Watches a directory and those below it, at most so many.
    package init(_ path: FilePath, atMost most: Int) throws(SyscallError) {
        let raw = try Syscall.check("inotify_init1") { inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK)) }
        descriptor = OwnedFileDescriptor(adopting: raw)
        self.most = most
        add(path)
        // Looking for directories has opened each of them.
        var rest = 1024
        while rest > 0, let bytes = try? Syscall.read(descriptor.number, upTo: 65536), !bytes.isEmpty { rest -= 1 }
    }

    /// The number to wait on, which becomes readable when something happens.
    package var number: CInt { descriptor.number }

    /// Takes what has happened, and gives the most of all that has been seen.
    package mutating func update() -> Use {
        while let bytes = try? Syscall.read(descriptor.number, upTo: 65536), !bytes.isEmpty { take(bytes) }
        return seen
    }

    private mutating func take(_ bytes: [UInt8]) {
        var offset = 0
        while offset + 16 <= bytes.count {
            let words = bytes.withUnsafeBytes { space in
                (0..<4).map { space.loadUnaligned(fromByteOffset: offset + 4 * $0, as: UInt32.self) }
            }
            let end = min(offset + 16 + Int(words[3]), bytes.count)
            let name = bytes[(offset + 16)..<end].prefix { $0 != 0 }
            offset = end
            take(Int32(bitPattern: words[0]), words[1], Array(name))
        }
    }

    private mutating func take(_ watch: Int32, _ mask: UInt32, _ name: [UInt8]) {
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { isIncomplete = true }
        let isChange = mask & Self.changes != 0
        if isChange { seen = .changed } else if mask & UInt32(IN_OPEN) != 0, seen == .none { seen = .opened }
        // What is made is a directory to watch as well.
        guard mask & UInt32(IN_ISDIR) != 0, mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0,
            let parent = directories[watch], let component = FilePath(bytes: name).lastComponent
        else { return }
        add(parent.appending(component))
    }

    private mutating func add(_ path: FilePath) {
        var waiting = [path]
        while let next = waiting.popLast() {
            guard directories.count < most else {
                isIncomplete = true
                return
            }
            let flags = Self.changes | UInt32(IN_OPEN) | UInt32(IN_ONLYDIR) | UInt32(IN_DONT_FOLLOW)
            let watch = next.withPlatformString { inotify_add_watch(descriptor.number, $0, flags) }
            guard watch >= 0, let directory = try? Syscall.open(next, O_RDONLY | O_DIRECTORY, resolve: .noSymlinks),
                let entries = try? Syscall.directoryEntries(directory.number)
            else {
                isIncomplete = true
                continue
            }
            directories[watch] = next
            // DT_DIR, or a file system that does not tell: what is none is not watched.
            for entry in entries where entry.type == 4 || entry.type == 0 {
                guard let name = FilePath(bytes: entry.name).lastComponent else { continue }
                if entry.type == 4 { waiting.append(next.appending(name)) } else { isIncomplete = true }
            }
        }
    }

    private static let changes = UInt32(
        IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
}
