import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The files of a project that a set-up script names, such as `requirements.txt`: what it most likely reads.
///
/// Their content counts as an input of the build. Files that a script finds in other ways do not: that would make every
/// change of a project a reason to build.
enum NamedFiles {
    /// The most files that count, and the largest, in bytes.
    private static let countLimit = 64, sizeLimit = 4 << 20

    /// The files below `project`, an absolute path, by the names that the script has for them.
    static func read(_ script: [UInt8], project: FilePath?) -> [String: [UInt8]] {
        guard let project, let directory = try? Syscall.open(project, O_RDONLY | O_DIRECTORY) else { return [:] }
        var files: [String: [UInt8]] = [:]
        let separators = Set("\"' \t\r\n;&|()<>=`$".utf8)
        for line in script.split(separator: 0x0A) where line.first(where: { $0 != 0x20 && $0 != 0x09 }) != 0x23 {
            for word in line.split(whereSeparator: separators.contains) {
                guard files.count < countLimit, var name = String(validating: word, as: UTF8.self) else { continue }
                for prefix in ["/project-dir/", "./"] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
                guard !name.isEmpty, !name.hasPrefix("/"), !name.hasPrefix("-"), files[name] == nil,
                    let content = try? Syscall.readFile(
                        FilePath(name), at: directory.number, limit: sizeLimit, resolve: [.beneath, .noSymlinks])
                else { continue }
                files[name] = content
            }
        }
        return files
    }
}
