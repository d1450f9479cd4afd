import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// Carries what a command writes to the caller's standard output and error, never waiting for whoever reads there.
///
/// A reader that is slow slows the command, as a plain pipe would. Where the caller's stream takes no more, the command's
/// is closed, so that it learns of it.
final class OutputRelay {
    private let loop: EventLoop
    private weak var running: RunningSandbox?
    private var ways: [CInt: Way] = [:]
    private(set) var failure: SyscallError?

    init(loop: EventLoop) { self.loop = loop }

    /// Serves a sandbox from now on.
    func serve(_ running: RunningSandbox) { self.running = running }

    /// Carries what is read from `source` to `target`; gives the number to watch.
    @discardableResult
    func connect(_ source: consuming OwnedFileDescriptor, to target: CInt) -> CInt {
        let number = source.number
        ways[number] = Way(
            target: target, source: source, most: Syscall.isTerminal(target) ? 256 : 4096)
        return number
    }

    /// Takes bytes that were read from `source`.
    func pass(_ source: CInt, _ bytes: [UInt8]) {
        guard let way = ways[source] else { return }
        way.pending += bytes
        flush(source)
    }

    /// The command's side has ended, and everything is out.
    func close(_ source: CInt) { ways[source] = nil }

    private func flush(_ source: CInt) {
        guard let way = ways[source] else { return }
        do throws(SyscallError) {
            while way.offset < way.pending.count {
                guard try !Syscall.poll([], writable: [way.target], milliseconds: 0).isEmpty else {
                    running?.pause(source)
                    loop.watchWriting(way.target) { self.flush(source) }
                    return
                }
                let end = min(way.offset + way.most, way.pending.count)
                way.offset += try Syscall.writeSome(way.target, Array(way.pending[way.offset..<end]))
            }
            way.pending = []
            way.offset = 0
            loop.unwatchWriting(way.target)
            running?.resume(source)
        } catch {
            loop.unwatchWriting(way.target)
            if failure == nil { failure = error }
            running?.abandon(source)
            ways[source] = nil
        }
    }
}

/// One way from the command to the caller.
private final class Way {
    let target: CInt
    let source: OwnedFileDescriptor
    /// The most that is written at once to a stream that said that it takes bytes, so that it does not block: a pipe has
    /// PIPE_BUF bytes of room then (pipe(7)), a terminal 256 (WAKEUP_CHARS of the kernel's n_tty).
    let most: Int
    var pending: [UInt8] = []
    /// How much of it is out.
    var offset = 0

    init(target: CInt, source: consuming OwnedFileDescriptor, most: Int) {
        self.target = target
        self.source = source
        self.most = most
    }
}
