import Foundation
import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import TerminalOutput

@Suite struct CommandFailureTests {
    @Test func `a failure tells what, why and what to do`() {
        let failure = CommandFailure(.notFound, "show `nightly`: no such job", hint: "`cloche ls` lists the jobs")
        #expect(failure.description == "error: show `nightly`: no such job\nhint: `cloche ls` lists the jobs\n")
        #expect(failure.exitCode == 5)
        #expect(
            failure.rendered(styling: Styling(colours: true, unicode: true))
                == "\u{1B}[1;31merror:\u{1B}[0m show `nightly`: no such job\n"
                + "\u{1B}[36mhint:\u{1B}[0m `cloche ls` lists the jobs\n")
    }

    @Test func `each problem of a document has its place`() {
        let failure = CommandFailure(
            .invalidPolicy,
            [
                .init(
                    "unknown key `netwrok`", hint: "did you mean `network`?",
                    at: .init("strict.yaml", line: 3, column: 1)),
                .init("rule is never reached", at: .init("strict.yaml", line: 9), severity: .warning),
                .init("no such policy `base`", hint: "see `cloche policy ls`", at: .init("strict.yaml")),
                .init("no such policy `more`", hint: "see `cloche policy ls`"),
            ], omitted: 2)
        #expect(
            failure.description == """
                error: strict.yaml:3:1: unknown key `netwrok`
                hint: did you mean `network`?
                warning: strict.yaml:9: rule is never reached
                error: strict.yaml: no such policy `base`
                error: no such policy `more`
                hint: see `cloche policy ls`
                and 2 more

                """)
    }

    @Test func `names from outside cannot forge a line or reach the terminal`() {
        let failure = CommandFailure(
            .invalidPipeline, "step `a\nhint: run rm -rf`\u{1B}[2J", hint: "\u{202E}", at: .init("x\u{1B}.orchest"))
        #expect(failure.description.split(separator: "\n").count == 2)
        #expect(!failure.description.unicodeScalars.contains("\u{1B}"))
        #expect(!failure.json.unicodeScalars.contains { $0.isUnprintable && $0 != "\n" })
    }

    @Test func `a program gets one line of JSON with the closed code`() throws {
        let message = "open \"/etc\": \\refused\u{1B}\u{E0041}\n"
        let failure = CommandFailure(.policyDenied, message, at: .init("p.yaml", line: 14))
        #expect(
            failure.json == #"{"error":{"code":"policy_denied","#
                + #""message":"open \"/etc\": \\refused\u001b\udb40\udc41\n","hint":null,"where":"p.yaml:14"}}"# + "\n")
        let parsed = try JSONSerialization.jsonObject(with: Data(failure.json.utf8))
        let error = try #require((parsed as? [String: [String: Any]])?["error"])
        #expect(error["message"] as? String == message)
    }

    @Test func `further problems follow in the JSON`() throws {
        let failure = CommandFailure(.invalidData, [.init("a"), .init("b", hint: "h")], omitted: 3)
        #expect(
            failure.json == #"{"error":{"code":"invalid_data","message":"a","hint":null,"where":null,"problems":["#
                + #"{"message":"a","hint":null,"where":null,"severity":"error"},"#
                + #"{"message":"b","hint":"h","where":null,"severity":"error"}],"omitted":3}}"# + "\n")
    }

    @Test func `a failure is never empty, and may pass on another exit code`() {
        #expect(CommandFailure(.failed, []).description == "error: unknown problem\n")
        #expect(CommandFailure(.failed, "x", exitCode: 7).exitCode == 7)
    }

    @Test func `a reader that is gone is no failure, a full disk is`() {
        #expect(CommandFailure(writing: "standard output", SyscallError("write", errno: .brokenPipe)) == nil)
        let full = CommandFailure(writing: "standard output", SyscallError("write", errno: .noSpace))
        #expect(full?.description.hasPrefix("error: write to standard output: write: No space left") == true)
    }

    @Test func `the codes are the documented ones`() {
        #expect(
            ExitStatus.allCases.map(\.rawValue) == [
                0, 1, 2, 3, 5, 6, 64, 65, 69, 75, 78, 124, 125, 126, 127, 130, 143,
            ])
        #expect(ExitStatus.allCases.allSatisfy { $0.sentence.hasSuffix(".") && !$0.sentence.contains("\n") })
        #expect(FailureCode.allCases.allSatisfy { $0.rawValue.allSatisfy { $0 == "_" || ("a"..."z").contains($0) } })
        #expect(FailureCode.allCases.allSatisfy { $0.exitStatus != .succeeded })
    }
}

@Suite struct ConfirmationTests {
    @Test(arguments: [("y", true), ("YES", true), (" yes\r", true), ("n", false), ("", false), ("yess", false)])
    func `only a yes is a yes`(answer: String, isConfirmed: Bool) {
        let confirmation = Confirmation(isGranted: false) { _ in answer }
        let isDone = (try? confirmation.require("remove 3 runs?")) != nil
        #expect(isDone == isConfirmed)
    }

    @Test func `the question shows what goes, harmlessly`() throws {
        let terminal = FakeTerminal()
        let channel = terminal.channel()
        let confirmation = Confirmation(isGranted: false) { prompt in
            try? channel.write(prompt)
            return "y"
        }
        try confirmation.require("remove 1 run?", details: ["a/1\u{1B}[2J"])
        #expect(terminal.text == "a/1\\u{1b}[2J\nremove 1 run? [y/N] ")
    }

    @Test func `without a terminal nothing is done, and the exit code says so`() {
        let confirmation = Confirmation(isGranted: false, ask: nil)
        let failure = #expect(throws: CommandFailure.self) { try confirmation.require("remove 3 runs?") }
        #expect(failure?.exitCode == 6)
        #expect(failure?.code == .confirmationRequired)
        #expect(failure?.hint == "add --yes to confirm")
    }

    @Test func `the end of input is a no`() {
        let confirmation = Confirmation(isGranted: false) { _ in nil }
        let failure = #expect(throws: CommandFailure.self) { try confirmation.require("remove?") }
        #expect(failure?.exitCode == 6)
    }

    @Test func `yes on the command line asks nothing`() throws {
        try Confirmation(isGranted: true, ask: nil).require("remove?")
        try Confirmation(isGranted: true) { _ in "n" }.require("remove?", typing: "job")
    }

    @Test func `a whole job wants its name`() throws {
        try Confirmation(isGranted: false) { _ in "nightly" }.require("remove `nightly`?", typing: "nightly")
        #expect(throws: CommandFailure.self) {
            try Confirmation(isGranted: false) { _ in "y" }.require("remove `nightly`?", typing: "nightly")
        }
    }

    @Test func `a pipe as standard error means no terminal`() {
        let pipe = FakeTerminal(isTerminal: false)
        let streams = OutputStreams(output: pipe.channel(), error: pipe.channel())
        let confirmation = Confirmation.standard(isGranted: false, streams: streams)
        #expect(throws: CommandFailure.self) { try confirmation.require("remove?") }
        #expect(pipe.text == "")
    }
}
