import GRDB
import Isolation
import Jobs

extension JobRecord {
    /// The columns that `init(row:)` reads.
    static let columns = "*"

    /// The record in a row of `jobs`.
    init(row: Row) throws {
        let document = JobDocument(
            uuid: try row.parsed("uuid", JobID.init),
            name: try row.parsed("name") { try? JobName($0) },
            owner: try row.value("owner"),
            created: Timestamp(milliseconds: try row.value("created_ms")),
            project: .init(path: try row.value("project_path"), name: try row.value("project_name")),
            pipeline: .init(path: try row.value("pipeline_path"), uuid: "", name: try row.value("pipeline_name")),
            snapshot: "",
            policy: .init(name: try row.value("policy_name"), digest: ""),
            parameters: .init(grid: "", selection: RunNumbers())
        )
        self.init(sequence: try row.value("id"), document: document)
        state = try row.parsed("state", JobState.init(rawValue:))
        for state in RunState.allCases { counts[state] = try row.value(state.rawValue) }
        removed = try row.value("removed")
        options.maxParallel = try row.optional("max_parallel")
        options.timeoutSeconds = try row.optional("timeout_seconds")
        options.runTimeoutSeconds = try row.optional("run_timeout_seconds")
        options.jobTimeoutSeconds = try row.optional("job_timeout_seconds")
        let keepsLogs: Bool = try row.value("keep_logs")
        if keepsLogs { options.keepLogs = true }
        clock = try row.timestamp("clock_ms")
        timedOut = try row.timestamp("timed_out_ms")
        options.stopOnFailure = try row.value("stop_on_failure")
        options.retries = try row.value("retries")
        options.keep = try row.optional("keep")
        options.retryDelaySeconds = try row.optional("retry_delay_seconds")
        options.retryOn = try row.json("retry_on")
        schedule = try row.json("schedule")
        batches = try row.value("batches")
        batchSize = try row.optional("batch_size")
        next = try row.timestamp("next_ms")
        nextDecided = try row.timestamp("next_decided_ms")
        skipped = try row.timestamp("skipped_ms").map {
            JobBatches.Skipped(count: try row.value("skipped_times"), last: $0)
        }
        started = try row.timestamp("started_ms")
        finished = try row.timestamp("finished_ms")
        cancelled = try row.timestamp("cancelled_ms")
    }
}
