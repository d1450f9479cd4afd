import JobScheduling
import LinuxSystem
import PlainText
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What somebody probably meant who named something that is not there.
enum MeantNames {
    /// So many entries of a directory are looked at.
    private static let most = 10_000

    /// What to do about an environment that has not been built.
    static func environment(_ name: String) -> String {
        let bases = Completion.baseNames
        if bases.contains(name) { return "`cloche env build \(name)` builds it" }
        return didYouMean(name, among: Completion.builtEnvironments + bases)
            ?? "`cloche env ls` lists them; `cloche env build NAME` builds a base"
    }

    /// What to do about a file that does not exist.
    static func file(_ path: String) -> String {
        let file = FilePath(path)
        // A service's process tells its client nothing of the host.
        guard ServedClient.current == nil, let name = file.lastComponent?.string else { return "check the name" }
        let directory = file.removingLastComponent()
        guard let opened = try? Syscall.open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY),
            let entries = try? Syscall.directoryEntries(opened.number)
        else { return "check the name" }
        let names = entries.prefix(most).filter { mayBeMeant($0, by: file) }
            .map { String(decoding: $0.name, as: UTF8.self) }
        guard let meant = EditDistance.nearest(to: name, in: names) else { return "check the name" }
        return "did you mean \(quoted(directory.appending(meant).string))?"
    }

    /// Whether an entry can be what a path means: with an ending it means a file, and a pipeline is known by its own.
    private static func mayBeMeant(_ entry: DirectoryEntry, by path: FilePath) -> Bool {
        guard let ending = path.extension else { return true }
        if ending == "orchest", entry.path.extension != ending { return false }
        return entry.type != DT_DIR
    }
}
