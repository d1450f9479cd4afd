package import Isolation
import LinuxSystem

/// What came of a sandbox that was recorded: what a policy for it has to allow, and what was refused to it.
package struct RecordedSandbox: Sendable, Hashable, Codable {
    package var recording: SandboxRecording
    package var verdict: Verdict
    package var denials: [Denial]
    /// Refused calls of kinds beyond those in `denials`.
    package var unrecordedDenials: Int
    /// Packets that found no network.
    package var unroutedDatagrams: UInt64
    /// Seconds on the clock and of processors; recording makes them more.
    package var seconds: Double, cpuSeconds: Double?
    /// The most memory, in bytes, and the most processes and threads, of the run so far; nil where nothing tells.
    package var peakMemory: Int64?, peakProcesses: Int64?
    package var outputBytes: Int64

    /// Takes what was recorded out of a report; nil where nothing was.
    package init?(_ report: SandboxReport, _ verdict: Verdict) {
        guard let recording = report.recording else { return nil }
        self.recording = recording
        self.verdict = verdict
        denials = report.denials
        unrecordedDenials = report.unrecordedDenials
        unroutedDatagrams = report.unroutedDatagrams
        seconds = report.seconds
        cpuSeconds = report.usage.map { $0.userSeconds + $0.systemSeconds }
        peakMemory = report.peakMemory
        peakProcesses = report.peakProcesses
        outputBytes = report.outputBytes
    }

    private enum CodingKeys: String, CodingKey {
        case recording, verdict, denials
        case unrecordedDenials = "unrecorded_denials"
        case unroutedDatagrams = "unrouted_datagrams"
        case seconds
        case cpuSeconds = "cpu_seconds"
        case peakMemory = "peak_memory"
        case peakProcesses = "peak_processes"
        case outputBytes = "output_bytes"
    }
}
