package import Cgroups
package import Isolation
import LinuxSystem
import SystemPackage

/// Content of an attempt's `usage.json`: what the run used, and how each of its limits was held.
package struct RunUsage: Sendable, Codable {
    package var limits: [LimitReport]
    /// What the host leaves open of what the policy closes: one sentence each; nil for nothing.
    package var weaknesses: [String]?
    /// Of all steps together; nil where there was no control group.
    package var controlGroup: CgroupUsage?

    private enum CodingKeys: String, CodingKey {
        case limits, weaknesses
        case controlGroup = "control_group"
    }
}

extension AttemptDirectory {
    /// What the attempt used, once it has ended.
    package func usage() -> RunUsage? {
        guard let bytes = try? Syscall.readFile(path.appending("usage.json"), limit: 1 << 20) else { return nil }
        return JSONFile.decode(RunUsage.self, bytes)
    }
}
