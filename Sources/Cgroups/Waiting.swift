import Glibc

/// The few ways in which this target waits; all are bounded.
enum Waiting {
    /// Lets other processes run for a moment, while what they do cannot be waited for.
    static func pause() {
        _ = poll(nil, 0, 1)
    }

    /// Waits until a control file says that it changed, for at most a tenth of a second.
    static func change(of file: CgroupFile) {
        var entry = pollfd(fd: file.number, events: Int16(POLLPRI), revents: 0)
        // A failure only shortens the wait: the caller reads the file again and counts its rounds.
        _ = poll(&entry, 1, 100)
    }
}
