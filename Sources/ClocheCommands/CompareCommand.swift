import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import Pipelines
import PlainText
import TerminalOutput

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare the runs of a job, or of several: the parameters that differ, and what the runs measured.",
        discussion: """
            Metrics are what steps logged by `orchest.log_metric(name, value)`. The best value of each is marked with `*`:
            the greatest, or the smallest where the name says that it is a loss, an error or a cost (loss, error, rmse, mae, \
            mse, time, seconds, bytes, …); --lower and --higher say so for others. Runs are sorted by the first metric, the \
            best first, unless --sort says otherwise.

            Examples:
              cloche compare sweep
              cloche compare sweep --where 'model=forest' --sort depth
              cloche compare sweep-1 sweep-2 --lower perplexity
              cloche compare sweep --csv > sweep.csv
            """)

    @Argument(help: "Jobs.", completion: Completion.jobs) var jobs: [String]
    @OptionGroup var choice: RunChoiceOptions
    @Option(parsing: .unconditional, help: "Sort by these: lr, or -accuracy for the greatest first.") var sort: String?
    @Option(help: "A metric of which smaller is better.") var lower: [String] = []
    @Option(help: "A metric of which greater is better.") var higher: [String] = []
    @Flag(help: "Show parameters that are the same in all runs as well.") var all = false
    @Option(help: "Show at most so many runs; 0 is all.") var limit: Int?
    @Flag(help: "Print RFC 4180: commas, quotes, one line a run.") var csv = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        if let limit, limit < 0 { throw ValidationError("--limit is a number from 0 on; 0 shows all") }
        if csv, output.json { throw ValidationError("--csv and --json are two forms: name one") }
        let context = CommandContext()
        let store = try context.openStore()
        let jobs = try jobs.map { name in
            let target = try Target(name, in: store)
            guard target.run == nil else {
                throw ValidationError(
                    "jobs are compared, and `\(printable(name))` is a run: choose runs by --where run=…")
            }
            return target.job
        }
        var comparison = Comparison(try jobs.map { ($0, try choice.sheet(of: $0, in: store)) }, all: all)
        let better = try Better(lower: lower, higher: higher, metrics: comparison.metrics)
        if let sort {
            try comparison.sort(by: try RunOrder.list(sort))
        } else if let first = comparison.metrics.first {
            try comparison.sort(by: [RunOrder(name: "metric:\(first)", isDescending: !better.isLower(first))])
        }
        // What is written to a file is complete; a person gets what can be looked at.
        let most = limit ?? (csv || output.json ? 0 : RunTable.mostRows)
        let count = comparison.rows.count
        if csv { return try context.write(Array(comparison.csv(most).utf8)) }
        if output.json { return try context.print(comparison.json(most)) }
        guard count > 0 else { return context.say("no run is meant by that") }
        try context.print(comparison.table(better, most))
        let marked = comparison.metrics.map { "\(printable($0)) \(better.isLower($0) ? "smallest" : "greatest")" }
        if marked.isEmpty {
            context.say("no run has logged a metric; steps do so by `orchest.log_metric(name, value)`")
        } else {
            // Into a pipe no value is marked.
            let best = context.streams.output.isTerminal ? "* is the best" : "best is"
            context.say("\(best): \(marked.joined(separator: ", "))")
        }
        if most > 0, most < count { context.say("\(most) of \(counted(count, "run")); --limit 0 shows all") }
    }
}

/// Of which metrics smaller is better.
struct Better {
    private static let costs = [
        "loss", "error", "err", "rmse", "mae", "mse", "mape", "time", "seconds", "ms", "latency", "bytes", "size",
        "cost",
        "perplexity", "distance", "regret",
    ]

    private let lower: Set<String>
    private let higher: Set<String>

    init(lower: [String], higher: [String], metrics: [String]) throws {
        for name in lower + higher where !metrics.contains(name) {
            let nearest = EditDistance.nearest(to: name, in: metrics).map { "did you mean `\(printable($0))`?" }
            throw CommandFailure(
                .usage, "compare by `\(printable(name))`: no run has logged that metric",
                hint: nearest
                    ?? (metrics.isEmpty
                        ? nil : "there are " + metrics.prefix(20).map { printable($0) }.joined(separator: ", ")))
        }
        if let both = lower.first(where: higher.contains) {
            throw ValidationError("`\(printable(both))` cannot be both better when it is lower and when it is higher")
        }
        self.lower = Set(lower)
        self.higher = Set(higher)
    }

    /// Whether smaller values of that metric are better: as was said, else by the words of its name.
    func isLower(_ metric: String) -> Bool {
        if lower.contains(metric) { return true }
        if higher.contains(metric) { return false }
        let words = metric.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
        return words.contains { Self.costs.contains($0) }
    }
}
