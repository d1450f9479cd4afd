package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// All that the sandbox of a command depends on beside files: what was asked for, of which store, by whom, on which
/// kernel, of which build of these programs.
package struct CommandLineKey: Sendable, Hashable {
    /// The program that carries out what is kept, and the one that works out and keeps it.
    static let programNames = ["cloche", "cloche-commands"]

    let bytes: [UInt8]

    /// The key of the words of `exec`, up to `--`; `programs` is the directory of both programs.
    package init(
        words: [String], store: FilePath, programs: FilePath, variable: (String) -> String?
    ) throws(SyscallError) {
        var writer = ByteWriter()
        writer.write(words) { $0.write($1) }
        // A copy of a store has the commands of the one that it was copied from, with the paths of that.
        writer.write(store.string)
        // Each of them says something about the sandbox.
        for name in ["TERM", "CLOCHE_SCRATCH"] { writer.write(variable(name)) { $0.write($1) } }
        for id in [geteuid(), getegid()] { writer.write(id) }
        // An update may exchange one of them alone; built-in policies are in the second one only.
        for name in Self.programNames {
            let status = try Syscall.lstat(programs.appending(name))
            for number in [status.device, status.inode] { writer.write(number) }
            for number in [status.size, status.changed.seconds, status.changed.nanoseconds] { writer.write(number) }
        }
        writer.write(Syscall.kernelRelease())
        bytes = writer.bytes
    }

    /// The name of a file for it; another key with the same name is told by the whole key.
    var fileName: FilePath { FilePath(String(Self.hash(bytes[...]), radix: 16)) }

    /// A number that is another one after an accident (FNV-1a, by words); against nobody's intentions.
    static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ value: UInt64) {
            hash = (hash ^ value) &* 0x0000_0100_0000_01b3
            hash ^= hash >> 29
        }
        bytes.withUnsafeBytes { buffer in
            let words = buffer.count / 8
            for index in 0..<words { add(buffer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)) }
            for index in (words * 8)..<buffer.count { add(UInt64(buffer[index])) }
        }
        add(UInt64(bytes.count))
        return hash
    }
}
