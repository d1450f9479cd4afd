import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Carries bytes from a descriptor of the caller to the command's standard input, never faster than it reads.
final class InputRelay {
    private let source: CInt
    private var target: OwnedFileDescriptor?
    private let loop: EventLoop
    private var pending: [UInt8] = []

    init(from source: CInt, to target: consuming OwnedFileDescriptor, loop: EventLoop) {
        self.source = source
        self.target = consume target
        self.loop = loop
    }

    func start() {
        // A pipe or a terminal of our own takes any flag.
        if let number = target?.number { _ = try? Syscall.fcntl(number, F_SETFL, Int(O_NONBLOCK)) }
        loop.watch(source) { self.read() }
    }

    private func read() {
        guard let bytes = try? Syscall.read(source, upTo: 65536), !bytes.isEmpty else { return finish() }
        pending = bytes
        loop.unwatch(source)
        write()
    }

    private func write() {
        guard let number = target?.number else { return }
        do throws(SyscallError) {
            let count = try Syscall.writeSome(number, pending)
            pending.removeFirst(count)
        } catch  where error.errno == .resourceTemporarilyUnavailable {
        } catch {
            return finish()
        }
        if pending.isEmpty {
            loop.unwatchWriting(number)
            loop.watch(source) { self.read() }
        } else {
            loop.watchWriting(number) { self.write() }
        }
    }

    private func finish() {
        loop.unwatch(source)
        if let number = target?.number { loop.unwatchWriting(number) }
        target = nil
    }
}
