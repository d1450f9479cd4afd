import Isolation
import PlainText
package import SandboxLaunch
package import SandboxRuntime
package import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What `exec` says at the end of a command, on standard error, and its exit code.
package enum CommandReport {
    /// The failure of a sandbox that could not be set up.
    package static func failure(_ error: LaunchError) -> CommandFailure {
        CommandFailure(error.isRequestWrong ? .usage : .sandboxSetup, "\(error)", hint: SetupRemedy.of(error))
    }

    /// Ends the process with it.
    static func refuse(_ error: LaunchError) -> Never {
        let (failure, channel) = (failure(error), OutputStreams.standard().error)
        // There is nobody else to tell; the exit code tells.
        try? channel.write(failure.rendered(styling: channel.styling))
        exit(failure.exitCode)
    }

    /// Says it line by line, and gives the exit code.
    package static func end(
        _ result: OneSandbox.Result, _ timings: LaunchTimings?, say: (String) -> Void
    ) -> Int32 {
        for stage in timings?.stages ?? [] {
            let number = String(Int(stage.seconds * 1e6))
            say(String(repeating: " ", count: max(0, 9 - number.count)) + "\(number) µs  \(stage.name)")
        }
        if let lost = result.lostOutput {
            // A reader that wants no more is no failure to talk of, and neither is what the command makes of it.
            guard let failure = CommandFailure(writing: "standard output", lost) else { return result.exitCode }
            say(failure.description)
            return failure.exitCode
        }
        if result.verdict.cause != .succeeded,
            result.verdict.cause != .exit || result.exitCode == 126 || result.exitCode == 127
        {
            say("cloche: \(printable(result.verdict.summary))")
            if let remedy = result.verdict.remedy { say("hint: \(printable(remedy))") }
        }
        for (index, line) in result.report.networkRefusals(beside: result.verdict).enumerated() {
            say((index == 0 ? "cloche: " : "") + printable(line))
        }
        return result.exitCode
    }
}
