import Foundation
import Isolation
import SeccompFilters

/// Runs commands under a filter, by way of a Python that loads it into itself.
enum FilteredProcess {
    struct Result {
        let output: String
        let errors: String
        /// The exit status, or the negative number of the signal that ended it.
        let status: Int32
    }

    /// The mask is cleared first: threads of a pool block signals, children inherit that, and a command whose workers
    /// wait for SIGTERM then hangs, with a filter or without.
    private static let loader = """
        import ctypes, os, signal, sys
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        libc = ctypes.CDLL(None, use_errno=True)
        data = bytes.fromhex(sys.argv[1])
        class Program(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
        memory = ctypes.create_string_buffer(data, len(data))
        program = Program(len(data) // 8, ctypes.addressof(memory))
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
            sys.exit(99)
        """

    private static let caller = """

        for line in sys.stdin:
            numbers = [int(word) for word in line.split()]
            ctypes.set_errno(0)
            result = libc.syscall(*[ctypes.c_ulong(number) for number in numbers])
            print(ctypes.get_errno() if result == -1 else 0)
        """

    private static let executor = """

        os.execvp(sys.argv[2], sys.argv[2:])
        """

    private static let foreign = """

        import mmap
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(bytes.fromhex("b814000000cd80c3"))
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        """

    /// Makes each call, with its arguments in registers, and returns the error numbers; 0 where it succeeded.
    static func errors(of calls: [[UInt64]], under program: FilterProgram) throws -> [Int32] {
        let lines = calls.map { $0.map(String.init).joined(separator: " ") + "\n" }.joined()
        let result = try run(loader + caller, [program.hexadecimal], input: lines)
        return result.output.split(separator: "\n").compactMap { Int32($0) }
    }

    /// Executes a command.
    static func execute(_ command: [String], under program: FilterProgram) throws -> Result {
        try run(loader + executor, [program.hexadecimal] + command)
    }

    /// Calls getpid by the convention of i386.
    static func callAsForeigner(under program: FilterProgram) throws -> Result {
        try run(loader + foreign, [program.hexadecimal])
    }

    private static func run(_ script: String, _ arguments: [String], input: String = "") throws -> Result {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-I", "-c", script] + arguments
        let output = Pipe()
        let errors = Pipe()
        let standardInput = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = standardInput
        try process.run()
        try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try standardInput.fileHandleForWriting.close()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return Result(
            output: String(decoding: text, as: UTF8.self), errors: String(decoding: complaints, as: UTF8.self),
            status: status)
    }
}

extension FilterProgram {
    /// The bytes as lower-case hexadecimal digits.
    fileprivate var hexadecimal: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
