import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import Runs
import TerminalOutput

/// The table of a job's runs: parameters that vary, state, time, metrics.
struct RunTable {
    private let store: Store
    private let job: JobRecord

    init(_ store: Store, _ job: JobRecord) {
        self.store = store
        self.job = job
    }

    static func metrics(_ store: Store, _ run: RunAddress) -> [(name: String, value: Double)] {
        store.runDirectory(run).latestAttempt()?.metrics() ?? []
    }

    func table(_ runs: [RunRecord]) -> Table {
        let parameters = runs.map { Self.flat($0.parameters.json) }
        var names: [String] = []
        for row in parameters { for (name, _) in row where !names.contains(name) { names.append(name) } }
        let varying = names.filter { name in Set(parameters.map { $0.first { $0.0 == name }?.1 ?? "" }).count > 1 }
        let titles = stepTitles(runs)
        let metrics = runs.map { Self.metrics(store, $0.address) }
        var metricNames: [String] = []
        for row in metrics {
            for metric in row where !metricNames.contains(metric.name) { metricNames.append(metric.name) }
        }
        var columns = [Table.Column("RUN", alignment: .trailing, minimum: 3)]
        if job.schedule != nil { columns.append(Table.Column("BATCH", alignment: .trailing, minimum: 5)) }
        columns += varying.map { Table.Column(Self.title($0, titles), priority: 1) }
        columns += [Table.Column("STATE"), Table.Column("TIME", alignment: .trailing, minimum: 4)]
        columns += metricNames.prefix(6).map { Table.Column($0.uppercased(), alignment: .trailing) }
        if runs.contains(where: { $0.state == .failed }) { columns.append(Table.Column("CAUSE", priority: 2)) }
        var table = Table(columns)
        for (index, run) in runs.enumerated() {
            var row = [Table.Cell(String(run.address.number))]
            if job.schedule != nil { row.append(Table.Cell(String(job.place(ofRun: run.address.number).batch))) }
            row += varying.map { name in Table.Cell(parameters[index].first { $0.0 == name }?.1 ?? "") }
            row += [.state(run.state.rawValue), Self.time(run.started, run.finished)]
            row += metricNames.prefix(6).map { name in
                Table.Cell(metrics[index].first { $0.name == name }.map { Self.number($0.value) } ?? "")
            }
            if runs.contains(where: { $0.state == .failed }) {
                row.append(Table.Cell(run.state == .failed ? run.verdict?.summary ?? "" : ""))
            }
            table.append(row)
        }
        return table
    }

    /// Elapsed time of something that has started.
    static func time(_ started: Timestamp?, _ finished: Timestamp?) -> Table.Cell {
        guard let started else { return Table.Cell("") }
        let end = finished?.seconds ?? Syscall.wallClockSeconds()
        let seconds = max(0, end - started.seconds)
        return Table.Cell(humanDuration(.seconds(seconds)), exact: String((seconds * 1000).rounded() / 1000))
    }

    static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e9 { return String(Int64(value)) }
        let scaled = (value * 10_000).rounded() / 10_000
        return String(scaled)
    }

    private static func title(_ name: String, _ titles: [String: String]) -> String {
        guard let dot = name.firstIndex(of: "\u{0}") else { return name.uppercased() }
        let uuid = String(name[..<dot])
        return "\(titles[uuid] ?? uuid).\(name[name.index(after: dot)...])".uppercased()
    }

    private func stepTitles(_ runs: [RunRecord]) -> [String: String] {
        guard let first = runs.first(where: { $0.started != nil }),
            let steps = try? store.database.steps(of: first.address)
        else { return [:] }
        return Dictionary(steps.map { ($0.uuid, $0.title) }) { first, _ in first }
    }

    private static func flat(_ json: String) -> [(String, String)] {
        guard let value = try? JSONValue(parsing: json), let run = try? Pipelines.RunParameters(json: value) else {
            return []
        }
        var result = run.pipeline.map { ($0.key, Pipelines.RunParameters.shown($0.value)) }
        for (uuid, parameters) in run.steps.sorted(by: { $0.key < $1.key }) {
            result += parameters.map { ("\(uuid)\u{0}\($0.key)", Pipelines.RunParameters.shown($0.value)) }
        }
        return result
    }
}
