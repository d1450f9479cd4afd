import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What an unpacked tree needs to be an environment, and what it is found to have.
package struct TreeFindings: Sendable, Hashable, Codable {
    /// The program for each kind of step, by language.
    package var interpreters: [String: String] = [:]
    /// The home directory of the user 1000.
    package var home = ""
    /// The suite of a Debian system; nil for every other.
    package var suite: String?
    /// What the system calls itself.
    package var system: String?
    /// Whether the user 1000 was added to the system's list.
    package var addedUser = false

    /// Nothing found.
    package init() {}
}

/// Completes an unpacked tree: the user that steps run as gets a name and a home.
///
/// Everything is reached by openat2(2) with the tree as the root; nothing in it is executed.
struct TreeCompletion {
    private static let user: UInt32 = 1000
    private static let fileLimit = 1 << 20

    let root: CInt
    let owners: OwnerRule
    /// Where programs are looked for: `PATH`, and the home directory where the image names one.
    let path: String
    let home: String?
    /// Where the image starts its commands.
    let directory: String?

    /// Programs that run steps, the best first; a project may need others.
    private static let programs: [(language: String, names: [String])] = [
        ("python", ["python3", "python"]), ("bash", ["bash", "sh"]), ("r", ["Rscript"]), ("julia", ["julia"]),
        ("javascript", ["node", "nodejs"]),
    ]

    func run() throws(ArchiveError) -> TreeFindings {
        var findings = TreeFindings()
        try ArchiveError.calling { () throws(SyscallError) in
            let mode = try Syscall.fstat(root).permissions
            try Syscall.changeMode(of: root, mode & 0o1777 | 0o555)
        }
        let entry = user()
        findings.home = home ?? entry?.home ?? "/home/jovyan"
        if entry == nil { findings.addedUser = try addUser(findings.home) }
        try makeDirectory(findings.home)
        if let directory { try makeDirectory(directory) }
        for (language, names) in Self.programs {
            if let program = names.lazy.compactMap({ self.program($0) }).first {
                findings.interpreters[language] = program
            }
        }
        let release = release()
        findings.suite = release["ID"] == "debian" ? release["VERSION_CODENAME"] : nil
        findings.system = (release["PRETTY_NAME"] ?? release["ID"]).map { printable($0, limit: 120) }
        return findings
    }

    /// The first program of a name on the path that can be executed; links are followed inside.
    private func program(_ name: String) -> String? {
        for directory in path.split(separator: ":") where directory.hasPrefix("/") {
            let candidate = FilePath(String(directory)).appending(name)
            guard let file = try? Syscall.openLocation(candidate, at: root, resolve: TreeUnpacker.inside),
                let status = try? Syscall.fstat(file.number), status.isRegular, status.mode & 0o111 != 0
            else { continue }
            return candidate.string
        }
        return nil
    }

    /// The line of the user 1000 in passwd(5).
    private func user() -> (name: String, home: String)? {
        for line in text("etc/passwd").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 7, fields[2] == "1000", fields[5].hasPrefix("/") else { continue }
            return (String(fields[0]), String(fields[5]))
        }
        return nil
    }

    /// Adds the user to a system that has a list of users; whether it has.
    private func addUser(_ home: String) throws(ArchiveError) -> Bool {
        guard home.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x3A && $0 != 0x7F }) else { return false }
        let taken = text("etc/passwd").split(separator: "\n").contains { $0.hasPrefix("jovyan:") }
        let name = taken ? "cloche" : "jovyan"
        let shell = program("bash") ?? "/bin/sh"
        guard try append("\(name):x:1000:1000::\(home):\(shell)\n", to: "etc/passwd") else { return false }
        let hasGroup = text("etc/group").split(separator: "\n").contains {
            $0.split(separator: ":", omittingEmptySubsequences: false).dropFirst(2).first == "1000"
        }
        if !hasGroup { _ = try append("\(name):x:1000:\n", to: "etc/group") }
        return true
    }

    /// Adds a line to a file; false where there is none.
    private func append(_ line: String, to path: FilePath) throws(ArchiveError) -> Bool {
        let old = text(path)
        guard let file = open(path, O_WRONLY | O_APPEND) else { return false }
        defer { _ = file.number }
        try ArchiveError.calling { () throws(SyscallError) in
            try Syscall.writeAll(file.number, Array(((old.isEmpty || old.hasSuffix("\n") ? "" : "\n") + line).utf8))
        }
        return true
    }

    private func open(_ path: FilePath, _ flags: CInt) -> OwnedFileDescriptor? {
        guard
            let file = try? Syscall.open(
                path, at: root, flags | O_NONBLOCK | O_NOFOLLOW, resolve: TreeUnpacker.inside),
            (try? Syscall.fstat(file.number))?.isRegular == true
        else { return nil }
        return file
    }

    private func text(_ path: FilePath) -> String {
        guard let bytes = try? Syscall.readFile(path, at: root, limit: Self.fileLimit, resolve: TreeUnpacker.inside)
        else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The file of os-release(5), which is often a link.
    private func release() -> [String: String] {
        var values: [String: String] = [:]
        for path in ["etc/os-release", "usr/lib/os-release"] as [FilePath] where values.isEmpty {
            for line in text(path).split(separator: "\n").prefix(100) {
                let parts = line.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { values[String(parts[0])] = parts[1].filter { $0 != "\"" && $0 != "'" } }
            }
        }
        return values
    }

    /// Makes a directory unless it is there; one that is made belongs to the user.
    private func makeDirectory(_ whole: String) throws(ArchiveError) {
        let parts = whole.split(separator: "/").filter { $0 != "." && $0 != ".." }
        var path = FilePath()
        for (index, part) in parts.enumerated() {
            let name = FilePath(String(part))
            let isLast = index == parts.count - 1
            do throws(SyscallError) {
                let above = try Syscall.open(
                    path.isEmpty ? "." : path, at: root, O_RDONLY | O_DIRECTORY, resolve: TreeUnpacker.inside)
                path.append(name.components)
                guard !Syscall.exists(name, at: above.number) else { continue }
                try Syscall.makeDirectory(name, at: above.number, mode: 0o755)
                guard !owners.isSingle else { continue }
                let owner = isLast ? Self.user : 0
                try Syscall.changeOwner(name, at: above.number, user: owner, group: owner)
            } catch  where [.noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels].contains(error.errno) {
                // The image has something else there, and does without.
                return
            } catch {
                throw ArchiveError(error)
            }
        }
    }
}
