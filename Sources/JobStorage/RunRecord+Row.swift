import GRDB
import Isolation
import Jobs

extension RunRecord {
    /// The columns that `init(row:)` reads, of the table `runs`.
    static let columns = """
        runs.id AS id, (SELECT jobs.uuid FROM jobs WHERE jobs.id = runs.job) AS job_uuid, runs.number AS number,
        runs.state AS state, runs.is_cancelled AS is_cancelled, runs.attempt AS attempt, runs.failures AS failures,
        runs.losses AS losses, runs.label AS label, runs.parameters AS parameters, runs.verdict AS verdict,
        runs.metrics AS metrics, runs.failure AS failure, runs.failure_started_ms AS failure_started_ms,
        runs.failure_finished_ms AS failure_finished_ms,
        runs.started_ms AS started_ms, runs.finished_ms AS finished_ms, runs.not_before_ms AS not_before_ms,
        runs.scheduled_ms AS scheduled_ms, runs.files_removed_ms AS files_removed_ms
        """

    /// The record in a row of these columns.
    init(row: Row) throws {
        self.init(
            address: RunAddress(job: try row.parsed("job_uuid", JobID.init), number: try row.value("number")),
            parameters: RunParameters(label: try row.value("label"), json: try row.value("parameters"))
        )
        if let verdict: Verdict = try row.json("failure") {
            failure = Failure(
                verdict, started: try row.timestamp("failure_started_ms"),
                finished: try row.timestamp("failure_finished_ms") ?? Timestamp(milliseconds: 0))
        }
        lifecycle = RunLifecycle(
            state: try row.parsed("state", RunState.init(rawValue:)),
            isCancelled: try row.value("is_cancelled"),
            failures: try row.value("failures"),
            losses: try row.value("losses"),
            hasFailed: failure != nil
        )
        attempt = try row.value("attempt")
        verdict = try row.json("verdict")
        metrics = try row.optional("metrics")
        started = try row.timestamp("started_ms")
        finished = try row.timestamp("finished_ms")
        notBefore = try row.timestamp("not_before_ms")
        scheduled = try row.timestamp("scheduled_ms")
        filesRemoved = try row.timestamp("files_removed_ms")
    }
}

extension StepRecord {
    /// The record in a row of `steps`.
    init(row: Row) throws {
        self.init(
            uuid: try row.value("uuid"),
            title: try row.value("title"),
            position: try row.value("position"),
            attempt: try row.value("attempt")
        )
        state = try row.parsed("state", RunState.init(rawValue:))
        verdict = try row.json("verdict")
        usage = try row.json("usage")
        started = try row.timestamp("started_ms")
        finished = try row.timestamp("finished_ms")
    }
}
