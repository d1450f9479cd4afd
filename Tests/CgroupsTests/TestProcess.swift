import Glibc
import LinuxSystem
import SystemPackage

/// A Python program that a test started; killed and reaped with the value.
struct TestProcess: ~Copyable {
    private let handle: ProcessHandle
    private let input: OwnedFileDescriptor
    private let output: OwnedFileDescriptor

    /// Enters the groups whose lists it was given.
    private static let prelude = """
        import errno, os, signal, sys, time
        def enter():
            for list in sys.argv[1].split():
                os.write(int(list), b"0")
        def burn(seconds):
            end = time.process_time() + seconds
            while time.process_time() < end: pass
        def say(text):
            print(text, flush=True)

        """

    /// Starts the program with `lists` open under numbers of its own.
    init(_ program: String, lists: [CInt]) throws {
        let toChild = try Syscall.pipe()
        let fromChild = try Syscall.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild.reading.number, 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild.writing.number, 1)
        let numbers = lists.indices.map { 200 + CInt($0) }
        for (list, number) in zip(lists, numbers) { posix_spawn_file_actions_adddup2(&actions, list, number) }
        let arguments = ["python3", "-c", Self.prelude + program, numbers.map(String.init).joined(separator: " ")]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process: pid_t = 0
        let failure = posix_spawnp(&process, "python3", &actions, nil, &pointers, environ)
        guard failure == 0 else { throw SyscallError("posix_spawn", "python3", errno: Errno(rawValue: failure)) }
        self.init(
            handle: try ProcessHandle(opening: process), input: try toChild.writing.duplicate(),
            output: try fromChild.reading.duplicate())
    }

    private init(
        handle: consuming ProcessHandle, input: consuming OwnedFileDescriptor, output: consuming OwnedFileDescriptor
    ) {
        self.handle = handle
        self.input = input
        self.output = output
    }

    deinit {
        try? handle.signal(SIGKILL)
        _ = try? handle.wait()
    }

    /// Reads what the program says, to the end of a line.
    func line() throws -> String {
        var bytes: [UInt8] = []
        while let byte = try Syscall.read(output.number, upTo: 1).first, byte != UInt8(ascii: "\n") {
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits for the program's end.
    func wait() throws -> ProcessEnd? { try handle.wait()?.end }
}
