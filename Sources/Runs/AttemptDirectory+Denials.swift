import LinuxSystem
package import SandboxRuntime
import SystemPackage

/// A refused call of a run, and the step that made it.
package struct StepDenial: Sendable, Hashable, Codable {
    /// The uuid of the step.
    package var step: String
    package var denial: Denial
}

extension AttemptDirectory {
    /// The most refusals of an attempt that are read.
    private static let mostDenials = 10_000

    /// What was refused to the steps of the attempt, in the order of their ends; torn lines are left out.
    package func denials() -> [StepDenial] {
        guard let bytes = try? Syscall.readFile(path.appending("denials.jsonl"), limit: 16 << 20) else { return [] }
        return bytes.split(separator: 0x0A).prefix(Self.mostDenials).compactMap {
            JSONFile.decode(StepDenial.self, Array($0))
        }
    }
}
