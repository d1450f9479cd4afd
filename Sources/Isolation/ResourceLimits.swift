/// What a run may use at most; a limit that is nil is not set.
///
/// Memory, processes, processors and the project bind the run as a whole; times, output and open files bind each step.
/// In documents sizes are bytes, times are seconds, and names are in snake case.
package struct ResourceLimits: Sendable, Hashable {
    /// Memory of all steps together, page cache and the content of in-memory file systems included; no swap on top.
    package var memory: ByteCount?
    /// Processes and threads that may exist in all steps together.
    package var pids: Int?
    /// Processors' worth of time, at least 0.01; 1.5 is one and a half of them.
    package var cpus: Double?
    /// Time on the clock that a step may take.
    package var wallTime: Duration?
    /// Processor time that a step may use.
    package var cpuTime: Duration?
    /// Open files of one process.
    package var openFiles: Int?
    /// Size of each throw-away file system: the root's upper directory and `/tmp`.
    package var scratch: ByteCount?
    /// Room on the disk for what is written to the project, or to an environment that is built; and for as many files
    /// as ``ByteCount/files`` says.
    package var project: ByteCount?
    /// Bytes of log that a step may write.
    package var output: ByteCount?

    /// Sets no limit, but those that are given.
    package init(
        memory: ByteCount? = nil, pids: Int? = nil, cpus: Double? = nil, wallTime: Duration? = nil,
        cpuTime: Duration? = nil, openFiles: Int? = nil, scratch: ByteCount? = nil, project: ByteCount? = nil,
        output: ByteCount? = nil
    ) {
        self.memory = memory
        self.pids = pids
        self.cpus = cpus
        self.wallTime = wallTime
        self.cpuTime = cpuTime
        self.openFiles = openFiles
        self.scratch = scratch
        self.project = project
        self.output = output
    }

    /// The value of one limit in the unit of its name, or nil where it is not set.
    package func value(of name: LimitName) -> Double? {
        switch name {
        case .memory: memory.map { Double($0.bytes) }
        case .pids: pids.map(Double.init)
        case .cpus: cpus
        case .wallTime: wallTime.map(\.inSeconds)
        case .cpuTime: cpuTime.map(\.inSeconds)
        case .openFiles: openFiles.map(Double.init)
        case .scratch: scratch.map { Double($0.bytes) }
        case .project: project.map { Double($0.bytes) }
        case .output: output.map { Double($0.bytes) }
        }
    }
}

extension ResourceLimits: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: LimitName.self)
        self.init(
            memory: try container.decodeIfPresent(ByteCount.self, forKey: .memory),
            pids: try container.decodeIfPresent(Int.self, forKey: .pids),
            cpus: try container.decodeIfPresent(Double.self, forKey: .cpus),
            wallTime: try container.decodeSecondsIfPresent(forKey: .wallTime),
            cpuTime: try container.decodeSecondsIfPresent(forKey: .cpuTime),
            openFiles: try container.decodeIfPresent(Int.self, forKey: .openFiles),
            scratch: try container.decodeIfPresent(ByteCount.self, forKey: .scratch),
            project: try container.decodeIfPresent(ByteCount.self, forKey: .project),
            output: try container.decodeIfPresent(ByteCount.self, forKey: .output)
        )
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: LimitName.self)
        try container.encodeIfPresent(memory, forKey: .memory)
        try container.encodeIfPresent(pids, forKey: .pids)
        try container.encodeIfPresent(cpus, forKey: .cpus)
        try container.encodeIfPresent(wallTime?.inSeconds, forKey: .wallTime)
        try container.encodeIfPresent(cpuTime?.inSeconds, forKey: .cpuTime)
        try container.encodeIfPresent(openFiles, forKey: .openFiles)
        try container.encodeIfPresent(scratch, forKey: .scratch)
        try container.encodeIfPresent(project, forKey: .project)
        try container.encodeIfPresent(output, forKey: .output)
    }
}

extension KeyedDecodingContainer {
    fileprivate func decodeSecondsIfPresent(forKey key: Key) throws -> Duration? {
        guard let seconds = try decodeIfPresent(Double.self, forKey: key) else { return nil }
        // Beyond this, `Duration` has no room; three hundred years are no limit either.
        guard seconds >= 0, seconds < 1e10 else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "a time limit is a number of seconds from 0 to 1e10")
        }
        return .seconds(seconds)
    }
}

