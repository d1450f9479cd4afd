import CSandboxLaunch
package import Isolation
package import LinuxSystem
package import SystemPackage

/// The small process that clones sandboxes, inside the control group of the steps.
package struct Launcher: ~Copyable {
    private let socket: OwnedFileDescriptor
    private let process: ProcessHandle

    /// Starts the launcher.
    ///
    /// The calling process has a single thread, is in the namespaces of the run, and may go on to prepare its root
    /// directory meanwhile. The launcher enters control groups: by `lists` of trees of version 1, and by the directory of
    /// one of version 2, or its list where the kernel starts no process in a group. `user` is the id that it takes on, nil
    /// for none. Where it `makesNetwork`, every plan must have a network namespace of its own: that of the first is made
    /// at once.
    package init(
        lists: [CInt], unifiedDirectory: CInt?, unifiedList: CInt?, user: UInt32?, makesNetwork: Bool = false
    ) throws(LaunchError) {
        let step = "start the launcher"
        let pair = try LaunchError.during(step) { () throws(SyscallError) in try Syscall.packetSocketPair() }
        let second = pair.second.number
        process = try LaunchError.during(step) { () throws(SyscallError) in
            let number = lists.withUnsafeBufferPointer { lists in
                var groups = CSandboxLaunch_groups(
                    lists: lists.baseAddress, listCount: CInt(lists.count), unifiedDirectory: unifiedDirectory ?? -1,
                    unifiedList: unifiedList ?? -1)
                let makes: CInt = makesNetwork ? 1 : 0
                guard var user else { return CSandboxLaunch_startLauncher(second, &groups, nil, makes) }
                return CSandboxLaunch_startLauncher(second, &groups, &user, makes)
            }
            guard number > 0 else { throw SyscallError.last("fork") }
            return try ProcessHandle(opening: number)
        }
        socket = pair.takeFirst()
    }

    /// Ends the launcher without waiting for that; its sandboxes go on.
    package borrowing func dismiss() {
        // It is ours and not yet reaped, so this cannot fail but by its having ended.
        try? process.signal(9)
    }

    /// Ends the launcher; its sandboxes go on.
    package borrowing func end() {
        dismiss()
        _ = try? process.wait()
    }

    /// Why the launcher has ended; nil while it has not.
    private borrowing func ended() -> LaunchError? {
        // Who cannot be waited for has told nothing: the failure that led here is reported instead.
        guard let end = (try? process.wait(block: false))?.end else { return nil }
        guard case .exited(let code) = end else {
            return LaunchError(step: "keep the launcher", reason: "it was killed", errno: .brokenPipe)
        }
        let (step, call) =
            switch UInt32(code) {
            case CSandboxLaunch_endGroups.rawValue: ("enter the control groups", "write")
            case CSandboxLaunch_endParent.rawValue: ("bind the launcher to the supervisor", "prctl")
            case CSandboxLaunch_endUser.rawValue: ("take on the supervisor's user in the launcher", "setresuid")
            case CSandboxLaunch_endPrivileges.rawValue: ("forbid new privileges in the launcher", "prctl")
            case CSandboxLaunch_endDirectory.rawValue: ("enter the root directory in the launcher", "chdir")
            case CSandboxLaunch_endDescriptors.rawValue: ("close the launcher's descriptors", "close_range")
            default: ("answer the supervisor", "sendmsg")
            }
        return LaunchError(step: step, reason: "\(call) failed in the launcher", call: call)
    }

    /// Clones a process that carries out `plan` and then executes init, which starts `command`.
    ///
    /// `streams` are lent as standard input, output and error; `extra` may be named by operations of the plan, counted
    /// from `LaunchPlan.firstExtraDescriptor`.
    package borrowing func launch(
        _ plan: LaunchPlan, command: CommandPlan, initProgram: CInt, streams: [CInt], extra: [CInt] = []
    ) throws(LaunchError) -> LaunchedSandbox {
        let order = try CommandOrder(command)
        let control = try Self.control()
        try order.send(to: control.first.number)
        return try finish(begin(plan, control, initProgram: initProgram, streams: streams, extra: extra))
    }

    /// Has the launcher clone a process that carries out `plan` and executes init, which waits for a command; does not
    /// wait for that.
    ///
    /// Arguments are those of `launch`. What is begun has to be finished before something else is.
    package borrowing func begin(
        _ plan: LaunchPlan, initProgram: CInt, streams: [CInt], extra: [CInt] = []
    ) throws(LaunchError) -> BegunSandbox {
        try begin(plan, Self.control(), initProgram: initProgram, streams: streams, extra: extra)
    }

    private static func control() throws(LaunchError) -> SocketPair {
        try LaunchError.during(step) { () throws(SyscallError) in try Syscall.packetSocketPair() }
    }

    private borrowing func begin(
        _ plan: LaunchPlan, _ control: consuming SocketPair, initProgram: CInt, streams: [CInt], extra: [CInt]
    ) throws(LaunchError) -> BegunSandbox {
        let bytes: [UInt8]
        do throws(InvalidLaunchPlan) {
            bytes = try plan.block(
                placements: [(2, 0), (3, 1), (4, 2), (1, Int32(CSandboxLaunch_controlDescriptor))], initDescriptor: 0)
        } catch {
            throw LaunchError(step: Self.step, reason: error.description)
        }
        let inside = control.second.number
        do throws(SyscallError) {
            try Syscall.send(socket.number, bytes, descriptors: [initProgram, inside] + streams + extra)
        } catch {
            throw ended() ?? LaunchError(step: Self.step, error)
        }
        return BegunSandbox(control: control.takeFirst(), plan: plan)
    }

    static let step = "launch the sandbox"

    /// Waits until what was begun is there.
    package borrowing func finish(_ begun: consuming BegunSandbox) throws(LaunchError) -> LaunchedSandbox {
        let plan = begun.plan
        let size = MemoryLayout<CSandboxLaunch_answer>.size
        let reply: (bytes: [UInt8], descriptors: [CInt])
        do throws(SyscallError) {
            reply = try Syscall.receive(socket.number, upTo: size)
        } catch {
            throw ended() ?? LaunchError(step: Self.step, error)
        }
        guard reply.bytes.count == size else {
            throw ended() ?? LaunchError(step: Self.step, reason: "the launcher gave no answer", errno: .brokenPipe)
        }
        let answer = reply.bytes.withUnsafeBytes { $0.loadUnaligned(as: CSandboxLaunch_answer.self) }
        guard answer.error == 0, let pidfd = reply.descriptors.first else {
            if let pidfd = reply.descriptors.first {
                // The process that failed is a child of ours: it is reaped here.
                let failed = ProcessHandle(adopting: OwnedFileDescriptor(adopting: pidfd))
                _ = try? failed.wait()
            }
            throw plan.failure(answer)
        }
        return LaunchedSandbox(
            process: ProcessHandle(adopting: OwnedFileDescriptor(adopting: pidfd)), number: answer.process,
            control: begun.takeControl())
    }
}

