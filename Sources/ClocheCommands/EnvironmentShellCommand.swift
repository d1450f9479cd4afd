import ArgumentParser
import Environments
import JobScheduling
import LinuxSystem
import PlainText
import TerminalOutput

struct EnvironmentShellCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shell", abstract: "Open a shell in a throw-away copy of an environment.",
        discussion: """
            Everything that is changed goes with the shell, but for /data. Without a terminal the shell reads its commands \
            from standard input.

            Examples:
              cloche env shell python
              cloche env shell base-kernel-py --project . --policy online
            """)
    @Argument(help: "The environment's name.", completion: Completion.environments) var name: String
    @Option(help: "What the sandbox may do: the name of a policy.") var policy = "default"
    @Option(help: "A directory that is shown, with throw-away changes, at /project-dir.") var project: String?

    func run() throws {
        let context = CommandContext()
        let store = try SandboxStore(try CommandContext.storePath())
        guard let environment = try store.environment(name) else {
            throw CommandFailure(
                .notFound, "open a shell in `\(printable(name))`: it has not been built",
                hint: MeantNames.environment(name))
        }
        guard let shell = environment.shell else {
            throw CommandFailure(
                .commandNotFound, "open a shell in `\(printable(name))`: there is none in it",
                hint: "run one of its programs with `cloche exec --environment \(shellWord(name)) -- PROGRAM`")
        }
        let wishes = SandboxWishes(policy: policy, environment: name, project: project)
        if Syscall.isTerminal(0) {
            context.say("a throw-away copy of `\(printable(name))`: only /data is kept; `exit` ends it")
        }
        try ExecRequest(wishes: wishes, command: [shell, Syscall.isTerminal(0) ? "-i" : "-s"]).run()
    }
}
