import FoundationEssentials
package import Isolation
package import LinuxSystem
import Pipelines
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The directory of a run: its specification, its pipeline, and its attempts.
///
/// What a run has written is hostile: everything is read below held descriptors, without following links, bounded.
package struct RunDirectory: Sendable {
    package let path: FilePath

    /// Names the directory; it need not exist.
    package init(_ path: FilePath) { self.path = path }

    /// The largest `spec.json` that is read.
    private static let specLimit = 16 << 20

    /// Writes a new run's directory: specification and pipeline file.
    package func create(_ spec: RunSpec, pipeline: String) throws(SyscallError) {
        try Syscall.makeDirectories(path, mode: 0o755)
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        // On the disk before the specification is: where that is, nobody makes the directory again, and without its
        // parameters a run would be another one.
        let file = try Syscall.open(
            "pipeline.json", at: directory.number, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o644)
        try Syscall.writeAll(file.number, pipeline.utf8)
        try Syscall.fsync(file.number)
        // Its name need not be on the disk, as long as nothing that follows from it is.
        try replace(spec, namedAtOnce: false)
    }

    /// Writes the specification for attempts that follow.
    package func replace(_ spec: RunSpec) throws(SyscallError) { try replace(spec, namedAtOnce: true) }

    private func replace(_ spec: RunSpec, namedAtOnce: Bool) throws(SyscallError) {
        guard let bytes = JSONFile.encode(spec) else {
            throw SyscallError("encode", path.string, errno: .invalidArgument)
        }
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        try Syscall.replaceFile("spec.json", at: directory.number, bytes, syncsName: namedAtOnce)
    }

    /// Reads the specification.
    package func spec() throws(SyscallError) -> RunSpec {
        let bytes = try Syscall.readFile(path.appending("spec.json"), limit: Self.specLimit)
        guard let spec = JSONFile.decode(RunSpec.self, bytes) else {
            throw SyscallError("read", path.appending("spec.json").string, errno: .invalidArgument)
        }
        return spec
    }

    /// Numbers of the attempts, ascending.
    package func attempts() -> [Int] {
        guard let directory = try? Syscall.open(path.appending("attempts"), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let entries = try? Syscall.directoryEntries(directory.number)
        else { return [] }
        return entries.compactMap { Int(String(decoding: $0.name, as: UTF8.self)) }.sorted()
    }

    /// An attempt's directory.
    package func attempt(_ number: Int) -> AttemptDirectory {
        AttemptDirectory(path.appending("attempts").appending(String(number)))
    }

    /// The attempt that tells of the run: the highest-numbered one.
    package func latestAttempt() -> AttemptDirectory? { attempts().last.map { attempt($0) } }

    /// Claims an attempt by making its directory: the next one, but none below `least`.
    package func claimAttempt(from least: Int = 1) throws(SyscallError) -> AttemptClaim {
        let parent = path.appending("attempts")
        try Syscall.makeDirectories(parent, mode: 0o755)
        var number = max(least, (attempts().last ?? 0) + 1)
        while true {
            let claimed = parent.appending(String(number))
            do throws(SyscallError) {
                try Syscall.makeDirectory(claimed, mode: 0o755)
            } catch  where error.errno == .fileExists {
                number += 1
                continue
            }
            let lock = try Syscall.open(claimed.appending("lock"), O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            // Only somebody who looks whether it is held can hold it now, and not for long.
            try Syscall.flock(lock.number, LOCK_EX)
            return AttemptClaim(number: number, directory: AttemptDirectory(claimed), lock: lock)
        }
    }
}

/// An attempt that nobody else can make.
package struct AttemptClaim: ~Copyable {
    package let number: Int
    package let directory: AttemptDirectory
    /// Held by every process that has this descriptor: the attempt is alive as long as one of them.
    package let lock: OwnedFileDescriptor
}

/// The directory of one attempt at a run.
package struct AttemptDirectory: Sendable {
    package let path: FilePath

    init(_ path: FilePath) { self.path = path }

    /// Whether a supervisor, or whoever is just starting one, holds the attempt.
    package func isHeld() -> Bool {
        guard let lock = try? Syscall.open(path.appending("lock"), O_RDWR | O_NOFOLLOW | O_NONBLOCK) else {
            return false
        }
        do throws(SyscallError) {
            try Syscall.flock(lock.number, LOCK_EX | LOCK_NB)
            return false
        } catch {
            return true
        }
    }

    private static let control = "control"

    /// Makes the pipe by which a supervisor can be asked to end its run; the supervisor holds it from here on.
    ///
    /// It has a name, so that it can be found by whoever takes the place of an engine that has ended. Who has opened it
    /// for writing sees the end of the supervisor as an error of the pipe.
    func makeControl() throws(SyscallError) -> OwnedFileDescriptor {
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        try Syscall.makeFIFO(FilePath(Self.control), at: directory.number, mode: 0o600)
        // Open for both, it never ends for want of a writer.
        return try Syscall.open(FilePath(Self.control), at: directory.number, O_RDWR | O_NONBLOCK | O_NOFOLLOW)
    }

    /// The control of a supervisor that lives, for writing; nil where there is none.
    package func openControl() -> OwnedFileDescriptor? {
        let pipe = try? Syscall.open(path.appending(Self.control), O_WRONLY | O_NONBLOCK | O_NOFOLLOW)
        guard let pipe, (try? Syscall.fstat(pipe.number))?.isFIFO == true else { return nil }
        return pipe
    }

    /// Whether a supervisor has begun with the attempt.
    package var hasBegun: Bool {
        Syscall.exists(path.appending(Self.control)) || Syscall.exists(path.appending("events.jsonl"))
    }

    /// Removes the control of a supervisor that is about to end; one that stays is in nobody's way.
    func removeControl() { try? Syscall.unlink(path.appending(Self.control)) }

    /// Removes what the kernel kept for the mounts of the project, once they are gone.
    ///
    /// Directories that hold nothing, and are more than all else that a small run leaves; what stays is in nobody's way.
    func removeWork() {
        guard let directory = try? Syscall.open(path, O_RDONLY | O_DIRECTORY) else { return }
        try? TreeRemoval.remove(directory: directory.number, name: FilePath(StageSpec.Project.work))
    }

    /// The attempt's verdict, once there is one.
    package func verdict() -> Verdict? {
        guard let bytes = try? Syscall.readFile(path.appending("verdict.json"), limit: 1 << 20) else { return nil }
        return JSONFile.decode(Verdict.self, bytes)
    }

    /// Writes the verdict if there is none: the first stands (link(2) never replaces).
    package func conclude(_ verdict: Verdict) throws(SyscallError) {
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        // The directories above it may be as new as the verdict.
        try Syscall.syncFileSystem(of: directory.number)
        try Self.conclude(verdict, in: directory.number)
    }

    /// Writes the verdict if there is none.
    ///
    /// `afterAll` waits for everything that was written before to be on the disk, the verdict with it, and says so.
    static func conclude(_ verdict: Verdict, in directory: CInt, afterAll: Bool = false) throws(SyscallError) {
        guard let bytes = JSONFile.encode(verdict) else { throw SyscallError("encode", errno: .invalidArgument) }
        let temporary = FilePath("verdict.json.\(getpid())")
        try Syscall.writeFile(temporary, at: directory, bytes)
        let file = try Syscall.open(temporary, at: directory, O_RDONLY)
        // A disk that fails has told the steps, or tells the next reader; the verdict is about them.
        let isSynced = afterAll && (try? markSynced(directory)) != nil
        if !isSynced { try Syscall.fsync(file.number) }
        do throws(SyscallError) {
            try Syscall.rename(temporary, at: directory, to: "verdict.json", at: directory, replacing: false)
        } catch  where error.errno == .fileExists {
            try Syscall.unlink(temporary, at: directory)
        }
        try Syscall.fsync(directory)
    }

    /// The events so far; a torn last line is left out.
    package func events() -> [RunEvent] {
        guard let bytes = try? Syscall.readFile(path.appending("events.jsonl"), limit: 64 << 20) else { return [] }
        return bytes.split(separator: 0x0A).compactMap { JSONFile.decode(RunEvent.self, Array($0)) }
    }

    /// At most `limit` bytes of the events' file, from `offset` on.
    package func eventBytes(from offset: Int64, upTo limit: Int) -> [UInt8] {
        let file = try? Syscall.open(path.appending("events.jsonl"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        guard let file, (try? Syscall.fstat(file.number))?.isRegular == true,
            lseek(file.number, off_t(offset), SEEK_SET) == off_t(offset)
        else { return [] }
        return (try? Syscall.read(file.number, upTo: limit)) ?? []
    }

    /// The log of a step, if it has written one.
    package func logPath(step: String) -> FilePath { path.appending("logs").appending("\(step).log") }

    /// Metrics that steps logged: the last value of each name, in the order of their first.
    package func metrics() -> [(name: String, value: Double)] {
        struct Line: Decodable {
            var name: String
            var value: Double
        }
        let file = path.appending("exchange").appending("metrics.jsonl")
        guard let bytes = try? Syscall.readFile(file, limit: 4 << 20) else { return [] }
        var result: [(name: String, value: Double)] = []
        for text in bytes.split(separator: 0x0A).prefix(10_000) {
            guard let line = JSONFile.decode(Line.self, Array(text)), line.name.utf8.count <= 200 else { continue }
            if let known = result.firstIndex(where: { $0.name == line.name }) {
                result[known].value = line.value
            } else {
                result.append((line.name, line.value))
            }
        }
        return result
    }

    /// The metrics as one line of JSON.
    package func metricsText() -> String {
        var object = JSONObject()
        for metric in metrics() { object[metric.name] = JSONNumber(metric.value).map(JSONValue.number) }
        return JSONValue.object(object).text()
    }
}

/// JSON of our own documents.
package enum JSONFile {
    /// The bytes of a document with sorted keys and a line end; nil for what JSON cannot carry.
    package static func encode(_ value: some Encodable) -> [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { return nil }
        return Array(data) + [0x0A]
    }

    /// A document's value; nil where the bytes are not one.
    package static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
