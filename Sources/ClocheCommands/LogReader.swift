import Isolation
import LinuxSystem
import PlainText
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What of a log is wanted, and how it is shown.
struct LogSelection {
    enum Form { case text, timestamps, raw, json }

    /// So many of the last lines; nil is all.
    var tail: Int?
    /// What came from then on.
    var since: Timestamp?
    /// Only lines with these bytes in them.
    var text: [UInt8]?
    var form: Form

    /// The same of all lines.
    var withoutTail: LogSelection {
        var selection = self
        selection.tail = nil
        return selection
    }
}

/// Reads one log from where it stopped.
///
/// A log is the command's: it is read as a regular file and in bounded pieces, and shown without what would act on a
/// terminal, unless its raw bytes are wanted.
struct LogReader {
    private let path: FilePath
    private let selection: LogSelection
    private let step: String
    private let isAlone: Bool
    private var offset: UInt64?
    private var sanitizer: LogSanitizer
    /// The beginning of a line whose end has not been read.
    private var rest: [UInt8] = []

    init(_ path: FilePath, _ selection: LogSelection, step: String, isAlone: Bool, colours: Bool) {
        self.path = path
        self.selection = selection
        self.step = step
        self.isAlone = isAlone
        sanitizer = LogSanitizer(colours: colours, prefix: isAlone ? "" : "\(step) | ", prefixStyle: .dim)
    }

    /// Shows what has been written since the last call, all but a line that is not complete.
    mutating func read(_ write: ([UInt8]) throws -> Void) throws {
        // A step that has not started has no log.
        guard Syscall.exists(path) else { return }
        let file = try Syscall.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        let status = try Syscall.fstat(file.number)
        guard status.isRegular else {
            throw CommandFailure(.invalidData, "read the log `\(printable(path.string))`: it is no regular file")
        }
        let times = needsTimes ? LogTimes(path) : nil
        var position = try offset ?? beginning(file.number, UInt64(status.size), times)
        while true {
            let bytes = try Self.read(file.number, upTo: Self.piece, at: position)
            if bytes.isEmpty { break }
            if isByLine {
                try show(lines: bytes, from: position, times, write)
            } else {
                try write(selection.form == .raw ? bytes : Array(sanitizer.feed(bytes).utf8))
            }
            position += UInt64(bytes.count)
        }
        offset = position
    }

    /// Shows the last line, where it has no end.
    mutating func finish(_ write: ([UInt8]) throws -> Void) throws {
        if isByLine, !rest.isEmpty {
            let line = rest
            rest = []
            let times = needsTimes ? LogTimes(path) : nil
            try write(shown(line[...], ends: false, at: (offset ?? 0) - UInt64(line.count), times))
        }
        if !isByLine, selection.form != .raw { try write(Array(sanitizer.finish().utf8)) }
    }

    private static let piece = 1 << 16
    /// Longer lines are shown as several.
    private static let longestLine = 1 << 20

    private var isByLine: Bool { selection.text != nil || selection.form == .timestamps || selection.form == .json }

    private var needsTimes: Bool {
        selection.form == .timestamps || selection.form == .json || (offset == nil && selection.since != nil)
    }

    private mutating func show(
        lines bytes: [UInt8], from start: UInt64, _ times: LogTimes?, _ write: ([UInt8]) throws -> Void
    ) throws {
        // Most pieces of a long log have nothing of what is looked for: their lines need not be told apart.
        if let text = selection.text, let end = bytes.lastIndex(of: 0x0A), !(rest + bytes[..<end]).contains(bytes: text)
        {
            rest = Array(bytes[(end + 1)...])
            return
        }
        var output: [UInt8] = []
        var position = start - UInt64(rest.count)
        var remaining = bytes[...]
        while let end = remaining.firstIndex(of: 0x0A) {
            let line = rest.isEmpty ? remaining[..<end] : (rest + remaining[..<end])[...]
            output += shown(line, ends: true, at: position, times)
            position += UInt64(line.count) + 1
            rest = []
            remaining = remaining[(end + 1)...]
        }
        rest += remaining
        if rest.count > Self.longestLine {
            output += shown(rest[...], ends: false, at: position, times)
            rest = []
        }
        try write(output)
    }

