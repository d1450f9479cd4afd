import Isolation
import PlainText

/// The value of a limit, as a document gives it.
enum LimitValue: Sendable, Hashable {
    case bytes(ByteCount)
    case count(Int)
    case processors(Double)
    case time(Duration)
}

/// Why a text is not the value of a limit: a lower-case fragment that follows the limit's name.
struct LimitFault: Error {
    let message: String
}

extension LimitValue {
    /// The least and the greatest value that means anything, for each kind of limit.
    private enum Range {
        /// A command does not even start in less memory.
        static let memory = (bytes: Int64(1) << 20...1 << 50, text: "1MiB to 1024TiB")
        /// In less there is no room for the directories alone.
        static let scratch = (bytes: Int64(1) << 16...1 << 50, text: "64KiB to 1024TiB")
        /// The directories of the overlay alone take some.
        static let project = (bytes: Int64(1) << 20...1 << 50, text: "1MiB to 1024TiB")
        static let output = (bytes: Int64(1)...1 << 50, text: "1B to 1024TiB")
        /// The first process and the command; the most that a kernel numbers (PID_MAX_LIMIT).
        static let pids = 2...4_194_304
        /// Standard streams, the loader's and some to work with; the most that a kernel allows, about (NR_OPEN).
        static let openFiles = 16...1_073_741_824
        static let processors = 0.01...8192
        /// To ten years.
        static let milliseconds = 1000...315_360_000_000
    }

    /// Reads the value of the limit `name`.
    init(_ name: LimitName, parsing text: String) throws(LimitFault) {
        if text.hasPrefix("-") { throw LimitFault(message: "must be more than 0, and is \(quoted(text))") }
        switch name {
        case .memory: self = .bytes(try Self.size(text, in: Range.memory))
        case .scratch: self = .bytes(try Self.size(text, in: Range.scratch))
        case .project: self = .bytes(try Self.size(text, in: Range.project))
        case .output: self = .bytes(try Self.size(text, in: Range.output))
        case .pids: self = .count(try Self.count(text, in: Range.pids))
        case .openFiles: self = .count(try Self.count(text, in: Range.openFiles))
        case .cpus: self = .processors(try Self.processors(text))
        case .wallTime: self = .time(try Self.time(text))
        case .cpuTime:
            let time = try Self.time(text)
            // RLIMIT_CPU knows no parts of a second.
            guard time.components.attoseconds == 0 else { throw LimitFault(message: "must be whole seconds") }
            self = .time(time)
        }
    }

    private static func size(
        _ text: String, in range: (bytes: ClosedRange<Int64>, text: String)
    ) throws(LimitFault) -> ByteCount {
        guard let size = ByteCount(parsing: text) else {
            throw LimitFault(message: "is a size such as `512MiB`, `1.5GiB` or `unlimited`, and not \(quoted(text))")
        }
        // Zero is as much in every unit.
        guard size.bytes == 0 || text.contains(where: \.isLetter) else {
            throw LimitFault(message: "is a size and needs a unit, as in `512MiB`; it is \(quoted(text))")
        }
        guard range.bytes.contains(size.bytes) else {
            throw LimitFault(message: "must be from \(range.text), and is \(quoted(text))")
        }
        return size
    }

    private static func count(_ text: String, in range: ClosedRange<Int>) throws(LimitFault) -> Int {
        guard isDigits(text[...]), text == "0" || !text.hasPrefix("0") else {
            throw LimitFault(message: "is a whole number or `unlimited`, and not \(quoted(text))")
        }
        guard let number = Int(text), range.contains(number) else { throw outside(range, text) }
        return number
    }

    private static func processors(_ text: String) throws(LimitFault) -> Double {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy({ isDigits($0) }), text.utf8.count <= 32, let number = Double(text) else {
            throw LimitFault(message: "is a number such as `2` or `1.5`, or `unlimited`, and not \(quoted(text))")
        }
        guard Range.processors.contains(number) else {
            throw LimitFault(message: "must be from 0.01 to 8192, and is \(quoted(text))")
        }
        return number
    }

    private static let units: [(name: Character, milliseconds: Int)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
    ]

    /// Reads `90`, `90s`, `1.5h` or `1h30m`: units from the largest to the smallest, none of them twice.
    private static func time(_ text: String) throws(LimitFault) -> Duration {
        let fault = LimitFault(
            message: "is a time such as `90s`, `15m`, `6h`, `2d`, `1h30m` or `unlimited`, and not \(quoted(text))")
        guard !text.isEmpty, text.utf8.count <= 40 else { throw fault }
        var rest = text[...]
        var total = 0
        var allowed = units[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let thousandths = thousandths(digits) else { throw fault }
            rest = rest[digits.endIndex...]
            let factor: Int
            if let letter = rest.popFirst() {
                guard let unit = allowed.firstIndex(where: { $0.name == letter }) else { throw fault }
                factor = allowed[unit].milliseconds
                allowed = allowed[(unit + 1)...]
            } else {
                // Without a unit the number stands alone.
                guard digits.endIndex == text.endIndex, digits.startIndex == text.startIndex else { throw fault }
                factor = 1000
            }
            let (product, overflow) = thousandths.multipliedReportingOverflow(by: factor)
            let (sum, carry) = total.addingReportingOverflow(product / 1000)
            guard !overflow, !carry else { throw tooLong(text) }
            total = sum
        }
        guard Range.milliseconds.contains(total) else { throw tooLong(text) }
        return .milliseconds(total)
    }

    private static func tooLong(_ text: String) -> LimitFault {
        LimitFault(message: "must be from 1s to 3650d, and is \(quoted(text))")
    }

    private static func outside(_ range: ClosedRange<Int>, _ text: String) -> LimitFault {
        LimitFault(message: "must be from \(range.lowerBound) to \(range.upperBound), and is \(quoted(text))")
    }

    /// A decimal number with at most three digits after the point, times a thousand.
    private static func thousandths(_ text: Substring) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, isDigits(whole), whole.count <= 15, let number = Int(whole) else { return nil }
        guard parts.count == 2 else { return number * 1000 }
        guard isDigits(parts[1]), parts[1].count <= 3 else { return nil }
        return Int(parts[1] + repeatElement("0", count: 3 - parts[1].count)).map { number * 1000 + $0 }
    }

    private static func isDigits(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

extension ResourceLimits {
    /// Sets one limit, or removes it where `value` is nil.
    mutating func set(_ name: LimitName, to value: LimitValue?) {
        switch name {
        case .memory: memory = value?.bytes
        case .pids: pids = value?.count
        case .cpus: cpus = value?.processors
        case .wallTime: wallTime = value?.time
        case .cpuTime: cpuTime = value?.time
        case .openFiles: openFiles = value?.count
        case .scratch: scratch = value?.bytes
        case .project: project = value?.bytes
        case .output: output = value?.bytes
        }
    }
}

extension LimitValue {
    fileprivate var bytes: ByteCount? { if case .bytes(let size) = self { size } else { nil } }
    fileprivate var count: Int? { if case .count(let number) = self { number } else { nil } }
    fileprivate var processors: Double? { if case .processors(let number) = self { number } else { nil } }
    fileprivate var time: Duration? { if case .time(let time) = self { time } else { nil } }
}
