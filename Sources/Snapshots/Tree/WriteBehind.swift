import Dispatch
import LinuxSystem
import Synchronization

/// Begins to put what a copy writes on the disk while the copy goes on, so that little is left to wait for at its end.
final class WriteBehind: Sendable {
    /// As many bytes are written before the disk is told of them.
    private static let share: Int64 = 96 << 20

    private let destination: CInt
    private let state = Mutex<(waiting: Int64, isBusy: Bool)>((0, false))
    private let group = DispatchGroup()

    /// Works for an open directory of the destination, which stays open until ``finish()``.
    init(destination: CInt) { self.destination = destination }

    /// Notes bytes that were written.
    func add(_ bytes: Int64) {
        let isDue = state.withLock { state in
            state.waiting += bytes
            guard state.waiting >= Self.share, !state.isBusy else { return false }
            state = (0, true)
            return true
        }
        guard isDue else { return }
        DispatchQueue.global().async(group: group) {
            // A failure shows again where the end of the copy waits for all of it, on a descriptor of its own.
            try? Syscall.syncFileSystem(of: self.destination)
            self.state.withLock { $0.isBusy = false }
        }
    }

    /// Waits until nothing is under way any more.
    func finish() { group.wait() }
}
