package import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Values of secrets on their way from the engine to a supervisor: by a descriptor, never by a file, an argument or a
/// variable of a process of ours.
package struct SecretValues: Sendable {
    /// The values, by the name of the variable that steps see.
    package let byVariable: [String: String]

    /// Takes values over.
    package init(_ byVariable: [String: String]) { self.byVariable = byVariable }

    /// The number under which the supervisor of a run finds them, and which it closes: there is always something.
    package static let descriptor: CInt = 6

    private static let limit = 16 << 20

    /// A sealed memory file with the values; nothing where there are none.
    package func memory() throws(SyscallError) -> OwnedFileDescriptor {
        guard !byVariable.isEmpty, let bytes = JSONFile.encode(byVariable) else {
            return try Syscall.open("/dev/null", O_RDONLY)
        }
        let memory = try Syscall.sealedMemory(name: "cloche-secrets", bytes: bytes, executable: false)
        _ = try Syscall.seek(memory.number, to: 0)
        return memory
    }

    /// Keeps the descriptor from every program that this process executes.
    static func keepClosed() {
        // It is not open where a supervisor was started by hand, which fails in a moment.
        _ = try? Syscall.fcntl(descriptor, F_SETFD, Int(FD_CLOEXEC))
    }

    /// Reads what the engine has sent for these secrets, and closes the descriptor; throws where one is missing.
    static func receive(_ names: [String: String]) throws(SyscallError) -> SecretValues {
        defer { _ = Glibc.close(descriptor) }
        if names.isEmpty { return SecretValues([:]) }
        guard let bytes = try? Syscall.readAll(descriptor, limit: limit),
            let values = JSONFile.decode([String: String].self, bytes), names.keys.allSatisfy({ values[$0] != nil })
        else { throw SyscallError("read", "the values of the run's secrets", errno: .noSuchFileOrDirectory) }
        return SecretValues(values.filter { names[$0.key] != nil })
    }
}
