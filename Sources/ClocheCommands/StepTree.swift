import Isolation
import Jobs
import LinuxSystem
import Runs
import TerminalOutput

/// The steps of a run as a tree: each below the step that it waits for the longest.
struct StepTree {
    /// A step and what is drawn before its name.
    struct Line {
        var step: StepRecord
        var branch: String
        /// Other steps that it waits for as well.
        var joins: [String]
    }

    let lines: [Line]

    /// `parents` are the identities of the steps that a step waits for.
    init(_ steps: [StepRecord], parents: [String: [String]], unicode: Bool) {
        let known = Dictionary(steps.map { ($0.uuid, $0) }) { first, _ in first }
        var depths: [String: Int] = [:]
        func depth(_ uuid: String, _ path: Set<String> = []) -> Int {
            if let depth = depths[uuid] { return depth }
            // A pipeline without cycles was run; one that was tampered with must not hang us.
            let above = (parents[uuid] ?? []).filter { known[$0] != nil && !path.contains($0) }
            let depth = (above.map { depth($0, path.union([uuid])) }.max() ?? -1) + 1
            depths[uuid] = depth
            return depth
        }
        var children: [String: [StepRecord]] = [:]
        var roots: [StepRecord] = []
        for step in steps {
            let above = (parents[step.uuid] ?? []).filter { known[$0] != nil }
            let deepest = above.max { depth($0) < depth($1) }
            if let deepest, depth(deepest) < depth(step.uuid) {
                children[deepest, default: []].append(step)
            } else {
                roots.append(step)
            }
        }
        let (middle, last, pipe) = unicode ? ("├ ", "└ ", "│ ") : ("|- ", "`- ", "|  ")
        let space = String(repeating: " ", count: pipe.count)
        var lines: [Line] = []
        func add(_ step: StepRecord, _ own: String, _ below: String) {
            let above = (parents[step.uuid] ?? []).filter { known[$0] != nil }
            let joins = above.count > 1 ? above.compactMap { known[$0]?.title } : []
            lines.append(Line(step: step, branch: own, joins: joins))
            let steps = children[step.uuid] ?? []
            for (index, child) in steps.enumerated() {
                let isLast = index == steps.count - 1
                add(child, below + (isLast ? last : middle), below + (isLast ? space : pipe))
            }
        }
        for root in roots { add(root, "", "") }
        self.lines = lines
    }

    /// The table of the steps; `origins` tell of an attempt that kept results why each step ran or was kept.
    func table(origins: [String: StepOrigin]) -> Table {
        let joins = lines.contains { !$0.joins.isEmpty }
        var columns = [
            Table.Column("STEP", minimum: 12), Table.Column("STATE", minimum: 11),
            Table.Column("TIME", alignment: .trailing, minimum: 4),
            Table.Column("CPU", alignment: .trailing, priority: 2, minimum: 4),
            Table.Column("MEMORY", alignment: .trailing, priority: 3, minimum: 4),
        ]
        if joins { columns.append(Table.Column("AFTER", priority: 4)) }
        columns.append(Table.Column("CAUSE", priority: 1, minimum: 16))
        if !origins.isEmpty { columns.append(Table.Column("WHY IT RAN OR WAS KEPT", priority: 3)) }
        var table = Table(columns)
        for line in lines {
            let step = line.step
            let cause = step.verdict.map { $0.cause == .succeeded ? "" : $0.summary } ?? ""
            var cells = [
                Table.Cell(line.branch + step.title, exact: step.title), .state(step.state.rawValue),
                RunTable.time(step.started, step.finished),
                Table.Cell(
                    step.usage?.cpuSeconds.map { humanDuration(.seconds($0)) } ?? "",
                    exact: step.usage?.cpuSeconds.map { String(($0 * 1000).rounded() / 1000) } ?? ""),
                Table.Cell(
                    step.usage?.memoryPeakBytes.map(humanBytes) ?? "",
                    exact: step.usage?.memoryPeakBytes.map { String($0) } ?? ""),
            ]
            if joins { cells.append(Table.Cell(line.joins.joined(separator: ", "))) }
            cells.append(Table.Cell(cause))
            if !origins.isEmpty { cells.append(Table.Cell(origins[step.uuid]?.description ?? "")) }
            table.append(cells)
        }
        return table
    }
}
