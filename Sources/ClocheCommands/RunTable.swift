import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The table of a job's runs: parameters that vary, state, time, metrics.
struct RunTable {
    /// So many runs are shown where nobody asked for a number of them.
    static let mostRows = 50

    private static let mostMetrics = 6, mostParameters = 20

    private let store: Store
    private let job: JobRecord

    init(_ store: Store, _ job: JobRecord) {
        self.store = store
        self.job = job
    }

    /// The metrics of a run: those that it ended with, or those that it has logged so far.
    static func metrics(_ store: Store, _ run: RunRecord) -> [(name: String, value: Double)] {
        if let text = run.metrics, run.state.isFinal {
            return (try? JSONValue(parsing: text))?.objectValue?.compactMap { entry in
                guard case .number(let value) = entry.value else { return nil }
                return (entry.key, value.doubleValue)
            } ?? []
        }
        return run.attempt == 0 ? [] : store.runDirectory(run.address).latestAttempt()?.metrics() ?? []
    }

    /// The parameters in which a run differs from others; of a job with a single run all, as far as they fit.
    func parameters(of run: RunRecord) -> String? {
        if !run.parameters.label.isEmpty { return printable(run.parameters.label) }
        let sheet = RunSheet(
            [RunOutline(run)], titles: StepTitles.of(job, in: store),
            now: Timestamp(seconds: Syscall.wallClockSeconds()))
        guard let row = sheet.rows.first, !sheet.parameters.isEmpty else { return nil }
        let shown = sheet.parameters.prefix(Self.mostParameters).map { field in
            let value = sheet.value(field, of: row).map { Pipelines.RunParameters.shown($0) } ?? ""
            return printable("\(sheet.name(field))=\(value)")
        }
        let rest = sheet.parameters.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    func table(_ runs: [RunRecord]) -> Table {
        let sheet = RunSheet(
            runs.map { run in
                var outline = RunOutline(run)
                if !run.state.isFinal || run.metrics == nil {
                    outline.metrics =
                        run.attempt == 0 ? nil : store.runDirectory(run.address).latestAttempt()?.metricsText()
                }
                return outline
            }, titles: StepTitles.of(job, in: store), now: Timestamp(seconds: Syscall.wallClockSeconds()))
        let varying = sheet.varying(in: sheet.rows)
        let metrics = sheet.metrics.prefix(Self.mostMetrics)
        let hasFailed = runs.contains { $0.state == .failed }
        var columns = [Table.Column("RUN", alignment: .trailing, minimum: 3)]
        if job.schedule != nil { columns.append(Table.Column("BATCH", alignment: .trailing, minimum: 5)) }
        columns += varying.map { Table.Column(sheet.name($0).uppercased(), priority: 1) }
        columns += [Table.Column("STATE", minimum: 11), Table.Column("TIME", alignment: .trailing, minimum: 4)]
        columns += metrics.map { Table.Column(sheet.name($0).uppercased(), alignment: .trailing) }
        if hasFailed { columns.append(Table.Column("CAUSE", priority: 2)) }
        var table = Table(columns)
        for (run, row) in zip(runs, sheet.rows) {
            var cells = [Table.Cell(String(run.address.number))]
            if job.schedule != nil { cells.append(Table.Cell(String(job.place(ofRun: run.address.number).batch))) }
            cells += varying.map { Self.cell(sheet.value($0, of: row)) }
            cells += [.state(run.state.rawValue), Self.time(run.started, run.finished)]
            cells += metrics.map { Self.cell(sheet.value($0, of: row)) }
            if hasFailed { cells.append(Table.Cell(run.state == .failed ? run.verdict?.summary ?? "" : "")) }
            table.append(cells)
        }
        return table
    }

    /// A parameter's or a metric's value; a number that was measured with many digits is shortened for a person.
    static func cell(_ value: JSONValue?, mark: String = "") -> Table.Cell {
        switch value {
        case nil: return Table.Cell("")
        case .number(let number)? where number.intValue == nil:
            return Table.Cell(Self.number(number.doubleValue) + mark, exact: number.literal)
        case let value?:
            return Table.Cell(
                Pipelines.RunParameters.shown(value) + mark, exact: Pipelines.RunParameters.shown(value, limit: 1000))
        }
    }

    /// Elapsed time of something that has started.
    static func time(_ started: Timestamp?, _ finished: Timestamp?) -> Table.Cell {
        guard let started else { return Table.Cell("") }
        let end = finished?.seconds ?? Syscall.wallClockSeconds()
        let seconds = max(0, end - started.seconds)
        return Table.Cell(humanDuration(.seconds(seconds)), exact: String((seconds * 1000).rounded() / 1000))
    }

    /// A number with four digits behind the point; of small ones, with four digits that count.
    static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e9 { return String(Int64(value)) }
        let digits = abs(value) < 0.1 ? 3 - Int(log10(abs(value)).rounded(.down)) : 4
        // Powers of ten beyond these are no doubles.
        guard abs(value) < 1e9, digits < 300 else { return value.description }
        let scale = pow(10, Double(digits))
        return ((value * scale).rounded() / scale).description
    }
}

extension RunOutline {
    /// The outline of a run.
    init(_ run: RunRecord) {
        self.init(
            number: run.address.number, state: run.state, attempt: run.attempt, parameters: run.parameters.json,
            metrics: run.metrics, cause: run.verdict?.cause.rawValue, started: run.started, finished: run.finished)
    }
}
