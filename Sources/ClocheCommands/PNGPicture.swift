import LinuxSystem
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// Makes a PNG of our own SVG, by Debian's rsvg-convert.
///
/// The picture comes on its standard input, and what pipelines call things is text in it. It can gain no rights, runs for
/// root as nobody, within limits of time and memory, and ends with us.
enum PNGPicture {
    private static let converter = "/usr/bin/rsvg-convert", setpriv = "/usr/bin/setpriv", prlimit = "/usr/bin/prlimit"
    /// The largest picture, in bytes, and how long it may take to draw, in milliseconds.
    private static let mostBytes = 64 << 20, patience: Int32 = 30_000

    /// The bytes of the PNG.
    static func drawn(from svg: String) throws -> [UInt8] {
        for (program, package) in [(converter, "librsvg2-bin"), (setpriv, "util-linux"), (prlimit, "util-linux")]
        where !Syscall.exists(FilePath(program)) {
            throw CommandFailure(
                .hostUnsupported, "draw the picture: there is no `\(program)` on this host",
                hint: "install Debian's package `\(package)`, or take --svg")
        }
        var arguments = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
        if geteuid() == 0 { arguments += ["--reuid", "65534", "--regid", "65534", "--clear-groups"] }
        arguments += ["--", prlimit, "--cpu=20", "--as=2147483648", "--core=0", "--", converter]
        arguments += ["--format", "png"]
        let picture = try Syscall.sealedMemory(name: "cloche-picture", bytes: Array(svg.utf8), executable: false)
        _ = try Syscall.seek(picture.number, to: 0)
        let output = try Syscall.pipe()
        let nowhere = try Syscall.open("/dev/null", O_WRONLY)
        let number = try HostProcess.spawn(
            FilePath(setpriv), arguments,
            descriptors: [(picture.number, 0), (output.writing.number, 1), (nowhere.number, 2)],
            variables: ["LC_ALL=C", "PATH=/usr/bin:/bin", "HOME=/"])
        let process = try ProcessHandle(opening: number)
        let reading = output.takeReading()
        var bytes: [UInt8] = []
        while bytes.count <= mostBytes, try !Syscall.poll([reading.number], milliseconds: patience).isEmpty {
            let part = try Syscall.read(reading.number, upTo: 1 << 16)
            if part.isEmpty { break }
            bytes += part
        }
        // One that has ended is not met by it.
        try? process.signal(SIGKILL)
        _ = try process.wait()
        guard isWhole(bytes) else {
            throw CommandFailure(
                .invalidData, "draw the picture: `rsvg-convert` made no whole PNG of it",
                hint: "a picture of many steps can be too large; take --svg")
        }
        return bytes
    }

    /// Whether these are the first and the last bytes of a PNG (ISO 15948, 5.2 and 11.2.4).
    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
            && bytes.suffix(8).starts(with: [0x49, 0x45, 0x4E, 0x44])
    }
}
