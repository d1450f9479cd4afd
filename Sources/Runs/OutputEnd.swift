import LinuxSystem

/// Keeps the reading end of a step's output open until its sandbox has been reported.
final class OutputEnd {
    private var end: OwnedFileDescriptor?

    func keep(_ end: consuming OwnedFileDescriptor) { self.end = consume end }

    func close() { end = nil }
}
