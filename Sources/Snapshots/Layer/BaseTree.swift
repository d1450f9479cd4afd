import LinuxSystem
import Synchronization

/// The stored tree under a layer.
final class BaseTree: Sendable {
    /// Its open directory.
    let descriptor: HeldDescriptor
    private let inodes = Mutex<Set<UInt64>?>(nil)

    init(_ descriptor: HeldDescriptor) { self.descriptor = descriptor }

    /// Whether one of its files has this inode: a file of the layer that shared it would be one with that file.
    ///
    /// The tree is walked at the first question; few captures have one. When it cannot be walked, it holds everything.
    func holds(_ inode: UInt64) -> Bool {
        inodes.withLock { inodes in
            if inodes == nil {
                var options = TreeWalk.Options()
                options.isCapture = false
                let walk = TreeWalk(
                    root: descriptor.number, options: options, monitor: CaptureMonitor { _ in .proceed })
                inodes = (try? walk.run()).map { Set($0.files.map(\.stamp.inode)) }
            }
            return inodes?.contains(inode) ?? true
        }
    }
}
