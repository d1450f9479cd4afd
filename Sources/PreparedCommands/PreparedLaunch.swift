package import Isolation
import LinuxSystem
import PlainText
import SandboxLaunch
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The program `cloche`: carries out prepared commands by itself, and is else `cloche-commands`, which lies beside it.
///
/// It is small for the sake of its start: without Foundation, and without what all the other commands need.
package enum PreparedLaunch {
    /// Never comes back.
    package static func run() -> Never {
        do {
            // A limit of the caller's on the size of files is told by the call that meets it.
            signal(SIGXFSZ, SIG_IGN)
            try HostProcess.holdStandardStreams()
            let programs = FilePath(bytes: try Syscall.readLink("/proc/self/exe")).removingLastComponent()
            // Swift reads the arguments from the stack, which it finds by /proc/self/maps.
            guard !CommandLine.arguments.isEmpty else {
                refuse("read the command line: there is no /proc/self/maps", hint: "mount /proc")
            }
            // What fails before anything is started is found again, and told, by whoever works the command out anew.
            if let words = ExecWords(CommandLine.arguments) { try? carryOut(words, programs) }
            let error = HostProcess.become(programs.appending(CommandLineKey.programNames[1]))
            refuse("start the command line: \(error)", hint: "keep the programs of Cloche in one directory")
        } catch {
            refuse("start: \(error)", hint: "use Linux 6.1 or later, with /proc mounted")
        }
    }

    /// Comes back where the command is not prepared, or something is not as it was then: it is to be worked out anew.
    private static func carryOut(_ words: ExecWords, _ programs: FilePath) throws {
        guard !words.command.isEmpty, !ExecWords.isElsewhere(environmentVariable),
            let path = try? StorePlace.path(environmentVariable)
        else { return }
        let timings = words.options.contains("--timings") ? LaunchTimings() : nil
        let key = try CommandLineKey(
            words: words.options, store: path, programs: programs, variable: environmentVariable)
        guard let prepared = PreparedCommandStore(store: path).find(key),
            // Someone has to look after what was left there.
            ScratchDirectory.isClear(path.appending("scratch")), let taken = prepared.take(words.command)
        else { return }
        var request = taken.request
        try HostProcess.keepDescriptors()
        request.name = RandomUUID.next()
        request.sandbox.terminal = .ofTerminal
        let register = SandboxRegister(path)
        try register.clear()
        try register.add(request.name)
        timings?.mark(ExecWords.readingStage)
        do throws(LaunchError) {
            try request.run(prepared: taken.filters, timings: timings, afterwards: { register.remove(request.name) }) {
                CommandReport.end($0, timings) { line in try? Syscall.writeWaiting(2, Array((line + "\n").utf8)) }
            }
        } catch {
            register.abandon(request.name)
            CommandReport.refuse(error)
        }
    }

    private static func refuse(_ text: String, hint: String) -> Never {
        // There is nobody else to tell that standard error is closed; the exit code tells.
        try? Syscall.writeAll(2, Array("error: \(text)\nhint: \(hint)\n".utf8))
        exit(78)
    }
}

/// The words of a command line of `exec` whose command comes after `--`.
package struct ExecWords: Sendable, Hashable {
    /// The first part of the time of a launch.
    package static let readingStage = "read the command line, the policy and the environment"

    /// What comes before `--`, and after it.
    package let options: [String], command: [String]

    /// Divides all words of a command line; nil for any other one.
    package init?(_ arguments: [String]) {
        guard arguments.count > 2, arguments[1] == "exec", let end = arguments.dropFirst(2).firstIndex(of: "--")
        else { return nil }
        options = Array(arguments[2..<end])
        command = Array(arguments[(end + 1)...])
    }

    /// Whether the environment leads a command to another store than the user's own.
    package static func isElsewhere(_ variable: (String) -> String?) -> Bool {
        ["CLOCHE_SERVICE", "CLOCHE_OWNER"].contains { variable($0).map { !$0.isEmpty } ?? false }
    }
}

extension StandardStreams {
    /// What a single command gets as its terminal: its streams, where input and output are one here.
    package static var ofTerminal: StandardStreams {
        guard Syscall.isTerminal(0), Syscall.isTerminal(1) else { return [] }
        return Syscall.isTerminal(2) ? [.input, .output, .errors] : [.input, .output]
    }
}
