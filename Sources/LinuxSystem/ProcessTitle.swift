import CLinux
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The place of this process's words in its memory, which `ps` shows (proc_pid_cmdline(5)); a fork has it at the same one.
///
/// It cannot be made larger without a privilege: whoever wants to say more later is started with a word of that length.
package struct ProcessTitle: Sendable {
    private let first: UInt, last: UInt

    /// Nil where the kernel does not tell where it is, or it is too small to say anything.
    package init?() {
        guard let bytes = try? Syscall.readFile("/proc/self/stat", limit: 4096),
            let name = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        // Fields 48 and 49 of proc_pid_stat(5); the third is the first behind the name, which may have blanks.
        let fields = String(decoding: bytes[bytes.index(after: name)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 46, let first = UInt(fields[45]), let end = UInt(fields[46]), first > 0, end > first + 1
        else {
            return nil
        }
        (self.first, last) = (first, end - 1)
    }

    /// Shows a text, as far as there is room for it.
    ///
    /// The words of the process, such as `CommandLine.arguments`, are gone from then on.
    package func show(_ text: String) {
        guard let place = UnsafeMutablePointer<UInt8>(bitPattern: first) else { return }
        let room = Int(last - first)
        let bytes = text.utf8.prefix(room - 1)
        for (offset, byte) in bytes.enumerated() { place[offset] = byte }
        for offset in bytes.count..<room { place[offset] = 0 }
        // Where the last byte is none, the kernel shows what is before the first zero as one text.
        place[room] = UInt8(ascii: " ")
    }
}