/// A sandbox that is being set up, and has a place for its command already.
package struct BegunSandbox: ~Copyable {
    /// Takes orders, which wait there for an init that may never come to be.
    package let control: OwnedFileDescriptor
    fileprivate let plan: LaunchPlan

    fileprivate consuming func takeControl() -> OwnedFileDescriptor { control }
}

/// An order, ready to be sent to an init that waits for it.
package struct CommandOrder: ~Copyable {
    private let kind: UInt8
    private let memory: OwnedFileDescriptor

    /// Writes down a command that is to start.
    package init(_ command: CommandPlan) throws(LaunchError) {
        try self.init(UInt8(CSandboxLaunch_orderStart), command)
    }

    /// Writes down what is settled of a command that is to come.
    ///
    /// That is ids, capabilities, filters, directories without sockets, and the place of a mount: what the command itself
    /// says of them is not read then.
    package init(settling command: CommandPlan) throws(LaunchError) {
        try self.init(UInt8(CSandboxLaunch_orderPrepare), command)
    }

    private init(_ kind: UInt8, _ command: CommandPlan) throws(LaunchError) {
        let bytes: [UInt8]
        do throws(InvalidLaunchPlan) {
            bytes = try command.block()
        } catch {
            throw LaunchError(
                step: Launcher.step, reason: error.description,
                remedy: "pass fewer or shorter arguments and variables, or have the command read them from a file")
        }
        let memory = try LaunchError.during(Launcher.step) { () throws(SyscallError) in
            try Syscall.sealedMemory(name: "cloche-command", bytes: bytes, executable: false)
        }
        self.kind = kind
        self.memory = memory
    }

    /// Sends it; `tree` is a detached mount for the place that the command has for one.
    package borrowing func send(to control: CInt, with tree: CInt? = nil) throws(LaunchError) {
        let descriptors = [memory.number] + (tree.map { [$0] } ?? [])
        try LaunchError.during(Launcher.step) { () throws(SyscallError) in
            try Syscall.send(control, [kind], descriptors: descriptors)
        }
    }
}

/// Process 1 of a sandbox, and the socket on which it reports.
package struct LaunchedSandbox: ~Copyable {
    /// Process 1: a child of the supervisor.
    ///
    /// Its end is the end of the sandbox.
    package let process: ProcessHandle
    /// Its number outside, while it has not been waited for.
    package let number: Int32
    /// Receives `InitMessage`s.
    package let control: OwnedFileDescriptor
}

