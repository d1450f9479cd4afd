import Isolation
import JobScheduling
import Jobs
import Pipelines
import TerminalOutput

/// Runs of one or several jobs beside each other.
struct Comparison {
    /// One run, with its job and the values of all columns.
    struct Row {
        var job: JobRecord
        var sheet: Int
        var row: RunSheet.Row
    }

    /// The names of parameters, as columns.
    let parameters: [String]
    /// The names of metrics, as columns.
    let metrics: [String]
    private(set) var rows: [Row]

    private let sheets: [RunSheet]
    /// The field of a name in each sheet: steps of two pipelines have their own identities.
    private let fields: [[String: RunSheet.Field]]
    private let hasJobs: Bool

    /// `all` takes parameters that are the same in all runs as well.
    init(_ jobs: [(job: JobRecord, sheet: RunSheet)], all: Bool) {
        sheets = jobs.map(\.sheet)
        hasJobs = jobs.count > 1
        fields = sheets.map { sheet in
            Dictionary((sheet.parameters + sheet.metrics).map { (Self.key($0, sheet), $0) }) { first, _ in first }
        }
        rows = jobs.enumerated().flatMap { index, entry in
            entry.sheet.rows.map { Row(job: entry.job, sheet: index, row: $0) }
        }
        var names: [String] = [], measured: [String] = []
        for sheet in sheets {
            for field in sheet.parameters where !names.contains(sheet.name(field)) { names.append(sheet.name(field)) }
            for field in sheet.metrics where !measured.contains(sheet.name(field)) {
                measured.append(sheet.name(field))
            }
        }
        metrics = measured
        let (rows, sheets, fields) = (rows, sheets, fields)
        parameters = names.filter { name in
            func value(_ row: Row) -> JSONValue? {
                fields[row.sheet]["parameter:" + name].flatMap { sheets[row.sheet].value($0, of: row.row) }
            }
            guard !all, let first = rows.first.map(value) else { return true }
            return rows.contains { value($0) != first }
        }
    }

    private static func key(_ field: RunSheet.Field, _ sheet: RunSheet) -> String {
        switch field {
        case .metric: "metric:" + sheet.name(field)
        case .parameter, .fact: "parameter:" + sheet.name(field)
        }
    }

    private func value(_ kind: String, _ name: String, _ row: Row) -> JSONValue? {
        fields[row.sheet][kind + name].flatMap { sheets[row.sheet].value($0, of: row.row) }
    }

    /// Sorts all runs; runs that are equal stay in the order of their jobs and numbers.
    mutating func sort(by orders: [RunOrder]) throws(InvalidRunExpression) {
        for order in orders.reversed() {
            var keys: [JSONValue?] = []
            var resolved: [RunSheet.Field?] = []
            var problem: InvalidRunExpression?
            for sheet in sheets {
                do throws(InvalidRunExpression) { resolved.append(try sheet.field(for: order)) } catch {
                    problem = error
                    resolved.append(nil)
                }
            }
            // A name that only one of two jobs knows is no error.
            if let problem, !resolved.contains(where: { $0 != nil }) { throw problem }
            for row in rows { keys.append(resolved[row.sheet].flatMap { sheets[row.sheet].value($0, of: row.row) }) }
            rows = rows.indices.sorted { order.precedes(keys[$0], keys[$1]) ?? ($0 < $1) }.map { rows[$0] }
        }
    }

    private func prefix(_ most: Int) -> ArraySlice<Row> { most <= 0 ? rows[...] : rows.prefix(most) }

    /// The table for a person; the best value of each metric among all runs is marked.
    func table(_ better: Better, _ most: Int) -> Table {
        var best: [String: Double] = [:]
        for metric in metrics {
            let numbers = rows.compactMap { row -> Double? in
                if case .number(let number)? = value("metric:", metric, row) { number.doubleValue } else { nil }
            }
            best[metric] = better.isLower(metric) ? numbers.min() : numbers.max()
        }
        var columns = hasJobs ? [Table.Column("JOB")] : []
        columns.append(Table.Column("RUN", alignment: .trailing, minimum: 3))
        columns += parameters.map { Table.Column($0.uppercased(), priority: 1) }
        columns.append(Table.Column("STATE"))
        columns.append(Table.Column("TIME", alignment: .trailing, priority: 2, minimum: 4))
        columns += metrics.map { Table.Column($0.uppercased(), alignment: .trailing) }
        var table = Table(columns)
        for row in prefix(most) {
            var cells = hasJobs ? [Table.Cell(row.job.name.description)] : []
            cells.append(Table.Cell(String(row.row.outline.number)))
            cells += parameters.map { RunTable.cell(value("parameter:", $0, row)) }
            cells.append(.state(row.row.outline.state.rawValue))
            cells.append(RunTable.time(row.row.outline.started, row.row.outline.finished))
            cells += metrics.map { metric in
                let found = value("metric:", metric, row)
                guard case .number(let number)? = found else { return RunTable.cell(found) }
                return RunTable.cell(found, mark: number.doubleValue == best[metric] ? "*" : "")
            }
            table.append(cells)
        }
        return table
    }

    /// One document.
    func json(_ most: Int) -> JSONValue {
        let documents = prefix(most).map { row in
            var values = JSONObject(), measured = JSONObject()
            for name in parameters { values[name] = value("parameter:", name, row) }
            for name in metrics { measured[name] = value("metric:", name, row) }
            return Documents.object([
                ("job", .string(row.job.name.description)), ("index", Documents.value(row.row.outline.number)),
                ("state", .string(row.row.outline.state.rawValue)), ("parameters", .object(values)),
                ("seconds", sheets[row.sheet].value(.fact(.time), of: row.row) ?? .null),
                ("metrics", .object(measured)),
            ])
        }
        return Documents.object([
            ("parameters", .array(parameters.map(JSONValue.string))),
            ("metrics", .array(metrics.map(JSONValue.string))),
            ("runs", .array(documents)),
        ])
    }

    /// RFC 4180, with a line of names.
    func csv(_ most: Int) -> String {
        var lines = [(["job", "run", "state", "seconds"] + parameters + metrics).map(CSV.field).joined(separator: ",")]
        for row in prefix(most) {
            var fields = [
                CSV.field(row.job.name.description), CSV.field(JSONValue.number(JSONNumber(row.row.outline.number))),
            ]
            fields.append(CSV.field(row.row.outline.state.rawValue))
            fields.append(CSV.field(sheets[row.sheet].value(.fact(.time), of: row.row)))
            fields += parameters.map { CSV.field(value("parameter:", $0, row)) }
            fields += metrics.map { CSV.field(value("metric:", $0, row)) }
            lines.append(fields.joined(separator: ","))
        }
        return lines.map { $0 + "\r\n" }.joined()
    }
}

extension CSV {
    /// A value: a number as it is, a text, or JSON.
    static func field(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null?: ""
        case .number(let number)?: number.literal
        case .string(let text)?: field(text)
        case let value?: field(value.text())
        }
    }
}
