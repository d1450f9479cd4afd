import ArgumentParser
import JobScheduling
import Jobs
import Pipelines
import PlainText
import Runs
import TerminalOutput

/// What a new job may be told, by `run` and by `job create`.
struct JobSettings: ParsableArguments {
    @Option(name: .customLong("env-var"), help: "Set a variable of every step: NAME=VALUE.")
    var variables: [String] = []

    @Option(
        name: .customLong("secret"),
        help: "Give every step a secret of `cloche secret`, as a variable of its name, or NAME=VARIABLE.")
    var secrets: [String] = []

    @Option(help: "What the sandboxes may do: the name of a policy.", completion: Completion.policies)
    var policy = "default"

    @Option(help: "End a step after this time: 90s, 15m, 2h.")
    var timeout: String?

    @Option(
        help: """
            The file of the project in which steps leave metrics as a JSON object, read after each step; by default \
            metrics.json.
            """)
    var metrics: String?

    @OptionGroup var limits: TimeLimitOptions
    @OptionGroup var retrying: RetryOptions

    @Flag(help: "Record what the steps do, for `cloche policy learn`; their system calls are slower then.")
    var record = false

    func apply(to request: inout JobRequest) throws {
        request.variables = try Self.parsed(variables)
        try SecretOption.apply(secrets, to: &request)
        for variable in request.secrets.keys.sorted() { try Self.refuseOwn(variable, "--secret") }
        if let metrics {
            guard MetricsFile.isPath(metrics) else {
                throw ValidationError(
                    "--metrics needs the path of a file below the project, such as results/metrics.json, not "
                        + "`\(printable(metrics))`")
            }
            request.metricsFile = metrics
        }
        if let timeout { request.options.timeoutSeconds = try Self.seconds(timeout) }
        try limits.change()?(&request.options)
        try retrying.change()?(&request.options)
        if record { request.options.isRecorded = true }
        if let problem = request.options.problemOfOption { throw ValidationError(problem) }
    }

    static func parsed(_ variables: [String]) throws -> [String: String] {
        var values: [String: String] = [:]
        for text in variables {
            guard let equals = text.firstIndex(of: "="), ProjectVariables.isName(text[..<equals]) else {
                throw ValidationError(
                    "--env-var needs NAME=VALUE with a name of letters, digits, `_` and `-`, not `\(printable(text))`")
            }
            let name = String(text[..<equals])
            try refuseOwn(name, "--env-var")
            guard values[name] == nil else {
                throw ValidationError("the variable `\(printable(name))` is given twice by --env-var: leave one out")
            }
            values[name] = String(text[text.index(after: equals)...])
        }
        return values
    }

    /// Refuses a variable that every step has from elsewhere: the value that is given would be lost without a word.
    private static func refuseOwn(_ name: String, _ option: String) throws {
        guard StepCommand.ownVariables.contains(name) else { return }
        throw ValidationError("\(option) cannot set `\(name)`: every step has its own value of it; take another name")
    }

    /// No time is longer: the greatest that is kept with a job.
    private static let longestTime = 1e9

    static func seconds(_ text: String) throws -> Double {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        let scale = text.last.flatMap { units[$0] }
        // `inf` and `nan` are words of numbers as well.
        guard let value = Double(scale == nil ? text : String(text.dropLast())), value.isFinite else {
            throw ValidationError("`\(printable(text))` is no time; write 90s, 15m or 2h")
        }
        let seconds = value * (scale ?? 1)
        guard seconds > 0 else {
            throw ValidationError(
                "`\(printable(text))` is \(seconds == 0 ? "zero" : "below zero"): write a time such as 90s, 15m or 2h")
        }
        guard seconds <= longestTime else {
            throw ValidationError("`\(printable(text))` is too long: a time has at most 1,000,000,000 seconds, 11574d")
        }
        return seconds
    }
}

/// What an option says: where that cannot be read, the usage is wrong, and no data.
func reading<Value>(_ option: String, _ value: @autoclosure () throws -> Value) throws -> Value {
    do {
        return try value()
    } catch let error as ParameterError {
        throw CommandFailure(.usage, "\(option): \(error.message)", hint: error.hint)
    }
}

extension RunSelection {
    /// The runs that an option such as --skip names.
    static func read(_ text: String?, of option: String) throws -> RunSelection? {
        try text.map { try reading(option, try RunSelection($0)) }
    }
}
