import LinuxSystem
package import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a step of a recorded run did: a line of the attempt's `recordings.jsonl`.
package struct StepRecording: Sendable, Hashable, Codable {
    /// The uuid of the step.
    package var step: String
    package var sandbox: RecordedSandbox
}

extension AttemptDirectory {
    private static let recordings: FilePath = "recordings.jsonl"
    /// The most recordings of an attempt that are read, and their most bytes.
    private static let mostRecordings = 10_000, mostBytes = 64 << 20

    /// What the steps of the attempt did, in the order of their ends; nil where it was not recorded.
    package func recordings() -> [StepRecording]? {
        guard let bytes = try? Syscall.readFile(path.appending(Self.recordings.string), limit: Self.mostBytes) else {
            return nil
        }
        return bytes.split(separator: 0x0A).prefix(Self.mostRecordings).compactMap {
            JSONFile.decode(StepRecording.self, Array($0))
        }
    }

    /// Adds a recording to the attempt whose directory is open.
    static func append(_ recording: StepRecording, in directory: CInt) {
        guard let line = JSONFile.encode(recording),
            let file = try? Syscall.open(
                recordings, at: directory, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o644)
        else { return }
        // A full disk must not end the run; what is missing is not learnt.
        try? Syscall.writeAll(file.number, line)
    }
}
