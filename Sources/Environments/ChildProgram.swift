import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A program of the host that is run to its end while its output is read.
struct ChildProgram {
    /// Why a program was not run to its end.
    struct Stopped: Error {}

    /// What is written to its standard input at once; it has to fit into a pipe.
    static let inputLimit = 60 << 10

    let path: FilePath
    let arguments: [String]
    var input: [UInt8] = []
    /// All of its environment.
    var variables: [String] = ["LC_ALL=C"]

    /// Runs it; gives its exit status, or 128 and the number of the signal that ended it.
    ///
    /// It is killed when `isCancelled` says so, which throws `Stopped`, and when a closure throws, which throws that.
    func run(
        isCancelled: () -> Bool, errors: ([UInt8]) -> Void, output: ([UInt8]) throws -> Void
    ) throws -> Int32 {
        guard input.count <= Self.inputLimit else { throw SyscallError("write", path.string, errno: .fileTooLarge) }
        let outputs = try Syscall.pipe()
        let complaints = try Syscall.pipe()
        let inputs = try Syscall.pipe()
        try Syscall.writeAll(inputs.writing.number, input)
        let number = try HostProcess.spawn(
            path, arguments,
            descriptors: [(inputs.reading.number, 0), (outputs.writing.number, 1), (complaints.writing.number, 2)],
            variables: variables)
        let process = try ProcessHandle(opening: number)
        // Our own ends for writing are closed here, so that the program sees and gives an end.
        _ = inputs.takeReading()
        let reading = outputs.takeReading()
        let saying = complaints.takeReading()
        do {
            try Self.pump(reading.number, saying.number, isCancelled, errors, output)
        } catch {
            try? process.signal(SIGKILL)
            _ = try? process.wait()
            throw error
        }
        switch try process.wait()?.end {
        case .exited(let status)?: return status
        case .signalled(let signal)?: return 128 + signal
        case nil: return 128
        }
    }

    private static func pump(
        _ reading: CInt, _ saying: CInt, _ isCancelled: () -> Bool, _ errors: ([UInt8]) -> Void,
        _ output: ([UInt8]) throws -> Void
    ) throws {
        var open: Set<CInt> = [reading, saying]
        while !open.isEmpty {
            if isCancelled() { throw Stopped() }
            for ready in try Syscall.poll(Array(open), milliseconds: 200) {
                let part = try Syscall.read(ready.number, upTo: 256 << 10)
                if part.isEmpty {
                    open.remove(ready.number)
                } else if ready.number == saying {
                    errors(part)
                } else {
                    try output(part)
                }
            }
        }
    }
}
