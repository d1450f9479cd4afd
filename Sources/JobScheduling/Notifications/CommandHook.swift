import LinuxSystem
import Pipelines
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A program of the store's owner that is told of an event by JSON on its standard input.
///
/// It runs as the owner, in a session of its own, without a terminal, with next to no environment. What it leaves
/// running is ended with it, and all of it when its time is over.
package struct CommandHook {
    /// How it ended.
    enum Ending: Equatable {
        case exited(Int32)
        case signalled(Int32)
        case outOfTime
    }

    private static let outputLimit = 256 << 10
    private static let setpriv: FilePath = "/usr/bin/setpriv"

    let path: FilePath

    /// The program at an absolute path without links, or why it cannot be used: whoever can change the file, or the
    /// directories above it, could do as the owner does.
    package init(_ path: String) throws {
        self.path = FilePath(path)
        try check()
    }

    /// Refuses what others than root and the caller can change.
    func check() throws {
        guard path.isAbsolute, !path.string.utf8.contains(0), path.lexicallyNormalized() == path else {
            throw refusal("it is no absolute path without `.` and `..`", "give the whole path of the program")
        }
        var above = path
        while above.removeLastComponent(), !above.isEmpty {
            let status = try lstat(above)
            guard status.isDirectory else {
                throw refusal("`\(above)` is no directory, or a link", "give the path without links: see `realpath`")
            }
            // In /tmp and the like only the owner of an entry can put another in its place.
            let isShared = status.mode & 0o022 != 0 && status.mode & 0o1000 == 0
            guard isOurs(status), !isShared else {
                throw refusal(
                    "others can change the directory `\(above)`", "keep it where only you, or root, can write")
            }
        }
        let status = try lstat(path)
        guard status.isRegular else {
            throw refusal("it is no plain file", "give the path of a program, without links: see `realpath`")
        }
        guard isOurs(status), status.mode & 0o022 == 0 else {
            throw refusal("others can change it", "`chmod go-w` it, and let it belong to you or root")
        }
        guard status.mode & 0o111 != 0 else { throw refusal("it is not executable", "`chmod +x` it") }
    }

    private func isOurs(_ status: FileStatus) -> Bool { status.user == 0 || status.user == geteuid() }

    private func lstat(_ path: FilePath) throws -> FileStatus {
        do throws(SyscallError) { return try Syscall.lstat(path) } catch {
            throw refusal("\(error)", "give the path of a program that is there")
        }
    }

    private func refusal(_ why: String, _ hint: String) -> StoreError {
        StoreError(message: "use the program `\(printable(path.string))`: \(why)", hint: hint)
    }

    /// Runs it with `input`, for so many seconds at most; `output` gets what it prints, up to a limit.
    func run(
        _ input: [UInt8], variables: [String], seconds: Double, output: ([UInt8]) -> Void
    ) throws -> Ending {
        try check()
        // What it starts and leaves becomes a child of ours, and is found below.
        try Syscall.adoptOrphans()
        let inputs = try Syscall.pipe(), outputs = try Syscall.pipe()
        // It fits into the pipe, whether it is read or not.
        try Syscall.writeAll(inputs.writing.number, input)
        // When we end, it does.
        let number = try HostProcess.spawn(
            Self.setpriv, ["setpriv", "--pdeathsig", "KILL", "--", path.string],
            descriptors: [(inputs.reading.number, 0), (outputs.writing.number, 1), (outputs.writing.number, 2)],
            variables: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
                + variables,
            ownSession: true)
        let process = try ProcessHandle(opening: number)
        _ = inputs.takeReading()
        let reading = outputs.takeReading()
        try Syscall.fcntl(reading.number, F_SETFL, Int(O_NONBLOCK))
        let deadline = Syscall.monotonicSeconds() + seconds
        var left = Self.outputLimit
        var isOver = false, isLate = false
        while !isOver, !isLate {
            let wait = max(0, deadline - Syscall.monotonicSeconds())
            let ready = try Syscall.poll(
                [reading.number, process.number], milliseconds: CInt(min(wait * 1000 + 1, 60_000)))
            isOver = ready.contains { $0.number == process.number }
            isLate = !isOver && Syscall.monotonicSeconds() >= deadline
            if take(reading.number, &left, output) == false, !isOver {
                // It closed its output and goes on.
                isOver = try await_(process.number, until: deadline)
                isLate = !isOver
            }
        }
        // Its number is not given to another process before it is waited for.
        try? Syscall.kill(-number, SIGKILL)
        let end = try process.wait()?.end
        Syscall.endChildren()
        _ = take(reading.number, &left, output)
        if isLate { return .outOfTime }
        switch end {
        case .exited(let status)?: return .exited(status)
        case .signalled(let signal)?: return .signalled(signal)
        case nil: return .exited(-1)
        }
    }

    private func await_(_ process: CInt, until deadline: Double) throws -> Bool {
        while Syscall.monotonicSeconds() < deadline {
            let wait = max(0, deadline - Syscall.monotonicSeconds())
            if try !Syscall.poll([process], milliseconds: CInt(min(wait * 1000 + 1, 60_000))).isEmpty { return true }
        }
        return false
    }

    /// Takes what there is; false when there will be no more.
    private func take(_ reading: CInt, _ left: inout Int, _ output: ([UInt8]) -> Void) -> Bool {
        while true {
            do throws(SyscallError) {
                let part = try Syscall.read(reading, upTo: 64 << 10)
                if part.isEmpty { return false }
                // The rest is read, so that it is not in its way, and not kept.
                if left > 0 { output(Array(part.prefix(left))) }
                left -= part.count
            } catch {
                return error.errno == .resourceTemporarilyUnavailable
            }
        }
    }
}
