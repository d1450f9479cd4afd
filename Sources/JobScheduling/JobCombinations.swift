package import Jobs
import Pipelines
import Snapshots
import SystemPackage

/// With which parameters the runs of a job are executed, worked out from its document and snapshot.
package struct JobCombinations {
    private let grid: ParameterGrid
    private let selected: [Int]
    private let single: Jobs.RunParameters?

    /// Reads what the runs of the job have in common.
    package init(_ document: JobDocument, in store: Store) throws {
        guard let identity = SnapshotIdentity(document.snapshot) else {
            throw StoreError(message: "read the job's snapshot: `\(document.snapshot)` is no identity", hint: nil)
        }
        let files = ProjectFiles(layers: try store.snapshots.snapshot(identity).layers)
        let pipeline = try files.pipeline(document.pipeline.path)
        grid = try ParameterGrid(
            contentsOf: Array(document.parameters.grid.utf8), file: "parameters of the job", for: pipeline)
        selected = Array(document.parameters.selection.numbers)
        single = document.parameters.singleRun.map { Jobs.RunParameters(label: "", json: $0) }
        let count = grid.count ?? .max
        guard !selected.isEmpty, selected.allSatisfy({ $0 < count }) else {
            throw StoreError(
                message: "read the parameters of the job `\(document.name)`: its selection does not fit its grid",
                hint: "restore its document from a backup, or remove the job")
        }
    }

    /// The parameters of the run with that number in the life of the job.
    package func parameters(ofRun number: Int) -> Jobs.RunParameters {
        if let single { return single }
        let index = selected[number % selected.count]
        return Jobs.RunParameters(
            label: grid.label(at: index, limit: 200), json: grid[index].json.text(pretty: false, sortedKeys: false))
    }
}
