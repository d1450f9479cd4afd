import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Opens files of stored trees that show as one by their paths, of any length, without following a link.
///
/// The paths are those of a manifest: what a layer hides is not asked for.
struct StoredTree {
    private let roots: [HeldDescriptor]
    private var directories: [PathCursor]

    /// Opens layers, the top one first.
    init(_ layers: [FilePath]) throws(SyscallError) {
        var roots: [HeldDescriptor] = []
        for layer in layers {
            roots.append(HeldDescriptor(try Syscall.open(layer, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)))
        }
        self.roots = roots
        directories = roots.map { PathCursor(root: $0.number) }
    }

    /// Opens a regular file of the topmost layer that has it.
    mutating func open(_ path: [UInt8]) throws(SyscallError) -> HeldDescriptor {
        var failure = SyscallError("open", errno: .noSuchFileOrDirectory)
        for index in directories.indices {
            do throws(SyscallError) {
                let (directory, name) = try parent(of: path, in: index)
                let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
                return HeldDescriptor(
                    try Syscall.open(name, at: directory, flags, resolve: .withinTree))
            } catch {
                failure = error
                if error.errno != .noSuchFileOrDirectory { break }
            }
        }
        throw failure
    }

    /// The directory of an entry in a layer, lent until the next call, and the entry's name there.
    private mutating func parent(
        of path: [UInt8], in layer: Int
    ) throws(SyscallError) -> (directory: CInt, name: TerminatedName) {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = try directories[layer].descriptor(for: slash.map { Array(path[..<$0]) } ?? [])
        return (directory, TerminatedName(slash.map { path[($0 + 1)...] } ?? path[...]))
    }

    /// Gives a file of the topmost layer that has it a further name.
    mutating func link(_ path: [UInt8], to name: TerminatedName, at place: CInt) throws(SyscallError) {
        var failure = SyscallError("link", errno: .noSuchFileOrDirectory)
        for index in directories.indices {
            do throws(SyscallError) {
                let (directory, old) = try parent(of: path, in: index)
                return try Syscall.link(old, at: directory, to: name, at: place)
            } catch {
                failure = error
                if error.errno != .noSuchFileOrDirectory { break }
            }
        }
        throw failure
    }
}
