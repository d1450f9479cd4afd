import CLinux

#if canImport(Glibc)
    import Glibc
#endif

/// epoll(7): waiting for many descriptors at a cost that does not grow with those that are idle.
package struct Poller: ~Copyable {
    private let descriptor: OwnedFileDescriptor
    private var events = [CLinux_event](repeating: CLinux_event(), count: 64)

    /// An empty one.
    package init() throws(SyscallError) {
        descriptor = OwnedFileDescriptor(adopting: try Syscall.check("epoll_create1") { CLinux_epoll_create() })
    }

    /// Tells of `number` as long as `descriptor` is readable; closing forgets it.
    package borrowing func watch(_ descriptor: CInt, _ number: UInt64) throws(SyscallError) {
        let own = self.descriptor.number
        _ = try Syscall.check("epoll_ctl") { CLinux_epoll_add(own, descriptor, number, UInt32(CLinux_EPOLLIN)) }
    }

    /// Tells of `number` once each time that `descriptor` has become readable, writable or closed.
    package borrowing func watchChanges(_ descriptor: CInt, _ number: UInt64) throws(SyscallError) {
        let own = self.descriptor.number
        let events = UInt32(CLinux_EPOLLIN | CLinux_EPOLLOUT | CLinux_EPOLLRDHUP | CLinux_EPOLLET)
        _ = try Syscall.check("epoll_ctl") { CLinux_epoll_add(own, descriptor, number, events) }
    }

    /// Stops telling of a descriptor of `watch`, or goes on.
    package borrowing func pause(_ descriptor: CInt, _ number: UInt64, _ pauses: Bool) throws(SyscallError) {
        let own = self.descriptor.number
        _ = try Syscall.check("epoll_ctl") {
            CLinux_epoll_change(own, descriptor, number, pauses ? 0 : UInt32(CLinux_EPOLLIN))
        }
    }

    /// Waits, and gives the number of each descriptor that is ready; a negative time-out waits for ever.
    package mutating func wait(milliseconds: Int32) throws(SyscallError) -> [UInt64] {
        let own = descriptor.number
        let count = try Syscall.check("epoll_wait") { CLinux_epoll_wait(own, &events, 64, milliseconds) }
        return events.prefix(Int(count)).map(\.number)
    }
}
