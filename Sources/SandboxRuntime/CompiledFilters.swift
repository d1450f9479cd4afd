package import Isolation
package import SandboxLaunch
package import SeccompFilters

/// Filters that have been compiled, each once.
package struct CompiledFilters: Sendable {
    private var known: [(policy: SeccompPolicy, mode: FilterCompiler.Mode, program: FilterProgram)] = []
    /// As many policies as the runs of a host use at a time; the oldest is forgotten beyond.
    private static let most = 16
    /// Those of every sandbox, whatever its policy says.
    private let prepared: PreparedFilters?

    /// Begins without any, or with those of all sandboxes.
    package init(_ prepared: PreparedFilters? = nil) { self.prepared = prepared }

    /// The filter of process 1 of every sandbox.
    package mutating func ofInit() throws(LaunchError) -> FilterCode {
        if let prepared { return prepared.initProcess }
        return try program(of: .initProcess(), .silent).code
    }

    /// The filter of a command, and the answers to what it asks about; `isRecorded` lets it tell of every call.
    package mutating func ofCommand(
        under policy: SeccompPolicy, isRecorded: Bool
    ) throws(LaunchError) -> (code: FilterCode, refusals: () -> RefusalTable) {
        if let prepared { return (prepared.command, prepared.refusals) }
        let program = try program(of: policy, isRecorded ? .learn : .notify)
        return (program.code, { program.answers })
    }

    private mutating func program(
        of policy: SeccompPolicy, _ mode: FilterCompiler.Mode
    ) throws(LaunchError) -> FilterProgram {
        // Policies of one document share their storage, which makes equality cheap; a hash would read all of it.
        if let one = known.first(where: { $0.mode == mode && $0.policy == policy }) { return one.program }
        let program = try SandboxSupervisor.compile(policy, mode: mode)
        if known.count == Self.most { known.removeFirst() }
        known.append((policy, mode, program))
        return program
    }
}