extension LaunchPlan {
    /// Index of the first descriptor that a caller of `Launcher.launch` sends beside the standard ones.
    package static let firstExtraDescriptor = 5

    fileprivate func failure(_ answer: CSandboxLaunch_answer) -> LaunchError {
        let error = Errno(rawValue: answer.error)
        let index = Int(answer.operation)
        if operations.indices.contains(index) {
            let operation = operations[index]
            let detail = withUnsafeBytes(of: answer.detail) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let reason = "\(operation.call): \(detail.isEmpty ? error.description : detail)"
            return LaunchError(
                step: operation.description, reason: reason, errno: error, call: operation.call, object: operation.path)
        }
        if index == -1 {
            return LaunchError(
                step: "make the namespaces", reason: "clone: \(error)", errno: error, call: "clone")
        }
        return LaunchError(step: "start process 1 of the sandbox", reason: error.description, errno: error)
    }
}

/// What processes of a sandbox read from disks and wrote to them, in bytes.
package struct DiskTraffic: Sendable, Hashable {
    package var readBytes: Int64, writtenBytes: Int64
}

/// What init reports.
package enum InitMessage: Sendable {
    /// The command executes. The descriptors belong to the receiver: its pidfd, the table of shared memory of the
    /// sandbox's IPC namespace (sysvipc(7)), and the listener for refused calls.
    case started(number: Int32, pidfd: CInt, segments: CInt, listener: CInt?)
    /// The command does not execute, since a call of init failed.
    case failed(step: String, call: String, errno: Errno, execution: Bool)
    /// The command has a terminal; the descriptor of our side of it belongs to the receiver.
    case terminal(CInt)
    /// The command ended with this wait status; `unroutedDatagrams` counts packets that found no network.
    case ended(ProcessEnd, unroutedDatagrams: UInt64, traffic: DiskTraffic?)

    /// Reads one message; nil when init is gone.
    package static func receive(_ control: CInt) throws(SyscallError) -> InitMessage? {
        let size = MemoryLayout<CSandboxLaunch_message>.size
        let packet = try Syscall.receive(control, upTo: size)
        guard packet.bytes.count == size else { return nil }
        let message = packet.bytes.withUnsafeBytes { $0.loadUnaligned(as: CSandboxLaunch_message.self) }
        switch message.kind {
        case CSandboxLaunch_started.rawValue:
            guard packet.descriptors.count > 1 else { return nil }
            return .started(
                number: message.value, pidfd: packet.descriptors[0], segments: packet.descriptors[1],
                listener: packet.descriptors.count > 2 ? packet.descriptors[2] : nil)
        case CSandboxLaunch_failed.rawValue:
            let stage = UInt32(bitPattern: message.value)
            let (step, call) = stageName(stage)
            return .failed(
                step: step, call: call, errno: Errno(rawValue: message.error),
                execution: stage == CSandboxLaunch_stageExecute.rawValue)
        case CSandboxLaunch_terminal.rawValue:
            return packet.descriptors.first.map { .terminal($0) }
        case CSandboxLaunch_ended.rawValue:
            let status = message.value
            let signal = status & 0x7F
            return .ended(
                signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal),
                unroutedDatagrams: message.unroutedDatagrams,
                traffic: message.knowsTraffic == 0
                    ? nil
                    : DiskTraffic(
                        readBytes: Int64(clamping: message.readBytes),
                        writtenBytes: Int64(clamping: message.writtenBytes)))
        default:
            return nil
        }
    }

    /// What a stage of init does, and the call that it consists of.
    private static func stageName(_ stage: UInt32) -> (step: String, call: String) {
        switch stage {
        case CSandboxLaunch_stageCommand.rawValue: ("read the command", "recvmsg")
        case CSandboxLaunch_stageAttachment.rawValue: ("attach the project", "move_mount")
        case CSandboxLaunch_stageClone.rawValue: ("start the command's process", "clone")
        case CSandboxLaunch_stageIdentity.rawValue: ("take on the command's user", "setresuid")
        case CSandboxLaunch_stageCapabilities.rawValue: ("give up capabilities", "capset")
        case CSandboxLaunch_stageNoNewPrivileges.rawValue: ("forbid new privileges", "prctl")
        case CSandboxLaunch_stageInitFilter.rawValue: ("load the filter of process 1", "seccomp")
        case CSandboxLaunch_stageTerminal.rawValue: ("make the command's terminal and session", "ioctl")
        case CSandboxLaunch_stageDirectory.rawValue: ("enter the working directory", "chdir")
        case CSandboxLaunch_stageLandlock.rawValue: ("forbid sockets in shared directories", "landlock_restrict_self")
        case CSandboxLaunch_stageFilter.rawValue: ("load the seccomp filter", "seccomp")
        default: ("execute the command", "execve")
        }
    }
}
