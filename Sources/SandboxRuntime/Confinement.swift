package import Isolation
package import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The way into the user namespace of a run.
///
/// The calling process becomes two. The *keeper* stays outside with the caller's rights: it writes the id maps, waits,
/// and clears away what only it may remove. The *supervisor* goes on in its own user and mount namespace. The death of
/// either ends the other.
package enum Confinement {
    /// Splits the process, which must have a single thread; returns in the supervisor only, with the keeper's number.
    ///
    /// `connected` prepares for an outbound network. `supervisorsOwn` are descriptors that the keeper closes. `keep` runs in the keeper when the supervisor has ended, with its
    /// handle and number, and gives the exit status of the keeper.
    package static func enter(
        _ identity: IdentityMap, connected: Bool = false, supervisorsOwn: [CInt] = [],
        keep: (borrowing ProcessHandle, Int32) -> Int32
    ) throws(LaunchError) -> Int32 {
        let step = "enter a user namespace"
        let ready = try LaunchError.during(step) { () throws(SyscallError) in try Syscall.pipe().release() }
        let go = try LaunchError.during(step) { () throws(SyscallError) in try Syscall.pipe().release() }
        let own = getpid()
        let number = try LaunchError.during(step) { () throws(SyscallError) in try Syscall.fork() }
        // An end that stayed open in the wrong half would hide the other's death.
        guard number == 0 else {
            for descriptor in [ready.writing, go.reading] + supervisorsOwn { _ = Glibc.close(descriptor) }
            runKeeper(identity, number, ready: ready.reading, go: go.writing, keep: keep)
        }
        _ = Glibc.close(ready.reading)
        _ = Glibc.close(go.writing)
        defer {
            _ = Glibc.close(ready.writing)
            _ = Glibc.close(go.reading)
        }
        do throws(SyscallError) {
            try Syscall.endWithParent(own)
            CallerSettings.leave()
            if connected { try OutboundNetwork.prepareDevice() }
            try Syscall.unshare(NamespaceFlags.user.union(.mount))
            try Syscall.writeAll(ready.writing, [1])
        } catch {
            throw LaunchError(step: step, error)
        }
        // The keeper's word: empty when it died, one zero byte when the maps are written, else its error.
        let word = try LaunchError.during(step) { () throws(SyscallError) in
            try Syscall.readAll(go.reading, limit: 4096)
        }
        guard word == [0] else {
            throw LaunchError(step: "map user ids", failure(word))
        }
        return own
    }

    /// A failure of the keeper as its word to the supervisor: number, call and object, parted by zero bytes.
    private static func word(_ error: SyscallError) -> [UInt8] {
        Array("\(error.errno.rawValue)\0\(error.call)\0\(error.object ?? "")".utf8)
    }

    private static func failure(_ word: [UInt8]) -> SyscallError {
        let parts = word.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard parts.count == 3, let number = Int32(parts[0]) else {
            return SyscallError("read", "the keeper's word", errno: .brokenPipe)
        }
        return SyscallError(parts[1], parts[2].isEmpty ? nil : parts[2], errno: Errno(rawValue: number))
    }

    private static func runKeeper(
        _ identity: IdentityMap, _ number: Int32, ready: CInt, go: CInt,
        keep: (borrowing ProcessHandle, Int32) -> Int32
    ) -> Never {
        do throws(SyscallError) {
            let signals = try Syscall.signalDescriptor(
                [SIGINT, SIGTERM, SIGHUP, SIGQUIT] + Self.plainSignals)
            let supervisor = try ProcessHandle(opening: number)
            if try Syscall.read(ready, upTo: 1) == [1] {
                do throws(SyscallError) {
                    try IdentityMapping.write(identity, process: number)
                    try Syscall.writeAll(go, [0])
                } catch {
                    try Syscall.writeAll(go, word(error))
                }
            }
            _ = Glibc.close(go)
            _ = Glibc.close(ready)
            try passOn(signals.number, to: supervisor)
            // Every path from here ends the process: the descriptor is named so that it lives until now.
            _ = signals.number
            exit(keep(supervisor, number))
        } catch {
            // The supervisor ends with this process, which has nobody else to tell.
            let text = "error: failed to keep the sandbox: \(error)\nhint: run `cloche system doctor`\n"
            try? Syscall.writeAll(2, Array(text.utf8))
            _exit(125)
        }
    }

    /// Signals that ask a process for nothing in particular: they are a command's own, as often as they come.
    static let plainSignals = [SIGUSR1, SIGUSR2, SIGALRM]

    /// Passes signals on until the supervisor has ended.
    ///
    /// Those of the keyboard reach it by themselves. That of a terminal which is closed reaches only who leads its session.
    private static func passOn(_ signals: CInt, to supervisor: borrowing ProcessHandle) throws(SyscallError) {
        while true {
            let ready = try Syscall.poll([signals, supervisor.number], milliseconds: -1)
            if ready.contains(where: { $0.number == supervisor.number }) { return }
            while let (signal, sent) = Syscall.nextSignalWithOrigin(signals) {
                if sent || signal == SIGHUP { try supervisor.signal(signal) }
            }
        }
    }
}

/// The writing of `uid_map` and `gid_map` (user_namespaces(7)).
enum IdentityMapping {
    /// Writes the maps of a process that has just made its user namespace.
    static func write(_ identity: IdentityMap, process: Int32) throws(SyscallError) {
        let directory = "/proc/\(process)"
        switch identity.kind {
        case .ownerRange:
            try put("\(directory)/gid_map", lines(identity.groups))
            try put("\(directory)/uid_map", lines(identity.users))
        case .userRange:
            try runHelper("newgidmap", process, identity.groups)
            try runHelper("newuidmap", process, identity.users)
        case .single:
            try put("\(directory)/setgroups", "deny")
            try put("\(directory)/gid_map", lines(identity.groups))
            try put("\(directory)/uid_map", lines(identity.users))
        }
    }

    private static func lines(_ ranges: [IdentityMap.Range]) -> String {
        ranges.map(\.line).joined(separator: "\n")
    }

    private static func put(_ path: String, _ text: String) throws(SyscallError) {
        let file = try Syscall.open(FilePath(path), O_WRONLY)
        do throws(SyscallError) {
            try Syscall.writeAll(file.number, Array(text.utf8))
        } catch {
            throw SyscallError("write", path, errno: error.errno)
        }
    }

    /// newuidmap(1) and newgidmap(1) are Debian's setuid helpers of package uidmap; they check /etc/subuid.
    private static func runHelper(
        _ name: String, _ process: Int32, _ ranges: [IdentityMap.Range]
    ) throws(SyscallError) {
        var arguments = [name, String(process)]
        for range in ranges { arguments += [String(range.inside), String(range.outside), String(range.count)] }
        let status = try HostCommand.run("/usr/bin/\(name)", arguments)
        guard status == 0 else {
            throw SyscallError(name, arguments.dropFirst().joined(separator: " "), errno: .notPermitted)
        }
    }
}

/// Small programs of the host that the runtime itself needs.
enum HostCommand {
    /// Runs a program to its end with the caller's standard streams and returns its exit status (128 + signal).
    static func run(_ path: String, _ arguments: [String]) throws(SyscallError) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var process: Int32 = 0
        let error = posix_spawn(&process, path, nil, nil, &pointers, environ)
        guard error == 0 else { throw SyscallError("execute", path, errno: Errno(rawValue: error)) }
        let handle = try ProcessHandle(opening: process)
        switch try handle.wait()?.end {
        case .exited(let status): return status
        case .signalled(let signal): return 128 + signal
        case nil: return 125
        }
    }
}
