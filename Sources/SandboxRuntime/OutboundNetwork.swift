import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A network namespace with a way out, and nothing else: made once for a supervisor, joined by its sandboxes.
///
/// The way is Debian's pasta, a network stack in a process of its own without any privilege on the host. Addresses of the
/// host, of private and of link-local networks are closed by routes; the host's resolver answers at a link-local address.
package enum OutboundNetwork {
    /// What a policy's `outbound` leaves open beside the public network.
    package struct Settings: Sendable, Hashable, Codable {
        /// IPv4 addresses in closed ranges that stay reachable: the host's own package mirrors.
        package var reachable: [String]

        /// Names what stays reachable.
        package init(reachable: [String] = []) { self.reachable = reachable }
    }

    static let interface = "net0"
    private static let hardwareAddress = "02:00:5e:10:00:01"
    private static let gateway = "169.254.1.1"
    private static let address = "169.254.1.2"

    /// The file `/etc/resolv.conf` of sandboxes in such a network.
    package static let resolverFile = "nameserver \(gateway)\n"

    /// What no sandbox reaches: this host, private, shared, link-local, test, multicast and reserved networks.
    private static let closed = ClosedNetworks.ranges

    /// Root's part, before its user namespace: a tun device that the namespace's root may open.
    static func prepareDevice() throws(SyscallError) {
        guard geteuid() == 0 else { return }
        try Syscall.unshare(.mount)
        try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC | MS_PRIVATE))
        try Syscall.makeDirectories("/dev/net", mode: 0o755)
        try Syscall.mount(
            source: "net", target: "/dev/net", type: "tmpfs", flags: UInt(MS_NOSUID | MS_NOEXEC),
            data: "mode=0755,size=16k")
        try Syscall.makeDevice("/dev/net/tun", major: 10, minor: 200, mode: 0o666)
    }

    /// Why the tun device cannot be used by the calling process, with what to do; nil when it can.
    package static func deviceTrouble() -> String? {
        do throws(SyscallError) {
            _ = try Syscall.open("/dev/net/tun", O_RDWR)
            return nil
        } catch {
            return "\(error); give it the mode that udev gives it: `sudo modprobe tun; sudo chmod 0666 /dev/net/tun`"
        }
    }

    /// Makes the namespace and starts the stack.
    ///
    /// The caller is root of its user namespace, has one thread and still sees the host's files. Gives a descriptor of
    /// the network namespace.
    static func start(_ settings: Settings) throws(LaunchError) -> OwnedFileDescriptor {
        guard Syscall.exists("/usr/bin/pasta") else {
            throw LaunchError(
                step: "connect the sandbox", reason: "`/usr/bin/pasta` is missing: install the package `passt`")
        }
        if let trouble = deviceTrouble() { throw LaunchError(step: "connect the sandbox", reason: trouble) }
        return try LaunchError.during("connect the sandbox") { () throws(SyscallError) in
            let release = try Syscall.pipe()
            let ready = try Syscall.pipe()
            let own = getpid()
            let holder = try Syscall.fork()
            if holder == 0 { hold(own, ready: ready.writing.number, release: release.reading.number) }
            let ended = try ProcessHandle(opening: holder)
            guard try Syscall.read(ready.reading.number, upTo: 1) == [1] else {
                _ = try ended.wait()
                throw SyscallError("unshare", "network namespace", errno: .notPermitted)
            }
            let source = FilePath("/proc/\(holder)/ns/net")
            let namespace = try Syscall.open(source, O_RDONLY)
            // pasta has given up too much to open the namespace of another process: it gets a file to open.
            let path: FilePath = "/tmp/network"
            try Syscall.mount(source: "network", target: "/tmp", type: "tmpfs", flags: UInt(MS_NOSUID | MS_NODEV))
            try Syscall.writeFile(path, [])
            try Syscall.mount(source: source.string, target: path, type: nil, flags: UInt(MS_BIND))
            let pasta = try startStack(path)
            try awaitInterface(FilePath("/proc/\(holder)/net/dev"), pasta)
            try configure(namespace.number, settings)
            try Syscall.writeAll(release.writing.number, [1])
            _ = try ended.wait()
            return namespace
        }
    }

    /// A child that is nothing but the first process in the new network namespace.
    private static func hold(_ parent: Int32, ready: CInt, release: CInt) {
        do throws(SyscallError) {
            try Syscall.endWithParent(parent)
            // Changing ids has closed /proc/<pid>/ns to everybody; pasta has to open it. Nothing else is in this process.
            try Syscall.setDumpable(true)
            try Syscall.unshare(.network)
            try Syscall.bringLoopbackUp()
            try Syscall.writeAll(ready, [1])
            _ = try Syscall.read(release, upTo: 1)
        } catch {
            _exit(1)
        }
        _exit(0)
    }

    private static func startStack(_ namespace: FilePath) throws(SyscallError) -> Int32 {
        let arguments = [
            "pasta", "--foreground", "--quiet", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none",
            "-4", "-I", interface, "-M", hardwareAddress, "-g", gateway, "-a", address, "--dns-forward", gateway,
            "--netns-only", "--netns", namespace.string,
        ]
        let own = getpid()
        let process = try Syscall.fork()
        guard process == 0 else { return process }
        // It ends with its supervisor; and it does not start where SIGPIPE is ignored.
        try Syscall.endWithParent(own)
        // The supervisor is about to leave the host's files behind; pasta still needs a few of them.
        try Syscall.unshare(.mount)
        for number in 1..<CInt(32) { signal(number, SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        var variables: [UnsafeMutablePointer<CChar>?] = [nil]
        execve("/usr/bin/pasta", &words, &variables)
        _exit(127)
    }

    private static func awaitInterface(_ list: FilePath, _ pasta: Int32) throws(SyscallError) {
        let deadline = Syscall.monotonicSeconds() + 10
        while Syscall.monotonicSeconds() < deadline {
            let file = try Syscall.open(list, O_RDONLY)
            let text = String(decoding: try Syscall.readAll(file.number, limit: 1 << 20), as: UTF8.self)
            if text.contains("\(interface):") { return }
            let handle = try ProcessHandle(opening: pasta)
            if try handle.wait(block: false) != nil { throw SyscallError("execute", "pasta", errno: .noChildProcess) }
            usleep(5_000)
        }
        throw SyscallError("wait", "pasta", errno: .timedOut)
    }

    private static func configure(_ namespace: CInt, _ settings: Settings) throws(SyscallError) {
        var lines = [
            "link set \(interface) mtu 65520 up", "addr add \(address)/32 dev \(interface)",
            "neigh add \(gateway) lladdr \(hardwareAddress) nud permanent dev \(interface)",
            "route add \(gateway) dev \(interface) scope link", "route add default via \(gateway) dev \(interface)",
        ]
        lines += closed.map { "route add prohibit \($0)" }
        lines += try hostAddresses().map { "route add prohibit \($0)/32" }
        lines += settings.reachable.map { "route add \($0) via \(gateway) dev \(interface)" }
        lines += resolverRules
        let child = try Syscall.fork()
        if child == 0 {
            let done = (try? apply(namespace, lines.joined(separator: "\n") + "\n")) ?? false
            _exit(done ? 0 : 1)
        }
        guard case .exited(0) = try ProcessHandle(opening: child).wait()?.end else {
            throw SyscallError("execute", "ip -batch", errno: .invalidArgument)
        }
    }

    /// The stack sends all else that is meant for the gateway out by the host's own network, whatever has that address
    /// there; routes that lead through it are not looked up by these rules (ip-rule(8)), once they have been made.
    static let resolverRules =
        ["udp", "tcp"].enumerated().map { number, transport in
            "rule add pref \(10 + number) to \(gateway) ipproto \(transport) dport 53 lookup main"
        } + ["rule add pref 12 to \(gateway) prohibit"]

    /// The host's own addresses, from its routing trie (proc(5)): each is a line `|-- address` above `/32 host LOCAL`.
    private static func hostAddresses() throws(SyscallError) -> [String] {
        let file = try Syscall.open("/proc/net/fib_trie", O_RDONLY)
        let text = String(decoding: try Syscall.readAll(file.number, limit: 16 << 20), as: UTF8.self)
        var addresses: Set<String> = []
        var last = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 2, words[words.count - 2] == "|--" { last = String(words[words.count - 1]) }
            if line.hasSuffix("/32 host LOCAL"), !last.hasPrefix("127.") { addresses.insert(last) }
        }
        return addresses.sorted()
    }

    private static func apply(_ namespace: CInt, _ batch: String) throws(SyscallError) -> Bool {
        try Syscall.setParentDeathSignal(SIGKILL)
        try Syscall.joinNamespace(namespace, .network)
        let input = try Syscall.sealedMemory(name: "ip", bytes: Array(batch.utf8), executable: false)
        _ = Glibc.lseek(input.number, 0, SEEK_SET)
        let program: FilePath = Syscall.exists("/usr/sbin/ip") ? "/usr/sbin/ip" : "/usr/bin/ip"
        let process = try HostProcess.spawn(program, ["ip", "-batch", "-"], descriptors: [(input.number, 0)])
        guard case .exited(0) = try ProcessHandle(opening: process).wait()?.end else { return false }
        // Kernels such as 6.1 check the source of a packet by a look-up with its ports as they came, which answers of
        // the resolver would not pass; nobody but the stack sends anything here.
        for name in ["all", interface] {
            try Syscall.writeFile(FilePath("/proc/sys/net/ipv4/conf/\(name)/rp_filter"), Array("0".utf8))
        }
        // There is no second way out by IPv6.
        try Syscall.writeFile(FilePath("/proc/sys/net/ipv6/conf/\(interface)/disable_ipv6"), Array("1".utf8))
        return true
    }
}
