import Foundation
import Testing

extension EndToEndBeside {
    /// What programs learn of the machine, in each way that they ask for it.
    @Suite("The machine as programs see it", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct MachineView {
        private static let prelude = """
            import ctypes, mmap, os, signal, time
            libc = ctypes.CDLL(None, use_errno=True)
            class Machine(ctypes.Structure):
                _fields_ = [(name, ctypes.c_long) for name in ["uptime", "load1", "load5", "load15", "total", "free",
                    "shared", "buffers", "swap", "freeswap"]] + [("processes", ctypes.c_ushort)] + [
                    (name, ctypes.c_long) for name in ["high", "freehigh"]] + [("unit", ctypes.c_uint)]
            def ask(address):
                ctypes.set_errno(0)
                return libc.sysinfo(ctypes.c_void_p(address)), ctypes.get_errno()
            def machine():
                answer = Machine()
                assert ask(ctypes.addressof(answer)) == (0, 0)
                return answer

            """

        @Test("sysinfo(2) tells of the memory of the limit, as /proc/meminfo does", arguments: ["default", "strict"])
        func memory(_ base: String) throws {
            let policy = try PolicyFile("extends: \(base)\nlimits: {memory: 512MiB, cpus: 1}\n")
            let program = """
                one = machine()
                print(one.total * one.unit, one.free * one.unit, one.swap, one.shared, one.buffers)
                print(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
                print(int(open("/proc/meminfo").readline().split()[1]) * 1024)
                print(abs(one.uptime - float(open("/proc/uptime").read().split()[0])) < 2, len(os.sched_getaffinity(0)))
                """
            let bytes = "536870912"
            // The second one is carried out by what the first has had kept.
            for _ in 0..<2 {
                let result = try policy.exec("--", "python3", "-c", Self.prelude + program)
                #expect(
                    result.output == "\(bytes) \(bytes) 0 0 0\n\(bytes)\n\(bytes)\nTrue 1\n", "\(result.errors)")
                Thread.sleep(forTimeInterval: 0.3)
            }
        }

        @Test(
            "what others do on the host is told nowhere, whatever the limits are",
            arguments: ["", "limits: {memory: unlimited}\n", "limits: {memory: 512MiB, cpus: 1}\n"])
        func others(_ limits: String) throws {
            let policy = try PolicyFile("extends: default\n" + limits)
            let program = """
                print(os.getloadavg(), open("/proc/loadavg").read().split()[3])
                stat = [line.split() for line in open("/proc/stat")]
                print(sum(int(word) for line in stat if line[0] not in ("btime", "procs_running") for word in line[1:]))
                print(sum(int(line.split()[1]) for line in open("/proc/vmstat")), len(open("/proc/swaps").readlines()))
                began = [int(line[1]) for line in stat if line[0] == "btime"][0]
                print(abs(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - began) < 2)
                print(len([line for line in stat if line[0].startswith("cpu")]) - 1 == len(os.sched_getaffinity(0)))
                print(os.path.exists("/proc/pressure") and os.listdir("/proc/pressure") or [], os.listdir("/proc/irq"))
                for name in ["diskstats", "partitions", "softirqs", "zoneinfo", "buddyinfo", "cgroups"]:
                    print(name, len(open("/proc/" + name).read()))
                one = machine()
                print(one.load1, one.load5, one.load15, one.processes)
                """
            let result = try policy.exec("--", "python3", "-c", Self.prelude + program)
            let files = ["diskstats", "partitions", "softirqs", "zoneinfo", "buddyinfo", "cgroups"]
            let told =
                ["(0.0, 0.0, 0.0) 1/1", "0", "0 1", "True", "True", "[] []"] + files.map { "\($0) 0" }
                + ["0 0 0 1"]
            #expect(result.output.split(separator: "\n").map(String.init) == told, "\(result.errors)")
        }

        @Test("an answer is written where the caller itself could write, and only there")
        func addresses() throws {
            let policy = try PolicyFile("extends: default\nlimits: {memory: 512MiB}\n")
            let program = """
                open("/tmp/file", "wb").write(bytes(8192))
                file = os.open("/tmp/file", os.O_RDONLY)
                libc.mmap.restype = ctypes.c_void_p
                libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
                shared = libc.mmap(None, 8192, 1, 1, file, 0)
                two = libc.mmap(None, 8192, 3, 0x22, -1, 0)
                libc.mprotect(ctypes.c_void_p(two + 4096), 4096, 0)
                libc.munmap(ctypes.c_void_p(two + 4096), 4096)
                for address in [0, 1, shared, two + 4096, two + 4096 - 8, 1 << 47, 1 << 63, (1 << 64) - 1]:
                    print(ask(address))
                print(ask(two + 4096 - 112)[0], open("/tmp/file", "rb").read() == bytes(8192))
                """
            let result = try policy.exec("--", "python3", "-c", Self.prelude + program)
            #expect(
                result.output == String(repeating: "(-1, 14)\n", count: 8) + "0 True\n",
                "\(result.output) \(result.errors)")
        }

        @Test("callers that are killed, and those that never stop asking, hold nobody up", .timeLimit(.minutes(1)))
        func crowd() throws {
            let policy = try PolicyFile("extends: default\nlimits: {memory: 512MiB, wall_time: 20s}\n")
            let program = """
                for _ in range(20):
                    children = []
                    for _ in range(10):
                        child = os.fork()
                        if child == 0:
                            while True: machine()
                        children.append(child)
                    time.sleep(0.02)
                    for child in children:
                        os.kill(child, signal.SIGKILL)
                        os.waitpid(child, 0)
                print(machine().total)
                """
            let result = try policy.exec("--", "python3", "-c", Self.prelude + program)
            #expect(result.output == "536870912\n" && result.status == 0, "\(result.errors)")
            #expect(!result.errors.contains("refused"), "\(result.errors)")
        }

        @Test("a caller that could hold up the answer is answered by the kernel, and one that may not ask by nobody")
        func otherPolicies() throws {
            let program = Self.prelude + "print(machine().total)"
            let own = try StartedCommand("/usr/bin/env", ["grep", "MemTotal", "/proc/meminfo"]).wait().output
            let faults = try PolicyFile(
                "extends: default\nlimits: {memory: 512MiB}\nseccomp: {allow: [userfaultfd]}\n")
            let total = try faults.exec("--", "python3", "-c", program).output
            #expect(
                Int(total.trimmingCharacters(in: .newlines)).map { "MemTotal: \($0 / 1024) kB" }
                    == own.split(whereSeparator: \.isWhitespace).joined(separator: " "))
            let denied = try PolicyFile("extends: default\nseccomp: {deny: [sysinfo]}\n")
            let result = try denied.exec("--", "python3", "-c", Self.prelude + "print(ask(0))")
            #expect(result.output == "(-1, 1)\n", "\(result.errors)")
        }
    }
}
