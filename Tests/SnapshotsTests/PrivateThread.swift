import Glibc
import LinuxSystem
import Synchronization
import SystemPackage

/// Runs `body` on a thread of its own, which may change its namespaces and ids without touching the test process.
func onPrivateThread(_ body: @escaping @Sendable () throws -> Void) throws {
    final class Work: Sendable {
        let body: @Sendable () throws -> Void
        let failure = Mutex<(any Error)?>(nil)
        init(_ body: @escaping @Sendable () throws -> Void) { self.body = body }
    }
    let work = Work(body)
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
            do { try work.body() } catch { work.failure.withLock { $0 = error } }
            return nil
        }, Unmanaged.passRetained(work).toOpaque())
    guard result == 0 else { throw SyscallError("pthread_create", errno: Errno(rawValue: result)) }
    pthread_join(thread, nil)
    if let failure = work.failure.withLock({ $0 }) { throw failure }
}

/// Gives the calling thread a mount namespace from which nothing reaches the host's.
func enterPrivateMounts() throws {
    try Syscall.unshare(.mount)
    try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC) | UInt(MS_PRIVATE))
}

/// Makes the calling thread an ordinary user.
func becomeNobody() throws {
    try Syscall.clearSupplementaryGroups()
    try Syscall.setGroup(65534)
    try Syscall.setUser(65534)
}
