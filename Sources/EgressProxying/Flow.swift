import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One direction of a connection: bytes go from a socket through a pipe to the other socket, and are not copied.
struct Flow: ~Copyable {
    private let pipe: Pipe
    private var inPipe = 0
    /// What goes before everything else.
    private var pending: ArraySlice<UInt8>
    /// How many bytes may still be taken from the source; nil for all.
    private var remaining: Int?
    /// Tells how many bytes belong together, where the end has to be found by looking.
    private var chunks: ChunkTracker?
    /// Marks the beginning of an answer; nil where nothing is to be marked any more.
    private var marker: ResponseMarker?
    private var sourceEnded = false
    private var endIsTold = false
    /// Bytes that the target has taken.
    private(set) var moved: Int64 = 0

    /// Bytes after which other connections have their turn.
    private static let turn = 4 << 20

    /// Passes on everything: `pending` first; `marking` says in an answer of HTTP that it is the last one.
    init(pending: ArraySlice<UInt8> = [], marking: Bool = false) throws(SyscallError) {
        if marking { marker = ResponseMarker() }
        pipe = try Syscall.pipe(extra: O_NONBLOCK)
        self.pending = pending
        hasMore = false
    }

    /// Passes on a head, and a body up to its end; `rest` is the beginning of the body, and maybe more.
    ///
    /// Fails with EPROTO where the body is malformed.
    init(head: [UInt8], body: RequestHead.Body, rest: ArraySlice<UInt8>) throws(SyscallError) {
        var own = rest
        var left = 0
        var tracker: ChunkTracker?
        switch body {
        case .length(let length):
            own = rest.prefix(length)
            left = length - own.count
        case .chunks:
            var found = ChunkTracker()
            own = rest.prefix(rest.withUnsafeBytes { found.accept($0) })
            guard !found.isInvalid else { throw SyscallError("read", "chunks", errno: .init(rawValue: EPROTO)) }
            tracker = found
        }
        pipe = try Syscall.pipe(extra: O_NONBLOCK)
        pending = head + own
        remaining = left
        chunks = tracker
        hasMore = rest.count > own.count
    }

    /// Whether bytes have come that belong to a further request.
    let hasMore: Bool

    /// Whether all that may be taken was taken and passed on.
    var isDone: Bool { inPipe == 0 && pending.isEmpty && (sourceEnded || bodyEnded) }

    /// Whether the end of a body is reached; what comes then is another request.
    var bodyEnded: Bool { remaining == 0 && (chunks?.isDone ?? true) }

    /// Moves what can be moved without waiting; whether it stopped for the sake of others.
    mutating func pump(_ from: CInt, _ to: CInt) throws(SyscallError) -> Bool {
        let limit = moved + Int64(Self.turn)
        while moved < limit {
            if marker != nil, pending.isEmpty, !sourceEnded {
                guard try mark(from) else { return false }
            }
            if !pending.isEmpty {
                guard let count = try Syscall.sendSome(to, pending) else { return false }
                pending = pending.dropFirst(count)
                moved += Int64(count)
                continue
            }
            let filled = try inPipe == 0 ? fill(from) : false
            let drained = try drain(to)
            if isDone {
                // Who has sent all may still wait for an answer.
                if sourceEnded, !endIsTold {
                    endIsTold = true
                    Syscall.endWriting(to)
                }
                return false
            }
            if !filled, !drained { return false }
        }
        return true
    }

    /// Makes room for more bytes at once, where the kernel lets this user have it (pipe(7), `pipe-user-pages-soft`).
    func widen(to bytes: Int) { _ = try? Syscall.fcntl(pipe.writing.number, Self.setPipeSize, bytes) }

    /// F_SETPIPE_SZ, which Glibc's module does not show.
    private static let setPipeSize: CInt = 1031

    /// Reads the beginning of an answer; whether there is something to do now.
    private mutating func mark(_ from: CInt) throws(SyscallError) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16384)
        guard let count = try Syscall.receive(from, into: &buffer) else { return false }
        if count == 0 {
            sourceEnded = true
            pending = (marker?.rest ?? [])[...]
            marker = nil
        } else if let marked = marker?.take(buffer[..<count]) {
            pending = marked[...]
            marker = nil
        }
        return true
    }

    private mutating func fill(_ from: CInt) throws(SyscallError) -> Bool {
        guard !sourceEnded, !bodyEnded else { return false }
        if remaining == 0, chunks != nil { try lookAhead(from) }
        guard !sourceEnded, remaining != 0 else { return false }
        guard let count = try Syscall.splice(from, pipe.writing.number, upTo: min(remaining ?? .max, 1 << 20)) else {
            return false
        }
        if count == 0 { sourceEnded = true }
        inPipe += count
        if let left = remaining { remaining = left - count }
        return count > 0
    }

    /// Looks at what has come and decides how much of it may be taken.
    private mutating func lookAhead(_ from: CInt) throws(SyscallError) {
        var tracker = chunks ?? ChunkTracker()
        var buffer = [UInt8](repeating: 0, count: 16384)
        guard let arrived = try Syscall.receive(from, into: &buffer, peek: true) else { return }
        let count = buffer[..<arrived].withUnsafeBytes { tracker.accept($0) }
        guard !tracker.isInvalid else { throw SyscallError("read", "chunks", errno: .init(rawValue: EPROTO)) }
        sourceEnded = arrived == 0
        chunks = tracker
        remaining = count
    }

    private mutating func drain(_ to: CInt) throws(SyscallError) -> Bool {
        guard inPipe > 0, let count = try Syscall.splice(pipe.reading.number, to, upTo: inPipe) else { return false }
        inPipe -= count
        moved += Int64(count)
        return count > 0
    }
}