    private func shown(_ line: ArraySlice<UInt8>, ends: Bool, at position: UInt64, _ times: LogTimes?) -> [UInt8] {
        if let text = selection.text, !line.contains(bytes: text) { return [] }
        var one = sanitizer
        switch selection.form {
        case .raw: return line + (ends ? [0x0A] : [])
        case .text: return Array((one.feed(line) + one.finish()).utf8)
        case .timestamps:
            one = LogSanitizer(colours: false)
            let time = times?.time(at: position)?.description ?? ""
            return Array("\(time)  \(isAlone ? "" : printable(step) + " | ")\(plain(line))\n".utf8)
        case .json:
            struct Line: Encodable {
                var time: Timestamp?
                var step: String
                var line: String
            }
            // A line is text and a time: it can always be written.
            return JSONFile.encode(Line(time: times?.time(at: position), step: step, line: plain(line))) ?? []
        }
    }

    private func plain(_ line: ArraySlice<UInt8>) -> String {
        var sanitizer = LogSanitizer(colours: false)
        return (sanitizer.feed(line) + sanitizer.finish()).filter { $0 != "\n" }
    }

    private static func read(_ file: CInt, upTo limit: Int, at offset: UInt64) throws(SyscallError) -> [UInt8] {
        // A regular file takes any place; behind its end there is nothing to read.
        _ = lseek(file, off_t(clamping: offset), SEEK_SET)
        return try Syscall.read(file, upTo: limit)
    }

    // MARK: Where to begin

    private func beginning(_ file: CInt, _ size: UInt64, _ times: LogTimes?) throws -> UInt64 {
        var begin: UInt64 = 0
        // Without an index, too much is better than nothing.
        if let since = selection.since, let times, !times.isEmpty { begin = times.offset(since: since) ?? size }
        if begin > 0, begin < size { begin = try lineStart(file, before: begin, count: 1) }
        if let tail = selection.tail { begin = max(begin, try tailStart(file, size, tail)) }
        return begin
    }

    private func tailStart(_ file: CInt, _ size: UInt64, _ lines: Int) throws -> UInt64 {
        guard lines > 0, size > 0 else { return size }
        // A line break at the very end ends the last line; it begins none.
        let last = try Self.read(file, upTo: 1, at: size - 1)
        return try lineStart(file, before: last == [0x0A] ? size - 1 : size, count: lines)
    }

    /// Behind the line break that is the `count`th one before `end`.
    private func lineStart(_ file: CInt, before end: UInt64, count: Int) throws -> UInt64 {
        var end = end, count = count
        while end > 0 {
            let begin = end - min(end, UInt64(Self.piece))
            let bytes = try Self.read(file, upTo: Int(end - begin), at: begin)
            for index in bytes.indices.reversed() where bytes[index] == 0x0A {
                count -= 1
                if count == 0 { return begin + UInt64(index) + 1 }
            }
            end = begin
        }
        return 0
    }
}

/// The index beside a log: when the bytes at an offset came.
struct LogTimes {
    private var records: [(offset: UInt64, time: Timestamp)] = []

    init(_ log: FilePath) {
        let path = log.removingLastComponent().appending((log.stem ?? "") + ".idx")
        // The log is whole without it; its lines are shown without times.
        guard let bytes = try? Syscall.readFile(path, limit: 64 << 20) else { return }
        for index in stride(from: 0, to: bytes.count - 15, by: 16) {
            func word(_ at: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64($1 * 8) } }
            records.append((word(index), Timestamp(milliseconds: Int64(clamping: word(index + 8)))))
        }
    }

    var isEmpty: Bool { records.isEmpty }

    func time(at offset: UInt64) -> Timestamp? {
        var low = 0
        var high = records.count
        while low < high {
            let middle = (low + high) / 2
            if records[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? records[low - 1].time : records.first?.time
    }

    /// Where the first bytes lie that came then or later; nil where none did.
    func offset(since time: Timestamp) -> UInt64? { records.first { $0.time >= time }?.offset }
}
