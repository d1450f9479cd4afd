import LinuxSystem
import SystemPackage

/// One end of a connection that carries lines; never waits.
final class LineConnection {
    /// The most that waits for a reader who does not read.
    private static let mostUnsent = 1 << 20

    private let socket: OwnedFileDescriptor
    private let longest: Int
    private var received: [UInt8] = []
    private var unsent: [UInt8] = []

    init(_ socket: consuming OwnedFileDescriptor, longest: Int) {
        self.socket = socket
        self.longest = longest
    }

    var number: CInt { socket.number }

    /// Whether bytes wait to be sent.
    var hasUnsent: Bool { !unsent.isEmpty }

    /// The lines that have come; nil when the other side has gone, or sends lines that are too long.
    func lines() -> [[UInt8]]? {
        do throws(SyscallError) {
            let bytes = try Syscall.read(number, upTo: 65536)
            if bytes.isEmpty { return nil }
            received += bytes
        } catch {
            return error.errno == .resourceTemporarilyUnavailable ? [] : nil
        }
        guard let end = received.lastIndex(of: 0x0A) else { return received.count > longest ? nil : [] }
        let lines = received[..<end].split(separator: 0x0A).map(Array.init)
        received = Array(received[(end + 1)...])
        return lines.contains { $0.count > longest } || received.count > longest ? nil : lines
    }

    /// Sends bytes, or keeps them for `flush`; false when the other side has gone or reads too slowly.
    func send(_ bytes: [UInt8]) -> Bool {
        unsent += bytes
        return flush() && unsent.count <= Self.mostUnsent
    }

    /// Sends what waits; false when the other side has gone.
    func flush() -> Bool {
        do throws(SyscallError) {
            while !unsent.isEmpty { unsent.removeFirst(try Syscall.writeSome(number, unsent)) }
            return true
        } catch {
            return error.errno == .resourceTemporarilyUnavailable
        }
    }
}
