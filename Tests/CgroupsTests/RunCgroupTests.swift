import Cgroups
import Glibc
import Isolation
import LinuxSystem
import SystemPackage
import Testing

/// The kernel's side, over every kind of host that this machine can be taken for.
@Suite(.serialized, .enabled(if: TestHost.isUsable, "needs control groups in which groups can be made: run as root"))
struct RunCgroupTests {
    @Test("a process that exceeds the memory limit is killed, and that is counted", arguments: TestHost.withMemory)
    func outOfMemory(host: TestHost) throws {
        try host.withRun(ResourceLimits(memory: .mebibytes(64))) { group in
            #expect(group.enforcement.map(\.enforcement) == [.cgroup])
            let counter = try eventCounter()
            let events = try #require(try group.memoryEvents(counter: counter.number))
            #expect(!isReady(events))
            #expect(group.oomKills() == 0)
            let child = try TestProcess(
                "enter(); held = [bytearray(1 << 20) for _ in range(256)]; say('survived')",
                lists: group.stepsEntry.allLists)
            #expect(try child.line() == "")
            #expect(try child.wait() == .signalled(SIGKILL))
            #expect(isReady(events))
            let usage = group.usage()
            #expect((usage.oomKills ?? 0) >= 1)
            #expect(usage.memoryLimitHits.map { $0 >= 1 } != false)
            #expect((32 << 20)...(64 << 20) ~= (usage.peakMemory ?? 0))
        }
    }

    @Test("a fork beyond the limit is refused, and that is counted", arguments: TestHost.withPids)
    func tooManyProcesses(host: TestHost) throws {
        try host.withRun(ResourceLimits(pids: 6)) { group in
            let child = try TestProcess(
                """
                enter()
                made = 0
                try:
                    while made < 50:
                        if os.fork() == 0: signal.pause()
                        made += 1
                except OSError as error:
                    say(f"{made} {errno.errorcode[error.errno]}")
                signal.pause()
                """, lists: group.stepsEntry.allLists)
            #expect(try child.line() == "5 EAGAIN")
            #expect((group.pidsLimitHits() ?? 0) >= 1)
            #expect(group.usage().peakPids.map { $0 == 6 } != false)
            try group.kill()
            #expect(try child.wait() == .signalled(SIGKILL))
        }
    }

    @Test("processor time is counted", arguments: TestHost.all)
    func processorTime(host: TestHost) throws {
        try host.withRun(ResourceLimits()) { group in
            let child = try TestProcess(
                "enter(); burn(0.4)", lists: group.stepsEntry.allLists)
            #expect(try child.wait() == .exited(0))
            let usage = group.usage()
            #expect(0.3...2 ~= (usage.userSeconds ?? 0) + (usage.systemSeconds ?? 0))
        }
    }

    @Test("a run with too few processors has to wait, and that is counted", arguments: TestHost.withProcessors)
    func throttling(host: TestHost) throws {
        try host.withRun(ResourceLimits(cpus: 0.1)) { group in
            let child = try TestProcess(
                "enter(); burn(0.2)", lists: group.stepsEntry.allLists)
            #expect(try child.wait() == .exited(0))
            #expect((group.usage().throttledPeriods ?? 0) >= 1)
            #expect((group.usage().throttledSeconds ?? 0) > 0.05)
        }
    }

    @Test("killing ends a tree of processes that goes on growing", arguments: TestHost.all)
    func killing(host: TestHost) throws {
        try host.withRun(ResourceLimits(pids: 200)) { group in
            let child = try TestProcess(
                """
                enter()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                for _ in range(3):
                    if os.fork() == 0:
                        os.setsid()
                        # Each ends at once, and leaves a child: the tree is never the same twice.
                        while True:
                            if os.fork() != 0: os._exit(0)
                say("growing")
                signal.pause()
                """, lists: group.stepsEntry.allLists)
            #expect(try child.line() == "growing")
            try group.kill()
            #expect(try child.wait() == .signalled(SIGKILL))
            try group.remove()
        }
    }

    @Test("a process without privileges enters by the descriptors that it inherits", arguments: TestHost.all)
    func entering(host: TestHost) throws {
        try host.withRun(ResourceLimits()) { group in
            let child = try TestProcess(
                "os.setuid(65534); enter(); say(open('/proc/self/cgroup').read().count('cloche-\(host.run)')); input()",
                lists: group.stepsEntry.allLists)
            #expect(try child.line() == String(group.stepsEntry.allLists.count))
            #expect(!group.stepsEntry.allLists.isEmpty)
        }
    }

    @Test("groups with processes stay, and are stale when the processes are gone", arguments: TestHost.all)
    func stale(host: TestHost) throws {
        try host.withRun(ResourceLimits()) { group in
            let child = try TestProcess("enter(); say('in'); input()", lists: group.stepsEntry.allLists)
            #expect(try child.line() == "in")
            #expect(host.host.removeStale { $0 != host.run }.left == [host.run])
            #expect(!host.left().isEmpty)
            let again = try RunCgroup.open(host.host, run: host.run)
            try again.kill()
            #expect(try child.wait() == .signalled(SIGKILL))
            #expect(host.host.removeStale { $0 != host.run }.removed == [host.run])
            #expect(host.left().isEmpty)
        }
    }
}

/// An eventfd(2), which Swift's Glibc module does not show.
private func eventCounter() throws -> OwnedFileDescriptor {
    typealias Call = @convention(c) (CUnsignedInt, CInt) -> CInt
    let call = unsafeBitCast(try #require(dlsym(nil, "eventfd")), to: Call.self)
    return OwnedFileDescriptor(adopting: call(0, O_CLOEXEC | O_NONBLOCK))
}

private func isReady(_ events: CgroupMemoryEvents) -> Bool {
    let condition = Int16(events.readiness == .readable ? POLLIN : POLLPRI)
    var entry = pollfd(fd: events.descriptor, events: condition, revents: 0)
    return poll(&entry, 1, 0) == 1 && entry.revents & condition != 0
}
