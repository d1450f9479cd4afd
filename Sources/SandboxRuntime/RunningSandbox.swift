import Cgroups
import Isolation
package import LinuxSystem
import SandboxLaunch
import SeccompFilters
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One sandbox from its launch to its report, driven by an event loop.
package final class RunningSandbox {
    private let loop: EventLoop
    private let launched: LaunchedSandbox
    private let limits: ResourceLimits
    private let watch: SandboxWatchdog.Limits
    private let hasRootInMemory: Bool
    private var watchdog: SandboxWatchdog?
    private var tail = OutputTail()
    private var traffic: DiskTraffic?
    private let counters: () -> CgroupUsage?
    private let before: CgroupUsage?
    private let started: Double
    private var recorder: DenialRecorder
    private var listener: OwnedFileDescriptor?
    private var listenerNumber: CInt?
    private var answers = 0
    private var command: ProcessHandle?
    private var outputs: Set<CInt>
    private var paused: Set<CInt> = []
    private var ending: SandboxReport.Ending?
    private var intervention: SandboxReport.Intervention?
    private var written: WrittenRoom?
    private var unrouted: UInt64 = 0
    private var outputBytes: Int64 = 0
    private var timers: [Int] = []
    private var killTimer: Int?
    private var finished = false
    private let onOutput: (CInt, [UInt8]) -> Void
    private let onEnd: (SandboxReport) -> Void

    /// Whether another sandbox has been in the same control group meanwhile: what the group counts is not this one's alone.
    var sharesGroup = false

    /// What is made of the output before anybody sees it; it may keep some back for later.
    package var rewriteOutput: (([UInt8]) -> [UInt8])?
    /// Called once when the command executes.
    package var onStart: (() -> Void)?
    /// Called with our side of the command's terminal, where it has one, before it executes.
    package var onTerminal: ((consuming OwnedFileDescriptor) -> Void)?

    /// Takes over a launched sandbox.
    ///
    /// `onOutput` gets what arrives on each of the outputs; `onEnd` gets the report, once.
    init(
        _ launched: consuming LaunchedSandbox, loop: EventLoop, limits: ResourceLimits,
        refusals: @escaping () -> RefusalTable, answered: UInt32?, memory: Int64?,
        records: Bool = false, outputs: [CInt], watch: SandboxWatchdog.Limits,
        hasRootInMemory: Bool, counters: @escaping () -> CgroupUsage?,
        onOutput: @escaping (CInt, [UInt8]) -> Void, onEnd: @escaping (SandboxReport) -> Void
    ) {
        self.loop = loop
        self.launched = launched
        self.limits = limits
        self.counters = counters
        self.watch = watch
        self.hasRootInMemory = hasRootInMemory
        self.onOutput = onOutput
        self.onEnd = onEnd
        self.outputs = Set(outputs)
        before = counters()
        started = Syscall.monotonicSeconds()
        recorder = DenialRecorder(refusals, answered: answered, memory: memory, recordsCalls: records)
        loop.watch(self.launched.control.number) { self.readControl() }
        loop.watch(self.launched.process.number) { self.reap() }
        for output in outputs { watchOutput(output) }
        if let limit = limits.wallTime {
            let seconds = Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18
            timers.append(loop.after(seconds) { self.end(.timeLimit) })
        }
    }

    /// Ends the command early: SIGTERM, and the end of the whole sandbox when `grace` seconds have not been enough.
    package func end(_ reason: SandboxReport.Intervention, grace: Double = 5) {
        guard !finished else { return }
        guard ending == nil else {
            // What is left is a reader that does not read: it holds up nobody who wants the end.
            if grace == 0 { for output in outputs { abandon(output) } }
            return
        }
        if intervention == nil { intervention = reason }
        guard grace > 0, command != nil else { return kill() }
        signal(SIGTERM)
        timers.append(loop.after(grace) { self.kill() })
    }

    /// Ends the command at once, for what has been written took more room than it may.
    func end(_ reason: SandboxReport.Intervention, written: WrittenRoom) {
        if intervention == nil, ending == nil { self.written = written }
        end(reason, grace: 0)
    }

    /// Adds the files without a name that its processes have open below one of the places where `counts` says so.
    func addNameless(to measure: inout RoomMeasure, where counts: ([UInt8]) -> Bool) {
        watchdog?.addNameless(to: &measure, where: counts)
    }

    /// Sends a signal to the command and its process group, if it runs.
    package func signal(_ signal: CInt) {
        // A command that has ended meanwhile is reported as ended.
        try? command?.signalGroup(signal)
    }

    /// Ends the sandbox at once.
    package func kill() {
        // Process 1 is ours and not yet reaped: the only failure is that it has ended already.
        try? launched.process.signal(SIGKILL)
    }

    private func readControl() {
        guard let message = try? InitMessage.receive(launched.control.number) else {
            loop.unwatch(launched.control.number)
            return
        }
        switch message {
        case .started(_, let pidfd, let segments, let listenerNumber):
            let segments = OwnedFileDescriptor(adopting: segments)
            command = ProcessHandle(adopting: OwnedFileDescriptor(adopting: pidfd))
            if let listenerNumber {
                listener = OwnedFileDescriptor(adopting: listenerNumber)
                self.listenerNumber = listenerNumber
                loop.watch(listenerNumber) { self.answerCall(listenerNumber) }
            }
            startWatching(segments)
            if let intervention, intervention != .timeLimit { signal(SIGTERM) }
            onStart?()
        case .terminal, .failed, .ended: take(lastWord: message)
        }
    }

    /// What init may say without the command's running.
    private func take(lastWord message: InitMessage) {
        switch message {
        case .failed(_, _, let errno, execution: true):
            ending = .notExecuted(missing: errno == .noSuchFileOrDirectory, reason: errno.description)
        case .failed(let step, let call, let errno, execution: false):
            ending = .setup(LaunchError(step: step, SyscallError(call, errno: errno)))
        case .ended(let end, let unroutedDatagrams, let traffic):
            ending = .ended(end)
            unrouted = unroutedDatagrams
            self.traffic = traffic
        case .terminal(let number): onTerminal?(OwnedFileDescriptor(adopting: number))
        case .started: break
        }
    }

    private var groupSeconds: Double? { groupUsage(counters()).map { $0.user + $0.system } }

    /// What the group used of processors since the start; nil where it is not counted, or others are in it.
    private func groupUsage(_ now: CgroupUsage?) -> (user: Double, system: Double)? {
        guard !sharesGroup, let before, let now, let user = now.userSeconds, let first = before.userSeconds else {
            return nil
        }
        return (user - first, (now.systemSeconds ?? 0) - (before.systemSeconds ?? 0))
    }

    private func startWatching(_ segments: consuming OwnedFileDescriptor) {
        // A command that ends at once leaves nothing to look at.
        if let processes = try? SandboxProcesses(
            of: launched.number, hasRootInMemory: hasRootInMemory, segments: segments)
        {
            watchdog = SandboxWatchdog(watch, processes, loop: loop, groupSeconds: { self.groupSeconds }) {
                self.end($0, grace: 0)
            }
        }
        if before?.oomKills != nil { watchForKills() }
    }

    /// A run of which the kernel has killed one process is a failed run: what is left of it would only burn time.
    ///
    /// Control groups of version 2 end the rest by themselves.
    private func watchForKills() {
        killTimer = loop.after(0.3) {
            guard self.outOfMemoryKills > 0 else { return self.watchForKills() }
            // The command itself, if it was that, is still giving back its memory: its own end tells more.
            self.killTimer = self.loop.after(1) { self.end(.outOfMemory, grace: 0) }
        }
    }

    private var outOfMemoryKills: Int64 { (counters()?.oomKills ?? 0) - (before?.oomKills ?? 0) }

    private func answerCall(_ number: CInt) {
        do throws(SyscallError) {
            var answer = try recorder.answerNext(number)
            // A call that is carried out is soon followed by the next one; others want to be heard as well.
            for _ in 0..<Self.recordedAtOnce where answer == .carriedOut { answer = try recorder.answerNext(number) }
            switch answer {
            case .carriedOut: return
            case .given:
                answers += 1
                if answers > Self.freeAnswers, answers % Self.answersAtOnce == 0 { answerLater(number) }
            case .none:
                // The last process behind the filter may end long before the sandbox is gone: nobody will call any more.
                if try Syscall.isHungUp(number) { forgetListener(number) }
            }
        } catch {
            // Without an answer the call would wait for ever; without a listener the kernel refuses it with ENOSYS.
            forgetListener(number)
        }
    }

    /// Whoever makes refused calls without end waits for the answers, and takes no more of the supervisor's time than
    /// the answers to two thousand calls a second.
    private func answerLater(_ number: CInt) {
        loop.unwatch(number)
        loop.after(Double(Self.answersAtOnce) / 2000) {
            guard self.listenerNumber == number else { return }
            self.loop.watch(number) { self.answerCall(number) }
        }
    }

    private static let freeAnswers = 5000, answersAtOnce = 50, recordedAtOnce = 64

    private func forgetListener(_ number: CInt) {
        loop.unwatch(number)
        listenerNumber = nil
        listener = nil
    }

    private func readOutput(_ number: CInt) {
        do throws(SyscallError) {
            let bytes = try Syscall.read(number, upTo: 65536)
            if bytes.isEmpty { abandon(number) } else { deliver(number, bytes) }
        } catch let error where error.errno == .resourceTemporarilyUnavailable {
            return
        } catch {
            // A terminal whose other side is closed ends with EIO.
            abandon(number)
        }
    }

    private func deliver(_ number: CInt, _ bytes: [UInt8]) {
        var bytes = bytes[...]
        if let limit = limits.output?.bytes {
            bytes = bytes.prefix(Int(max(0, limit - outputBytes)))
            if outputBytes + Int64(bytes.count) >= limit { end(.outputLimit, grace: 1) }
        }
        outputBytes += Int64(bytes.count)
        guard !bytes.isEmpty else { return }
        let shown = rewriteOutput?(Array(bytes)) ?? Array(bytes)
        tail.append(shown)
        onOutput(number, shown)
    }

    private var reaped = false
    private var usage: ProcessUsage?

    private func reap() {
        guard !reaped else { return }
        guard let result = try? launched.process.wait(block: false) else { return }
        reaped = true
        loop.cancelTimer(killTimer)
        watchdog?.stop()
        usage = result.usage
        loop.unwatch(launched.process.number)
        // The last words of init may still be in the socket.
        while ending == nil, let message = try? InitMessage.receive(launched.control.number) {
            take(lastWord: message)
        }
        loop.unwatch(launched.control.number)
        if let listenerNumber { loop.unwatch(listenerNumber) }
        listenerNumber = nil
        abandonLater()
        finishIfDone()
    }

    /// Reads one more output, and is not at its end before that is.
    func add(output: CInt) {
        outputs.insert(output)
        watchOutput(output)
    }

    private func watchOutput(_ output: CInt) {
        // A command may take back what made the output readable; the reading must not wait for more then. It is our own
        // end, of a pipe or a terminal, which takes any flag.
        _ = try? Syscall.fcntl(output, F_SETFL, Int(O_NONBLOCK))
        loop.watch(output) { self.readOutput(output) }
    }

    /// Reads from an output again only after `resume`: whoever gets it is not done with what there was.
    func pause(_ output: CInt) {
        guard outputs.contains(output), paused.insert(output).inserted else { return }
        loop.unwatch(output)
    }

    /// Goes on reading.
    func resume(_ output: CInt) {
        guard paused.remove(output) != nil else { return }
        loop.watch(output) { self.readOutput(output) }
        if reaped { abandonLater() }
    }

    /// Reads no more from an output; it may be closed then.
    package func abandon(_ output: CInt) {
        paused.remove(output)
        outputs.remove(output)
        loop.unwatch(output)
        finishIfDone()
    }

    /// Who holds an output from outside of the sandbox does not hold its end up.
    private func abandonLater() {
        timers.append(
            loop.after(2) {
                for output in self.outputs.subtracting(self.paused) { self.abandon(output) }
            })
    }

    private func finishIfDone() {
        guard reaped, outputs.isEmpty, !finished else { return }
        finished = true
        for timer in timers { loop.cancelTimer(timer) }
        let after = counters()
        let watchdog = watchdog
        self.watchdog = nil
        var report = SandboxReport(
            ending: ending ?? .lost, intervention: intervention, usage: usage,
            seconds: Syscall.monotonicSeconds() - started, outputBytes: outputBytes, denials: recorder.denials,
            unrecordedDenials: recorder.unrecorded, unroutedDatagrams: unrouted, outOfMemoryKills: 0, pidsLimitHits: 0,
            peakMemory: after?.peakMemory ?? watchdog?.peakMemory)
        // The kernel does not add up the times of what it ends together with process 1.
        if let used = groupUsage(after), let known = usage,
            used.user + used.system > known.userSeconds + known.systemSeconds, ending == nil
        {
            report.usage = known.with(user: used.user, system: used.system)
        }
        report.fullPlaces = watchdog?.fullPlaces ?? []
        // Nobody asks what a command complained of that has succeeded.
        if report.exitCode != 0 { report.complaint = tail.complaint }
        report.traffic = traffic
        report.written = written
        report.peakProcesses = after?.peakPids
        if let calls = recorder.calls { report.recording = SandboxRecording(calls: calls.calls) }
        report.outOfMemoryKills = (after?.oomKills ?? 0) - (before?.oomKills ?? 0)
        report.pidsLimitHits = (after?.pidsLimitHits ?? 0) - (before?.pidsLimitHits ?? 0)
        if watchdog?.sawMostTasks == true { report.pidsLimitHits = 1 }
        if case .lost = report.ending, intervention != nil { report.ending = .ended(.signalled(SIGKILL)) }
        onEnd(report)
    }
}
