import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A sandbox that is made before its command is there, while another one runs; it is used once.
///
/// It has everything but the project: what is seen of that is settled only when no step writes to it any more.
final class SandboxAhead {
    /// Of its directories on the stage.
    let number: Int
    private let spec: SandboxSpec
    /// Whether init has been told what is settled.
    private var isSettled = false
    private var begun: BegunSandbox?
    private var launched: LaunchedSandbox?

    /// Has a launcher begin with the sandbox that `spec` describes, but for the command; nil where it cannot be made
    /// ahead.
    ///
    /// `settled` is a command of which all but what `CommandOrder` names is to come.
    init?(
        _ spec: SandboxSpec, _ settled: CommandPlan, number: Int, planner: SandboxPlanner, launcher: borrowing Launcher,
        initProgram: CInt, streams: [CInt], network: CInt?
    ) {
        // A filtered network is made for one step, whose connections are its own. Of a small number of processes one is
        // missed, as long as this one waits.
        guard spec.policy.network != .filtered, !spec.keepsRoot, !spec.coversProject,
            spec.policy.limits.pids ?? .max >= 16
        else { return nil }
        self.spec = spec
        self.number = number
        var bare = spec
        bare.mounts.removeAll { $0.source == .project }
        var settled = settled
        settled.attachment = spec.mounts.first { $0.source == .project }?.target
        do throws(LaunchError) {
            let order = try CommandOrder(settling: settled)
            let sandbox = try launcher.begin(
                planner.launchPlan(bare, number: number), initProgram: initProgram, streams: streams,
                extra: network.map { [$0] } ?? [])
            // A set-up that has failed already takes no orders.
            isSettled = (try? order.send(to: sandbox.control.number)) != nil
            begun = consume sandbox
        } catch {
            // Who launches what needs one is told why it cannot be made.
            return nil
        }
    }

    /// Whether a sandbox like this is asked for.
    func fits(_ other: SandboxSpec) -> Bool {
        spec.environment == other.environment && spec.keepsRoot == other.keepsRoot && spec.mounts == other.mounts
            && spec.policy == other.policy && spec.hostName == other.hostName && spec.isRecorded == other.isRecorded
    }

    /// Waits until it is there.
    func finish(_ launcher: borrowing Launcher) {
        guard let begun = begun.take() else { return }
        do throws(LaunchError) {
            launched = try launcher.finish(begun)
        } catch {
            // As above.
        }
    }

    /// Gives it away with its command, which it starts; nil where it is not there, or not any more.
    func start(_ command: CommandPlan, _ launcher: borrowing Launcher) -> LaunchedSandbox? {
        finish(launcher)
        guard let sandbox = launched.take() else { return nil }
        guard isSettled else {
            Self.end(sandbox)
            return nil
        }
        do throws(LaunchError) {
            var command = command
            // It has these already.
            (command.filter, command.initFilter, command.socketless) = ([], [], [])
            guard spec.mounts.contains(where: { $0.source == .project }) else {
                try CommandOrder(command).send(to: sandbox.control.number)
                return sandbox
            }
            let tree = try LaunchError.during("take the project for the sandbox") { () throws(SyscallError) in
                let place = try Syscall.openLocation(FilePath(StagePath.project))
                return try Syscall.cloneMount(of: place.number, recursive: true)
            }
            try CommandOrder(command).send(to: sandbox.control.number, with: tree.number)
            return sandbox
        } catch {
            // As above.
            Self.end(sandbox)
            return nil
        }
    }

    /// Ends it unused.
    func end(_ launcher: borrowing Launcher) {
        finish(launcher)
        if let sandbox = launched.take() { Self.end(sandbox) }
    }

    private static func end(_ sandbox: borrowing LaunchedSandbox) {
        // It is ours and not yet reaped, so neither can fail but by its having ended.
        try? sandbox.process.signal(SIGKILL)
        _ = try? sandbox.process.wait()
    }
}

extension SandboxSpec {
    /// Whether something is mounted inside of the project.
    fileprivate var coversProject: Bool {
        mounts.contains { project in
            project.source == .project && mounts.contains { $0.target.hasPrefix(project.target + "/") }
        }
    }
}
