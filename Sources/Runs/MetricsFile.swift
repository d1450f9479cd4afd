import Isolation
import LinuxSystem
import Pipelines
import PlainText
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The file of the project in which steps leave metrics as one JSON object: the numbers in it, by their keys; those of an
/// object in it as `outer.inner`.
///
/// It is read after each step, and only where the run has written it. What a run has written is hostile: no link is
/// followed, and file, nesting, names and numbers are bounded.
package struct MetricsFile {
    /// What a file says.
    struct Reading {
        /// The numbers, in the order of the file.
        var values: [(name: String, value: Double)] = []
        /// Why it says nothing, or not all; nil where there is nothing to tell.
        var problem: String?
    }

    /// What is read where nobody named a file.
    package static let standard = "metrics.json"
    /// The most bytes of a file, and the most numbers of it.
    private static let mostBytes = 1 << 20, mostValues = 1000
    private static let limits = JSONLimits(bytes: mostBytes, depth: 16, values: 100_000)
    /// Beyond so many bytes a run's metrics are read no more, so none are added.
    private static let mostCollected: Int64 = 3 << 20
    /// The most bytes of a name.
    private static let longestName = 200

    private let path: FilePath
    /// A file of the usual name that nobody asked for may be anything.
    private let isAsked: Bool
    private var last: FileStatus?

    /// The file that a run was told of; nil for the usual one.
    init(_ named: String?) {
        path = FilePath(named ?? Self.standard)
        isAsked = named != nil
    }

    /// Whether a text can name the file: a path below the project's directory.
    package static func isPath(_ text: String) -> Bool {
        let path = FilePath(text)
        return (1...1024).contains(text.utf8.count) && !path.isAbsolute && !text.utf8.contains(0)
            && path.components.allSatisfy { $0.kind == .regular } && !path.components.isEmpty
    }

    /// Takes over what a step has left into the metrics of the run, in the directory of its attempt; gives what is wrong
    /// with that.
    mutating func takeOver(from step: String, in attempt: CInt, to metrics: FilePath) -> String? {
        do throws(SyscallError) {
            let upper = try Syscall.open(
                FilePath(StageSpec.Project.upper), at: attempt, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard let reading = read(below: upper.number) else { return nil }
            if !reading.values.isEmpty {
                let now = Timestamp(seconds: Syscall.wallClockSeconds())
                try Self.append(reading.values, of: step, at: now, to: metrics, in: attempt)
            }
            return reading.problem
        } catch {
            return "\(error)"
        }
    }

    /// Reads what the steps have left since the last time, below the open directory that takes what they write; nil where
    /// there is nothing new.
    mutating func read(below upper: CInt) -> Reading? {
        do throws(SyscallError) {
            let file = try Syscall.open(
                path, at: upper, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: [.beneath, .noSymlinks])
            return read(file, try Syscall.fstat(file.number))
        } catch {
            // That there is none is usual: most steps measure nothing.
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return nil }
            return told("\(error.errno)")
        }
    }

    private mutating func read(_ file: borrowing OwnedFileDescriptor, _ status: FileStatus) -> Reading? {
        guard status.isRegular else { return told("it is no file") }
        if let last, last.inode == status.inode, last.changed == status.changed, last.size == status.size { return nil }
        last = status
        guard status.size <= Self.mostBytes else { return told("it has more than \(Self.mostBytes) bytes") }
        var bytes: [UInt8] = []
        while bytes.count < Self.mostBytes, let part = try? Syscall.read(file.number, upTo: 1 << 16), !part.isEmpty {
            bytes += part
        }
        let reading = Self.parse(bytes, file: path.string)
        return isAsked || !reading.values.isEmpty ? reading : nil
    }

    private func told(_ problem: String) -> Reading? {
        isAsked ? Reading(problem: "\(printable(path.string)): \(problem)") : nil
    }

    /// The numbers of a JSON object.
    static func parse(_ bytes: [UInt8], file: String = standard) -> Reading {
        var reading = Reading()
        do throws(InvalidDocument) {
            let document = try JSONDocument(bytes, file: file, limits: limits)
            guard let object = document.root.value.objectValue else {
                return Reading(problem: "\(printable(file)): it is no JSON object")
            }
            collect(object, "", into: &reading)
        } catch {
            reading.problem = error.diagnostics.first?.description
        }
        if reading.values.isEmpty, reading.problem == nil {
            reading.problem = "\(printable(file)): there is no number in it"
        }
        return reading
    }

    /// Appends numbers to the metrics of the run, as `orchest.log_metric` does: steps may do so at the same time.
    static func append(
        _ values: [(name: String, value: Double)], of step: String, at time: Timestamp, to path: FilePath,
        in directory: CInt
    ) throws(SyscallError) {
        struct Line: Encodable {
            var name: String
            var value: Double
            var time: Timestamp
            var step: String
        }
        let file = try Syscall.open(
            path, at: directory, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o666,
            resolve: [.beneath, .noSymlinks])
        let status = try Syscall.fstat(file.number)
        guard status.isRegular else { throw SyscallError("write", path.string, errno: .invalidArgument) }
        if status.size == 0 {
            // It may have been made just now, and steps append to it too.
            try Syscall.changeOwner(of: file.number, user: IdentityMap.user, group: IdentityMap.user)
        }
        guard status.size < mostCollected else { throw SyscallError("write", path.string, errno: .fileTooLarge) }
        try Syscall.writeAll(
            file.number,
            values.flatMap { JSONFile.encode(Line(name: $0.name, value: $0.value, time: time, step: step)) ?? [] })
    }

    private static func collect(_ object: JSONObject, _ prefix: String, into reading: inout Reading) {
        for entry in object {
            let name = prefix + entry.key
            switch entry.value {
            case .object(let inner): collect(inner, name + ".", into: &reading)
            case .number(let number):
                guard reading.values.count < mostValues else {
                    reading.problem = "the file of metrics has more than \(mostValues) numbers"
                    return
                }
                if name.utf8.count <= longestName, !entry.key.isEmpty, number.doubleValue.isFinite {
                    reading.values.append((name, number.doubleValue))
                } else {
                    reading.problem = "a name in the file of metrics is empty or longer than \(longestName) bytes"
                }
            // Texts, truth values and lists are no measurements; they are common beside some.
            case .string, .bool, .null, .array: continue
            }
        }
    }
}
