package import Isolation
package import SandboxLaunch
package import SeccompFilters

/// The filters of a sandbox, compiled before: what it takes to load them, and to answer the calls that they ask about.
package struct PreparedFilters: Sendable {
    /// That of the command, and of process 1.
    package var command: FilterCode, initProcess: FilterCode
    /// The answers to what the command's filter asks about; called when it first asks.
    package var refusals: @Sendable () -> RefusalTable

    /// Takes filters that `compile` made, or that were read where it had left them.
    package init(command: FilterCode, initProcess: FilterCode, refusals: @escaping @Sendable () -> RefusalTable) {
        self.command = command
        self.initProcess = initProcess
        self.refusals = refusals
    }

    /// Compiles those of a command under a policy.
    package static func compile(_ policy: SeccompPolicy) throws(LaunchError) -> PreparedFilters {
        let program = try SandboxSupervisor.compile(policy, mode: .notify)
        return PreparedFilters(
            command: program.code, initProcess: try SandboxSupervisor.compile(.initProcess(), mode: .silent).code,
            refusals: { program.answers })
    }
}
