import LinuxSystem

/// A file or directory that is open as long as this value, which may have several owners.
final class OpenedFile {
    private var descriptor: OwnedFileDescriptor?
    let number: CInt

    init(_ descriptor: consuming OwnedFileDescriptor) {
        number = descriptor.number
        self.descriptor = consume descriptor
    }

    /// Leaves it open until the process ends.
    func keepForLife() {
        guard let owned = descriptor.take() else { return }
        _ = owned.release()
    }
}
