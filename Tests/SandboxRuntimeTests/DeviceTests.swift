import Foundation
import Isolation
import Policies
import SeccompFilters
import Testing

@testable import SandboxRuntime

/// Devices of the host, as far as they are decided on without any.
struct DeviceTests {
    @Test(
        "only nodes of a family's own names are nodes",
        arguments: [
            "nvidia", "nvidia-1", "nvidia00", "nvidia254", "nvidia1000", "nvidia0/x", "nvidia-modeset", "nvidia-caps",
            "nvidia-caps/nvidia-cap1", "dri", "dri/card0", "dri/renderD127", "dri/renderD192", "dri/renderD0128",
            "dri/../mem", "renderD128", "kfd0", "mem", "kmem", "kvm", "sda", "tty0", "input/event0", "snd/seq", "", "/",
            "..", "nvidia٣", "kmsg", "fuse", "net/tun", "loop-control", "vfio/vfio", "uinput", "port", "nvme0",
        ])
    func names(name: String) {
        for family in DeviceAccess.Family.allCases { #expect(DeviceNode(name, of: family) == nil, "\(family)") }
    }

    @Test func `nodes are what their numbers say, and not what they are called`() throws {
        func number(_ major: UInt64, _ minor: UInt64) -> UInt64 {
            (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32
        }
        let first = try #require(DeviceNode("nvidia0", of: .nvidia))
        #expect(first.isDevice(number(195, 0), drivers: [:]))
        for other in [number(195, 1), number(1, 1), number(1, 3), number(8, 0), number(10, 232), number(195 + 4096, 0)]
        {
            #expect(!first.isDevice(other, drivers: ["nvidia": 1]))
        }
        let memory = try #require(DeviceNode("nvidia-uvm", of: .nvidia))
        #expect(memory.isDevice(number(510, 0), drivers: ["nvidia-uvm": 510]))
        #expect(!memory.isDevice(number(1, 1), drivers: ["nvidia-uvm": 510]))
        #expect(!memory.isDevice(number(0, 0), drivers: [:]))
        let render = try #require(DeviceNode("dri/renderD129", of: .dri))
        #expect(render.isDevice(number(226, 129), drivers: [:]) && !render.isDevice(number(226, 1), drivers: [:]))
        #expect(DeviceNode("kfd", of: .dri) == nil && DeviceNode("kfd", of: .nvidia) == nil)
        #expect(DeviceNode.parts(of: number(4097, 70000)) == (4097, 70000))
    }

    @Test func `drivers are those of character devices`() {
        let text = "Character devices:\n  1 mem\n195 nvidia\n510 nvidia-uvm\n\nBlock devices:\n  8 sd\n511 kfd\n"
        let drivers = DeviceSearch.drivers(of: Array(text.utf8))
        #expect(drivers["nvidia-uvm"] == 510 && drivers["mem"] == 1 && drivers["kfd"] == nil && drivers["sd"] == nil)
        #expect(DeviceSearch.drivers(of: [0xFF, 0x0A, 0x20]).isEmpty)
    }

    @Test func `the loader's table is read as ldconfig does`() throws {
        let bytes = try [UInt8](Data(contentsOf: URL(filePath: "/etc/ld.so.cache")))
        let cache = try #require(LoaderCache(bytes))
        let process = Process()
        process.executableURL = URL(filePath: "/sbin/ldconfig")
        process.arguments = ["-p"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let listed = Set(
            text.split(separator: "\n").filter { $0.contains("libc6,x86-64)") || $0.contains("libc6,AArch64)") }
                .compactMap { $0.split(separator: " ").last.map(String.init) })
        #expect(!listed.isEmpty && Set(cache.entries.map(\.path)) == listed)
    }

    @Test func `a damaged table is none, or shorter`() throws {
        let bytes = try [UInt8](Data(contentsOf: URL(filePath: "/etc/ld.so.cache")))
        let all = Set(try #require(LoaderCache(bytes)).entries.map(\.path))
        #expect(LoaderCache([]) == nil && LoaderCache(Array("ld.so-1.7.0\0".utf8)) == nil)
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 400)) {
            _ = LoaderCache(Array(bytes[..<length]))
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var damaged = bytes
            for _ in 0..<8 {
                damaged[Int.random(in: 0..<min(4096, damaged.count), using: &random)] = .random(in: 0...255)
            }
            for entry in LoaderCache(damaged)?.entries ?? [] { #expect(entry.path.utf8.count < 4096) }
        }
        #expect(!all.isEmpty)
    }

    @Test func `libraries are the driver's for computing`() {
        for name in ["libcuda.so", "libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1"] {
            #expect(DeviceLibraries.isWanted(name))
        }
        for name in ["libc.so.6", "libnvidia-ml/../../x", "libcuda.so\n", "libnvidia-egl-wayland.so.1", "libcudart.so"]
        {
            #expect(!DeviceLibraries.isWanted(name))
        }
    }

    @Test func `the plan shows nodes and libraries, and the audit expects them`() throws {
        var sample = PlanSample(policy: BuiltInPolicies.gpu)
        sample.devices = DevicePlan(
            nodes: ["dri/renderD128", "nvidia0", "nvidiactl"], families: [.nvidia, .dri],
            companions: [
                .init(
                    source: "/usr/lib/libcuda.so.1", target: "/usr/local/nvidia/lib64/libcuda.so.1", isDirectory: false),
                .init(
                    source: "/sys/dev/char/226:128/device", target: "/sys/dev/char/226:128/device", isDirectory: true),
            ])
        let mount = try #require(sample.mounts.first { $0.target == "/new/usr/local/nvidia/lib64/libcuda.so.1" })
        #expect(mount.source == "/device-companions/0")
        let lines = sample.audited.map(\.line)
        for line in [
            "= sx - /dev/nvidia0\n", "= sx - /dev/dri/renderD128\n",
            "= rsd - /usr/local/nvidia/lib64/libcuda.so.1\n", "= rsd - /sys/dev/char/226:128/device\n",
        ] { #expect(lines.contains(line), "\(line)") }
        let filter = try FilterCompiler(mode: .silent).compile(.initProcess()).code
        let command = sample.planner.commandPlan(sample.spec, filter: filter, initFilter: filter)
        #expect(command.variables.contains("LD_LIBRARY_PATH=/usr/local/nvidia/lib64"))
        #expect(command.variables.contains("PATH=/usr/bin:/bin"))
    }

    @Test func `nothing of a user is mounted where the libraries are`() {
        for target in ["/usr", "/usr/local/nvidia", "/usr/local/nvidia/lib64/libcuda.so.1"] {
            var spec = SandboxSpec(policy: BuiltInPolicies.gpu, arguments: ["sh"], variables: [:])
            spec.mounts = [.init(.bind(0), at: target)]
            #expect(throws: (any Error).self) { try spec.check() }
            spec.policy.devices = nil
            #expect(throws: Never.self) { try spec.check() }
        }
    }
}
