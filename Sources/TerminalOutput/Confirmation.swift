import Glibc
import LinuxSystem
import PlainText

/// Asks before something is destroyed, and refuses where nobody can be asked.
package struct Confirmation: Sendable {
    private static let longestAnswer = 1024

    private let isGranted: Bool
    private let ask: (@Sendable (_ prompt: String) -> String?)?

    /// A confirmation by given means.
    ///
    /// - Parameters:
    ///   - isGranted: Whether `--yes` was given, which answers every question.
    ///   - ask: Shows a prompt and returns the line typed, nil at the end of input; nil where there is no terminal.
    package init(isGranted: Bool, ask: (@Sendable (_ prompt: String) -> String?)?) {
        self.isGranted = isGranted
        self.ask = ask
    }

    /// A confirmation on the terminal of this process.
    ///
    /// Questions go to standard error, which has to be a terminal. Answers come from standard input or, where that is
    /// no terminal, from the controlling terminal.
    package static func standard(isGranted: Bool, streams: OutputStreams) -> Confirmation {
        let channel = streams.error
        guard channel.isTerminal else { return Confirmation(isGranted: isGranted, ask: nil) }
        if Syscall.isTerminal(STDIN_FILENO) {
            return Confirmation(isGranted: isGranted) { prompt in
                answer(to: prompt, on: channel, from: STDIN_FILENO)
            }
        }
        guard (try? Syscall.openControllingTerminal()) != nil else {
            return Confirmation(isGranted: isGranted, ask: nil)
        }
        return Confirmation(isGranted: isGranted) { prompt in
            guard let terminal = try? Syscall.openControllingTerminal() else { return nil }
            return answer(to: prompt, on: channel, from: terminal.number)
        }
    }

    /// Returns if `y` or `yes` is the answer; throws `confirmation_required` for every other.
    ///
    /// - Parameters:
    ///   - question: What will happen, such as `remove 3 runs (1.2 GiB)?`.
    ///   - details: Lines that are shown before it, such as the list of what goes.
    package func require(_ question: String, details: [String] = []) throws(CommandFailure) {
        try require(question, details: details, choice: "[y/N]") { ["y", "yes"].contains($0.lowercased()) }
    }

    /// Returns if exactly `name` is the answer: for what is too precious for a `y`.
    package func require(_ question: String, typing name: String, details: [String] = []) throws(CommandFailure) {
        try require(question, details: details, choice: "type `\(printable(name))` to confirm:") { $0 == name }
    }

    private func require(
        _ question: String, details: [String], choice: String, accepts: (String) -> Bool
    ) throws(CommandFailure) {
        if isGranted { return }
        guard let ask else {
            throw CommandFailure(
                .confirmationRequired, "nothing was done: there is no terminal to ask `\(question)` on",
                hint: "add --yes to confirm")
        }
        let lines = details.map { printable($0) + "\n" }.joined()
        guard let answer = ask(lines + printable(question) + " " + choice + " "), accepts(trimmed(answer)) else {
            throw CommandFailure(.confirmationRequired, "nothing was done: not confirmed")
        }
    }

    private func trimmed(_ answer: String) -> String {
        let blanks: Set<Character> = [" ", "\t", "\r", "\n", "\r\n"]
        let start = answer.drop { blanks.contains($0) }
        return String(start.reversed().drop { blanks.contains($0) }.reversed())
    }

    /// Reads one line byte by byte, so that nothing of what follows it is taken away.
    private static func answer(to prompt: String, on channel: OutputChannel, from descriptor: CInt) -> String? {
        guard (try? channel.write(prompt)) != nil else { return nil }
        var bytes: [UInt8] = []
        while bytes.count < longestAnswer {
            guard let byte = (try? Syscall.read(descriptor, upTo: 1))?.first else { break }
            if byte == 0x0A { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        // Without an answer the cursor is still behind the question.
        try? channel.write("\n")
        return nil
    }
}
