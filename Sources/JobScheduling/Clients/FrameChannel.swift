package import LinuxSystem
import SystemPackage

/// One end of a connection that carries frames, for whoever may wait for the other end.
package final class FrameChannel {
    private let socket: OwnedFileDescriptor
    private var parser = ClientFrame.Parser()

    /// Takes over a connected socket that does not block.
    package init(_ socket: consuming OwnedFileDescriptor) { self.socket = socket }

    /// For an event loop: ready when frames have come, or the other end has gone.
    package var number: CInt { socket.number }

    /// Sends a frame, and waits until all of it is taken, at most `seconds` for each part.
    package func send(_ frame: ClientFrame, within seconds: Double = 600) throws(SyscallError) {
        let bytes = frame.encoded
        var sent = 0
        while sent < bytes.count {
            if let count = try Syscall.sendSome(number, bytes[sent...]) {
                sent += count
                continue
            }
            let ready = try Syscall.poll([], writable: [number], milliseconds: Int32(seconds * 1000))
            guard !ready.isEmpty else { throw SyscallError("send", "the other end", errno: .timedOut) }
        }
    }

    /// The next frame, waited for until `deadline` in monotonic seconds; nil when the other end has gone.
    package func receive(until deadline: Double) throws -> ClientFrame? {
        while true {
            if let frame = try parser.next() { return frame }
            let left = deadline - Syscall.monotonicSeconds()
            guard left > 0 else { throw ClientFault("nothing for too long") }
            _ = try Syscall.poll([number], milliseconds: Int32(min(left * 1000, 1e6).rounded(.up)))
            guard try read() else { return nil }
        }
    }

    /// The frames that have come, and whether the other end has gone.
    package func received() throws -> (frames: [ClientFrame], isGone: Bool) {
        let isGone = try !read()
        var frames: [ClientFrame] = []
        while let frame = try parser.next() { frames.append(frame) }
        return (frames, isGone)
    }

    /// Reads what there is; false at the end.
    private func read() throws -> Bool {
        do throws(SyscallError) {
            let bytes = try Syscall.read(number, upTo: 256 << 10)
            parser.feed(bytes)
            return !bytes.isEmpty
        } catch {
            if error.errno == .resourceTemporarilyUnavailable { return true }
            if error.errno == .connectionReset { return false }
            throw error
        }
    }
}
