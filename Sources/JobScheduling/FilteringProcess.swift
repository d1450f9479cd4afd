import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A process of `cloche-supervisor` that makes something of what it reads, and ends with this process.
final class FilteringProcess {
    /// The process reads no more.
    struct WantsNoMore: Error {}

    /// A descriptor of this process.
    private final class End {
        private let descriptor: OwnedFileDescriptor
        var number: CInt { descriptor.number }

        init(_ descriptor: consuming OwnedFileDescriptor) { self.descriptor = descriptor }
    }

    private static let partSize = 256 << 10

    private let process: ProcessHandle
    private var input: End?
    private var result: End?
    private var errors: End?

    /// Starts it in a mode, with a request; `descriptor` is where it writes what it makes.
    init(_ mode: String, request: [UInt8], resultAt descriptor: CInt) throws {
        let memory = try Syscall.sealedMemory(name: "request", bytes: request, executable: false)
        _ = try Syscall.seek(memory.number, to: 0)
        let input = try Syscall.pipe()
        let result = try Syscall.pipe()
        let errors = try Syscall.pipe()
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        var descriptors = [
            (here: memory.number, there: SupervisorMain.requestDescriptor), (input.reading.number, 0),
            (errors.writing.number, 2), (result.writing.number, descriptor),
        ]
        if descriptor != 1 { descriptors.append((errors.writing.number, 1)) }
        let number = try HostProcess.spawn(
            own.removingLastComponent().appending("cloche-supervisor"), ["cloche-supervisor", mode, String(getpid())],
            descriptors: descriptors)
        process = try ProcessHandle(opening: number)
        self.input = End(input.takeWriting())
        self.result = End(result.takeReading())
        self.errors = End(errors.takeReading())
    }

    /// Gives it bytes, and waits until it has taken them.
    func write(_ bytes: [UInt8]) throws {
        guard let input else { throw WantsNoMore() }
        do throws(SyscallError) {
            try Syscall.writeAll(input.number, bytes, 0..<bytes.count)
        } catch  where error.errno == .brokenPipe {
            throw WantsNoMore()
        }
    }

    /// Ends it, and waits until it has ended.
    func end() {
        input = nil
        result = nil
        errors = nil
        // The first signal is for the command, which may be deaf to it or not there yet; the next ends the sandbox. A
        // signal that cannot be sent means that nobody is left.
        for signal in Array(repeating: SIGTERM, count: 50) + [SIGKILL] {
            guard (try? process.signal(signal)) != nil,
                (try? Syscall.poll([process.number], milliseconds: 100))?.isEmpty == true
            else { break }
        }
        _ = try? process.wait()
    }

    /// Closes its input, and waits for its end and its answer of at most `limit` bytes.
    func answer(
        _ limit: Int, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> (status: Int32, bytes: [UInt8]) {
        var answer: [UInt8] = []
        let status = try filter(from: { [] }, isCancelled: isCancelled, output: output) { part in
            if answer.count < limit { answer += part }
        }
        return (status, answer)
    }

    /// Gives it what `read` gives and passes on what it makes of it until it ends; its exit status, or 128 and a signal.
    ///
    /// What `write` throws ends it, and is thrown.
    func filter(
        from read: () throws -> [UInt8], isCancelled: () -> Bool, output: ([UInt8]) -> Void,
        into write: ([UInt8]) throws -> Void
    ) throws -> Int32 {
        do {
            try pump(from: read, isCancelled: isCancelled, output: output, into: write)
        } catch {
            end()
            throw error
        }
        return switch try process.wait()?.end {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        case nil: 125
        }
    }

    private func pump(
        from read: () throws -> [UInt8], isCancelled: () -> Bool, output: ([UInt8]) -> Void,
        into write: ([UInt8]) throws -> Void
    ) throws {
        if let input { try Syscall.fcntl(input.number, F_SETFL, Int(O_NONBLOCK)) }
        var pending = try read()
        if pending.isEmpty { input = nil }
        var open = Set([result?.number, errors?.number].compactMap(\.self))
        var isStopping = false
        while !open.isEmpty {
            if isCancelled() {
                isStopping = true
                try process.signal(SIGTERM)
            }
            let writable = [input?.number].compactMap(\.self)
            for ready in try Syscall.poll(Array(open), writable: writable, milliseconds: 200) {
                if ready.writing {
                    try pass(&pending, read)
                    continue
                }
                let part = try Syscall.read(ready.number, upTo: Self.partSize)
                if part.isEmpty {
                    open.remove(ready.number)
                } else if ready.number == errors?.number {
                    output(part)
                } else if !isStopping {
                    try write(part)
                }
            }
        }
    }

    private func pass(_ pending: inout [UInt8], _ read: () throws -> [UInt8]) throws {
        guard let input else { return }
        do throws(SyscallError) {
            pending.removeFirst(try Syscall.writeSome(input.number, pending))
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            return
        } catch  where error.errno == .brokenPipe {
            self.input = nil
            return
        }
        if pending.isEmpty { pending = try read() }
        if pending.isEmpty { self.input = nil }
    }
}
