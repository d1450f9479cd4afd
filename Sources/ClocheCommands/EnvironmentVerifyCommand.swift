import ArgumentParser
import Environments
import JobScheduling
import Pipelines
import PlainText
import TerminalOutput

struct EnvironmentVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read builds again, and find every bit that is not as it was.",
        discussion: """
            Without an argument all builds are read. One that is damaged is used no more: what runs in it does not start \
            until it is sound again, and `cloche env build` makes a new one. The exit code is 1 when something is damaged.

            Examples:
              cloche env verify
              cloche env verify python
            """)
    @Argument(help: "Names of environments, or identities of builds.", completion: Completion.environments)
    var references: [String] = []
    @OptionGroup var output: OutputOptions

    private static let shown = 20

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let provider = try context.environments(store)
        let display = ProgressDisplay(context.streams.error)
        let styling = context.streams.error.styling
        let found = try provider.verify(
            references,
            isCancelled: {
                display.tick(); return false
            }
        ) { build in
            let title = "verifying build \(build.prefix(12))"
            display.update(lines: [styling.apply(.dim, to: title)], plain: title)
        }
        display.finish(.clear)
        let damaged = found.count { $0.differences?.isEmpty == false }
        if output.json {
            let documents = found.map { build, differences in
                Documents.object([
                    ("build", .string(build)), ("sound", differences.map { .bool($0.isEmpty) } ?? .null),
                    ("differences", .array((differences ?? []).map { .string($0) })),
                ])
            }
            try context.print(Documents.object([("builds", .array(documents))]))
        } else {
            if found.isEmpty { context.say("no environment has been built yet") }
            for (build, differences) in found {
                guard let differences else {
                    try context.print("\(build.prefix(12)): not known: it was built before contents were written down")
                    continue
                }
                try context.print("\(build.prefix(12)): \(differences.isEmpty ? "sound" : "damaged")")
                for line in differences.prefix(Self.shown) { try context.print("  \(printable(line))") }
                if differences.count > Self.shown {
                    try context.print("  and \(differences.count - Self.shown) more")
                }
            }
        }
        guard damaged > 0 else { return }
        if !output.json {
            context.say(
                "\(counted(damaged, "build")) of \(found.count) damaged; build them again, and make their jobs anew")
        }
        throw ExitCode(1)
    }
}
