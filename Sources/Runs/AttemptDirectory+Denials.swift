import LinuxSystem
package import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A refused call of a run, and the step that made it.
package struct StepDenial: Sendable, Hashable, Codable {
    /// The uuid of the step.
    package var step: String
    package var denial: Denial
}

extension AttemptDirectory {
    private static let denialsFile: FilePath = "denials.jsonl"

    /// Adds what was refused to a step that has ended.
    static func append(_ denials: [Denial], of step: String, in directory: CInt) {
        if denials.isEmpty { return }
        let lines = denials.compactMap { JSONFile.encode(StepDenial(step: step, denial: $0)) }.flatMap { $0 }
        // The verdict carries the first ones as well.
        if let file = try? Syscall.open(
            denialsFile, at: directory, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
        {
            try? Syscall.writeAll(file.number, lines)
        }
    }

    /// The most refusals of an attempt that are read.
    private static let mostDenials = 10_000

    /// What was refused to the steps of the attempt, in the order of their ends; torn lines are left out.
    package func denials() -> [StepDenial] {
        guard let bytes = try? Syscall.readFile(path.pushing(Self.denialsFile), limit: 16 << 20) else { return [] }
        return bytes.split(separator: 0x0A).prefix(Self.mostDenials).compactMap {
            JSONFile.decode(StepDenial.self, Array($0))
        }
    }
}
