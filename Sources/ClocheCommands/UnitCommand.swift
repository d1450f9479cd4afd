import ArgumentParser
import LinuxSystem
import PlainText
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct SystemUnitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unit", abstract: "Print a systemd unit for the service, for root or for the user who asks.",
        discussion: """
            The unit serves the store that this command would use, with this program and with the options that are given \
            here: they are those of `cloche serve`.

            Examples:
              cloche system unit > /etc/systemd/system/cloche.service
              systemctl enable --now cloche
              cloche system unit --share --group science --max-disk 50GiB
              cloche system unit > ~/.config/systemd/user/cloche.service
              systemctl --user enable --now cloche
            """)

    @Option(help: "How many runs of all jobs run at once; by default as many as there are processors.")
    var maxParallel: Int?
    @OptionGroup var sharing: ShareOptions

    func run() throws {
        let limit = try maxParallel.map { ["--max-parallel", String(try Parallelism.limit($0))] }
        // What the service would refuse is refused before it is installed.
        _ = try sharing.options()
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let program = own.removingLastComponent().appending("cloche")
        try CommandContext().print(
            SystemdUnit(
                program: program.string, store: try CommandContext.storePath().string,
                options: (limit ?? []) + sharing.words,
                isSystem: geteuid() == 0
            ).text)
    }
}

/// The unit of the service, as systemd.service(5) has it.
struct SystemdUnit {
    var program: String
    var store: String
    /// Words behind `serve`.
    var options: [String]
    /// Whether it is one of the system's manager, not of a user's.
    var isSystem: Bool

    /// The whole file, without the last line's end.
    var text: String {
        // The manager restarts what fails; but a second service, or a wrong store, fails again.
        var lines = [
            "[Unit]", "Description=Cloche, runner of data pipelines",
            "After=\(isSystem ? "local-fs.target network.target" : "basic.target")", "StartLimitIntervalSec=60",
            "StartLimitBurst=5", "", "[Service]", "Type=notify", "NotifyAccess=main",
            "Environment=\(Self.quoted("CLOCHE_HOME=\(store)"))",
            "ExecStart=" + ([Self.quoted(program), "serve"] + options.map(Self.word)).joined(separator: " "),
            // Running runs outlive the service, and are adopted by the next one.
            "KillMode=process", "KillSignal=SIGTERM", "TimeoutStopSec=30", "Restart=on-failure", "RestartSec=1",
            "RestartPreventExitStatus=5 6 64 78", "WatchdogSec=60",
            // Groups of runs are made below the unit's own.
            "Delegate=yes", "TasksMax=infinity", "LimitNOFILE=65536",
        ]
        if isSystem {
            // It is kept, for its sockets are those of other stores as well.
            lines += ["RuntimeDirectory=cloche", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes"]
        }
        lines += ["", "[Install]", "WantedBy=\(isSystem ? "multi-user.target" : "default.target")"]
        return lines.joined(separator: "\n")
    }

    /// An argument behind the program: as it is where nothing in it means anything.
    static func word(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_./=@:+,".utf8.contains($0)
                }
            }
        return isPlain ? text : quoted(text.replacing("$", with: "$$"))
    }

    /// A word for systemd, whatever its characters; neither a variable nor the program itself has `$` expanded.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += "\\" + String(UnicodeScalar(byte))
            case UInt8(ascii: "%"): result += "%%"
            case 0x20..<0x7F: result += String(UnicodeScalar(byte))
            default:
                let digits = String(byte, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return result + "\""
    }
}
