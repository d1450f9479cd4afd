import LinuxSystem
import SystemPackage

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// Lends an empty directory that is gone afterwards.
func withScratch<Value>(_ body: (FilePath) throws -> Value) throws -> Value {
    var template = Array("/tmp/environments-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SyscallError.last("mkdtemp") }
    let directory = FilePath(platformString: template)
    defer { try? empty(directory) }
    return try body(directory)
}

func write(_ name: String, _ text: String, _ directory: FilePath) throws {
    let path = directory.appending(FilePath(name).components)
    try Syscall.makeDirectories(path.removingLastComponent(), mode: 0o755)
    try Syscall.writeFile(path, text.utf8)
}

func text(_ path: FilePath) throws -> String {
    String(decoding: try Syscall.readFile(path, limit: 1 << 20), as: UTF8.self)
}

func entries(_ path: FilePath) throws -> [String] {
    let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
    return try Syscall.directoryEntries(directory.number).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
}

/// Removes a directory with what is in it.
func empty(_ path: FilePath) throws {
    let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in try Syscall.directoryEntries(directory.number) {
        let inner = path.pushing(entry.path)
        if try Syscall.lstat(inner).isDirectory {
            try empty(inner)
        } else {
            try Syscall.unlink(inner)
        }
    }
    try Syscall.unlink(path, directory: true)
}
