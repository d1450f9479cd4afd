import LinuxSystem
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The last lines of a log, for a place where only a few of them fit.
enum LogTail {
    /// So many bytes are looked at: a line may be a gigabyte.
    private static let piece = 16_384

    /// The last `count` lines, each with its break and safe to show; empty where there is no log.
    static func lines(_ path: FilePath, count: Int, prefix: String, styling: Styling) -> String {
        guard let file = try? Syscall.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            let status = try? Syscall.fstat(file.number), status.isRegular, status.size > 0
        else { return "" }
        let begin = max(0, status.size - Int64(piece))
        lseek(file.number, off_t(begin), SEEK_SET)
        guard let bytes = try? Syscall.read(file.number, upTo: piece) else { return "" }
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // What begins in the middle of a line is none, unless nothing else is there.
        if begin > 0, lines.count > 1 { lines.removeFirst() }
        while let last = lines.last, last.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { lines.removeLast() }
        var sanitizer = LogSanitizer(colours: styling.colours, prefix: prefix, prefixStyle: .dim)
        return lines.suffix(count).map { sanitizer.feed($0 + [0x0A]) }.joined()
    }
}
