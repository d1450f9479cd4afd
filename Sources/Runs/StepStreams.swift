import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The standard streams of a step: nothing to read, and a pipe for all that it writes.
final class StepStreams {
    /// Numbers of standard input, output and error, lent to a sandbox.
    let inside: [CInt]
    /// Where the output arrives.
    let output: CInt
    private var null: OwnedFileDescriptor?
    private var writing: OwnedFileDescriptor?
    private var reading: OwnedFileDescriptor?

    init() throws(LaunchError) {
        let pipe = try LaunchError.during("make a pipe") { () throws(SyscallError) in try Syscall.pipe().release() }
        reading = OwnedFileDescriptor(adopting: pipe.reading)
        writing = OwnedFileDescriptor(adopting: pipe.writing)
        let null = try LaunchError.during("open /dev/null") { () throws(SyscallError) in
            try Syscall.open("/dev/null", O_RDONLY).release()
        }
        self.null = OwnedFileDescriptor(adopting: null)
        inside = [null, pipe.writing, pipe.writing]
        output = pipe.reading
    }

    /// Leaves the sandbox alone with its ends.
    func handOver() {
        null = nil
        writing = nil
    }

    /// Takes no more output; to be called when the sandbox has been reported.
    func close() { reading = nil }
}