extension Duration {
    /// Seconds as a number.
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// The name of one limit, as documents and reports write it.
package enum LimitName: String, Sendable, Hashable, Codable, CaseIterable, CodingKey {
    case memory
    case pids
    case cpus
    case wallTime = "wall_time"
    case cpuTime = "cpu_time"
    case openFiles = "open_files"
    case scratch
    case project
    case output

    /// What a value of this limit counts.
    package enum Unit: Sendable {
        case bytes
        case seconds
        case number
    }

    /// The unit of the limit's value in reports.
    package var unit: Unit {
        switch self {
        case .memory, .scratch, .project, .output: .bytes
        case .wallTime, .cpuTime: .seconds
        case .pids, .cpus, .openFiles: .number
        }
    }

    /// A value of the limit with its unit, such as `512MiB`.
    package func text(of value: Double) -> String {
        let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
        return switch unit {
        case .bytes: Int64(exactly: value).flatMap { ByteCount($0) }?.description ?? number + "B"
        case .seconds: number + "s"
        case .number: number
        }
    }
}

/// By what a limit of a run is held.
package enum Enforcement: String, Sendable, Hashable, Codable, CaseIterable {
    /// By a control group: the kernel holds it, for all processes together.
    case cgroup
    /// By a resource limit: the kernel holds it, for each process or each user.
    case rlimit
    /// By the size of a file system in memory.
    case tmpfs
    /// By a quota of the file system for the directory: the kernel holds it.
    case quota
    /// By our own measuring now and then: it can be exceeded for a moment.
    case watchdog
    /// By nothing.
    case none
}

/// How one limit of a run is enforced.
package struct LimitReport: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The limit.
    package let name: LimitName
    /// Its value, in the unit of its name.
    package let value: Double
    /// What holds it.
    package let enforcement: Enforcement
    /// Why it is not held, or what it leaves open: one sentence without full stop.
    package let remark: String?

    /// Records how a limit is enforced.
    package init(_ name: LimitName, _ value: Double, _ enforcement: Enforcement, remark: String? = nil) {
        self.name = name
        self.value = value
        self.enforcement = enforcement
        self.remark = remark
    }

    /// One line, such as `memory 512MiB: cgroup`.
    package var description: String {
        "\(name.rawValue) \(name.text(of: value)): \(enforcement.rawValue)" + (remark.map { ", \($0)" } ?? "")
    }
}

/// A number of bytes, written as in `512MiB`.
package struct ByteCount: Sendable, Hashable, Comparable {
    /// The number; never negative.
    package let bytes: Int64

    /// A number of bytes; nil where it is negative.
    package init?(_ bytes: Int64) {
        guard bytes >= 0 else { return nil }
        self.bytes = bytes
    }

    private init(unchecked bytes: Int64) { self.bytes = bytes }

    /// Files that come with so much room, whatever is in them: one for each 16 KiB, as file systems are made, and 4096
    /// at least.
    package var files: Int64 { max(bytes / 16384, 4096) }

    /// A number of binary megabytes.
    package static func mebibytes(_ count: UInt32) -> ByteCount { ByteCount(unchecked: Int64(count) << 20) }

    private static let binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB"]
    private static let decimalUnits = ["B", "kB", "MB", "GB", "TB"]

    /// Reads `512MiB`, `1.5 GiB`, `200MB` or `4096`; nil for anything else, also where the number is too large.
    ///
    /// Units count regardless of case; a single letter, as in `512M`, is binary, as in the limits of other tools. Parts
    /// of a byte are dropped.
    package init?(parsing text: String) {
        // Longer text is no size that anyone means, and its digits would overflow.
        guard text.utf8.count <= 32 else { return nil }
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text[number.endIndex...].drop { $0 == " " }.lowercased()
        guard let scale = Self.scale(ofUnit: unit) else { return nil }
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let whole = Int64(first) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        guard parts.count == 2 else {
            self.init(unchecked: product)
            return
        }
        guard parts[1].count <= 6, let fraction = Int64(parts[1]) else { return nil }
        let divisor = parts[1].reduce(Int64(1)) { power, _ in power * 10 }
        let part = scale / divisor * fraction + scale % divisor * fraction / divisor
        let (sum, carry) = product.addingReportingOverflow(part)
        guard !carry else { return nil }
        self.init(unchecked: sum)
    }

    private static func scale(ofUnit unit: String) -> Int64? {
        if unit.isEmpty { return 1 }
        if let power = decimalUnits.firstIndex(where: { $0.lowercased() == unit }) {
            return (0..<power).reduce(1) { scale, _ in scale * 1000 }
        }
        let power = binaryUnits.firstIndex { $0.lowercased() == unit || $0.prefix(1).lowercased() == unit }
        return power.map { Int64(1) << (10 * Int64($0)) }
    }

    /// The nearest number with at most one digit after the point, such as `1.2GiB`: for people.
    package var rounded: String {
        var power = 0
        while power + 1 < Self.binaryUnits.count, bytes >> (10 * (power + 1)) > 0 { power += 1 }
        guard power > 0 else { return "\(bytes)B" }
        let tenths = Int64((Double(bytes) / Double(Int64(1) << (10 * power)) * 10).rounded())
        let fraction = tenths % 10 == 0 ? "" : ".\(tenths % 10)"
        return "\(tenths / 10)\(fraction)\(Self.binaryUnits[power])"
    }

    package static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }
}

extension ByteCount: CustomStringConvertible {
    /// The exact number in the largest binary unit that it is a multiple of; parsing gives the same number again.
    package var description: String {
        let power = bytes == 0 ? 0 : min(bytes.trailingZeroBitCount / 10, Self.binaryUnits.count - 1)
        return "\(bytes >> (10 * power))\(Self.binaryUnits[power])"
    }
}

extension ByteCount: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let count = ByteCount(try container.decode(Int64.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a size is never negative")
        }
        self = count
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }
}
