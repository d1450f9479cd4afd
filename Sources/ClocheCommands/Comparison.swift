import Isolation
import JobScheduling
import Jobs
import Pipelines
import TerminalOutput

/// Runs of one or several jobs beside each other.
struct Comparison {
    /// One run, with the values of all columns.
    struct Row {
        /// The number of its job and of its sheet.
        var sheet: Int
        var row: RunSheet.Row
    }

    /// A parameter or a metric.
    struct Column {
        var name: String
        /// What has that name in each sheet: steps of two pipelines have their own identities.
        var fields: [RunSheet.Field?]
    }

    private(set) var rows: [Row]

    private let parameterColumns: [Column]
    private let metricColumns: [Column]
    private let sheets: [RunSheet]
    private let jobs: [JobRecord]
    private var hasJobs: Bool { jobs.count > 1 }

    /// The names of the parameters that are columns.
    var parameters: [String] { parameterColumns.map(\.name) }
    /// The names of the metrics.
    var metrics: [String] { metricColumns.map(\.name) }

    /// `all` takes parameters that are the same in all runs as well.
    init(_ jobs: [(job: JobRecord, sheet: RunSheet)], all: Bool) {
        let sheets = jobs.map(\.sheet)
        let rows = jobs.enumerated().flatMap { index, entry in
            entry.sheet.rows.map { Row(sheet: index, row: $0) }
        }
        self.sheets = sheets
        self.rows = rows
        self.jobs = jobs.map(\.job)
        metricColumns = Self.columns(sheets, \.metrics)
        parameterColumns = Self.columns(sheets, \.parameters).filter { column in
            func value(_ row: Row) -> JSONValue? {
                column.fields[row.sheet].flatMap { sheets[row.sheet].value($0, of: row.row) }
            }
            guard !all, let first = rows.first.map(value) else { return true }
            return rows.contains { value($0) != first }
        }
    }

    private static func columns(_ sheets: [RunSheet], _ fields: KeyPath<RunSheet, [RunSheet.Field]>) -> [Column] {
        var columns: [Column] = []
        for (index, sheet) in sheets.enumerated() {
            for field in sheet[keyPath: fields] {
                let name = sheet.name(field)
                let place = columns.firstIndex { $0.name == name && $0.fields[index] == nil } ?? columns.count
                if place == columns.count {
                    columns.append(Column(name: name, fields: Array(repeating: nil, count: sheets.count)))
                }
                columns[place].fields[index] = field
            }
        }
        return columns
    }

    private func value(_ column: Column, _ row: Row) -> JSONValue? {
        column.fields[row.sheet].flatMap { sheets[row.sheet].value($0, of: row.row) }
    }

    /// Sorts all runs; runs that are equal stay in the order of their jobs and numbers.
    mutating func sort(by orders: [RunOrder]) throws(InvalidRunExpression) {
        for order in orders.reversed() {
            var keys: [RunOrder.Key] = []
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
            for row in rows {
                keys.append(RunOrder.Key(resolved[row.sheet].flatMap { sheets[row.sheet].value($0, of: row.row) }))
            }
            rows = order.places(of: keys).map { rows[$0] }
        }
    }

    private func prefix(_ most: Int) -> ArraySlice<Row> { most <= 0 ? rows[...] : rows.prefix(most) }

    /// The table for a person; the best value of each metric among all runs is marked.
    func table(_ better: Better, _ most: Int) -> Table {
        var best: [String: Double] = [:]
        for metric in metricColumns {
            let numbers = rows.compactMap { row -> Double? in
                if case .number(let number)? = value(metric, row) { number.doubleValue } else { nil }
            }
            best[metric.name] = better.isLower(metric.name) ? numbers.min() : numbers.max()
        }
        var columns = hasJobs ? [Table.Column("JOB")] : []
        columns.append(Table.Column("RUN", alignment: .trailing, minimum: 3))
        columns += parameters.map { Table.Column($0.uppercased(), priority: 1) }
        columns.append(Table.Column("STATE", minimum: 11))
        columns.append(Table.Column("TIME", alignment: .trailing, priority: 2, minimum: 4))
        columns += metrics.map { Table.Column($0.uppercased(), alignment: .trailing) }
        var table = Table(columns)
        for row in prefix(most) {
            var cells = hasJobs ? [Table.Cell(jobs[row.sheet].name.description)] : []
            cells.append(Table.Cell(String(row.row.outline.number)))
            cells += parameterColumns.map { RunTable.cell(value($0, row)) }
            cells.append(.state(row.row.outline.state.rawValue))
            cells.append(RunTable.time(row.row.outline.started, row.row.outline.finished))
            cells += metricColumns.map { metric in
                let found = value(metric, row)
                guard case .number(let number)? = found else { return RunTable.cell(found) }
                return RunTable.cell(found, mark: number.doubleValue == best[metric.name] ? "*" : "")
            }
            table.append(cells)
        }
        return table
    }

    /// One document.
    func json(_ most: Int) -> JSONValue {
        let documents = prefix(most).map { row in
            var values = JSONObject(), measured = JSONObject()
            for column in parameterColumns { values[column.name] = value(column, row) }
            for column in metricColumns { measured[column.name] = value(column, row) }
            return Documents.object([
                ("job", .string(jobs[row.sheet].name.description)), ("index", Documents.value(row.row.outline.number)),
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
                CSV.field(jobs[row.sheet].name.description),
                CSV.field(JSONValue.number(JSONNumber(row.row.outline.number))),
            ]
            fields.append(CSV.field(row.row.outline.state.rawValue))
            fields.append(CSV.field(sheets[row.sheet].value(.fact(.time), of: row.row)))
            fields += (parameterColumns + metricColumns).map { CSV.field(value($0, row)) }
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
