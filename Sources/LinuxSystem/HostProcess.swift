import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Programs of the host, started by posix_spawn(3): never by a fork of this process.
package enum HostProcess {
    /// Keeps a value until the process ends: to give back piece by piece what thousands of runs take, just before all of
    /// it goes at once, takes longer than to make it.
    package static func keepUntilEnd<Value: Sendable>(_ value: Value) {
        _ = Unmanaged.passRetained(Kept(value))
    }

    /// Keeps the numbers of standard streams that whoever started this process has closed from files that it opens: what
    /// it relays to a command, or writes for people, would be theirs.
    ///
    /// To be called first of all. Such a stream can still neither be read nor written to.
    package static func holdStandardStreams() throws(SyscallError) {
        for number: CInt in 0...2 where fcntl(number, F_GETFD) < 0 {
            // The lowest number that is free, which is this one; it stays with programs that this process becomes.
            _ = try Syscall.check("open", "/dev/null") { Glibc.open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY) }
        }
    }

    /// Keeps every descriptor beyond the standard ones from programs that this process will execute (close_range(2)).
    ///
    /// To be called first of all: whoever started this process may have left others open.
    package static func keepDescriptors() throws(SyscallError) {
        // CLOSE_RANGE_CLOEXEC, known since Linux 5.11.
        _ = try Syscall.check("close_range") { CLinux_close_range(3, .max, 4) }
    }

    /// Makes this process lead a process group of its own, or even a session (setpgid(2), setsid(2)).
    package static func leadGroup(ownSession: Bool) throws(SyscallError) {
        if ownSession {
            _ = try Syscall.check("setsid") { setsid() }
        } else {
            _ = try Syscall.check("setpgid") { setpgid(0, 0) }
        }
    }

    /// The variables of this process's environment (environ(7)).
    package static func variables() -> [String: String] {
        var variables: [String: String] = [:]
        var pointer = environ
        while let entry = pointer.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            pointer = pointer.advanced(by: 1)
        }
        return variables
    }

    /// Executes another program in the place of this one, with this one's words and environment (execve(2)): comes back
    /// only with the reason why it failed.
    package static func become(_ program: FilePath) -> SyscallError {
        _ = program.withPlatformString { execve($0, CommandLine.unsafeArgv, environ) }
        return SyscallError.last("execute", program.string)
    }

    /// Starts a program in a process group of its own, with /dev/null as standard input unless `descriptors` says else.
    ///
    /// `descriptors` are pairs of a number here and the number there; every other descriptor of ours is close-on-exec.
    /// The environment is the caller's unless `variables` are given. In a session of its own (`ownSession`) it has no
    /// terminal.
    package static func spawn(
        _ program: FilePath, _ arguments: [String], descriptors: [(here: CInt, there: CInt)] = [],
        variables: [String]? = nil, ownSession: Bool = false
    ) throws(SyscallError) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if !descriptors.contains(where: { $0.there == 0 }) {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        // In two steps by high numbers, so that no pair overwrites the source of another.
        for (index, pair) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, pair.here, 200 + CInt(index))
        }
        for (index, pair) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, 200 + CInt(index), pair.there)
            posix_spawn_file_actions_addclose(&actions, 200 + CInt(index))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigfillset(&defaults)
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setpgroup(&attributes, 0)
        // POSIX_SPAWN_SETSID is 0x80; Swift does not see it. Who leads a session leads a group.
        let group = ownSession ? 0x80 : POSIX_SPAWN_SETPGROUP
        let flags = group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = (variables ?? []).map { strdup($0) }
        environment.append(nil)
        defer { for word in words + environment { free(word) } }
        var process: Int32 = 0
        let error = program.withPlatformString { path in
            variables == nil
                ? posix_spawn(&process, path, &actions, &attributes, &words, environ)
                : posix_spawn(&process, path, &actions, &attributes, &words, &environment)
        }
        guard error == 0 else { throw SyscallError("execute", program.string, errno: Errno(rawValue: error)) }
        return process
    }
}

extension SyscallError {
    /// execve(2): comes back only with the reason why it failed.
    package static func execute(_ path: String, _ arguments: [String], _ variables: [String]) -> SyscallError {
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) }
        environment.append(nil)
        execve(path, &words, &environment)
        let error = SyscallError.last("execute", path)
        for word in words + environment { free(word) }
        return error
    }
}

private final class Kept<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
