import FoundationEssentials
import Isolation
import JobScheduling
import JobStorage
import Jobs
import Pipelines
import Runs

/// JSON documents of jobs, runs and steps, as `--json` prints them.
enum Documents {
    /// What a user of a service keeps, and may keep; null where there is no limit.
    static func size(_ size: StoreSize?) -> JSONValue {
        guard let size else { return .null }
        return object([
            ("bytes", value(size.bytes)), ("limit_bytes", value(size.limit)), ("exceeded", .bool(size.isExceeded)),
            ("measured", .string(size.measured.description)),
        ])
    }

    /// `driven` tells whether a process carries the job on: without one, what is pending waits for `job start`.
    static func job(_ job: JobRecord, in store: Store) -> JSONValue {
        object(
            [
                ("uuid", .string(job.uuid.description)), ("name", .string(job.name.description)),
                ("owner", owner(of: job, in: store)), ("state", .string(job.state.rawValue)),
                ("driven", .bool(store.isDriven(job))),
                ("counts", value(job.counts)), ("batch_size", value(job.batchSize)),
                ("pipeline", .string(job.pipelinePath)), ("project", .string(job.project.path)),
                ("policy", .string(job.policyName)), ("created", value(job.created)), ("started", value(job.started)),
                ("finished", value(job.finished)), ("timed_out", value(job.timedOut)),
                ("timeout_seconds", value(job.options.timeoutSeconds)),
                ("run_timeout_seconds", value(job.options.runTimeoutSeconds)),
                ("job_timeout_seconds", value(job.options.jobTimeoutSeconds)), ("keep", value(job.options.keep)),
                ("keep_logs", .bool(job.options.keepLogs == true)), ("max_parallel", value(job.options.maxParallel)),
                ("stop_on_failure", .bool(job.options.stopOnFailure)), ("retries", value(job.options.retries)),
                ("retry_delay_seconds", value(job.options.retryDelaySeconds)),
                ("retry_on", value(job.options.retryOn.map { $0.map(\.rawValue).sorted() })),
            ] + ScheduleDescription(job).members())
    }

    /// Whose it is: the user id, and the name where the service knows one.
    private static func owner(of job: JobRecord, in store: Store) -> JSONValue {
        object([("uid", value(job.owner)), ("name", value(StoreOwner.name(of: job.owner)))])
    }

    static func run(_ run: RunRecord, _ job: JobRecord, metrics: [(name: String, value: Double)]) -> JSONValue {
        var names = JSONObject()
        for metric in metrics { names[metric.name] = value(metric.value) }
        return object([
            ("job", .string(job.uuid.description)), ("index", value(run.address.number)),
            ("batch", value(job.place(ofRun: run.address.number).batch)),
            ("batch_index", value(job.place(ofRun: run.address.number).index)),
            ("scheduled", value(run.scheduled)), ("not_before", value(run.notBefore)),
            ("uuid", .string(run.uuid.description)), ("state", .string(run.state.rawValue)),
            ("verdict", value(run.verdict)), ("parameters", (try? JSONValue(parsing: run.parameters.json)) ?? .null),
            ("attempt", value(run.attempt)), ("started", value(run.started)), ("finished", value(run.finished)),
            ("files_removed", value(run.filesRemoved)), ("metrics", .object(names)),
        ])
    }

    /// `origin` tells, of later attempts, whether the step was kept or why it ran.
    static func step(_ step: StepRecord, _ origin: StepOrigin?) -> JSONValue {
        var (from, reason): (Int?, String?) = (nil, nil)
        switch origin {
        case .kept(let attempt): from = attempt
        case .runs(let because): reason = because
        case nil: break
        }
        return object([
            ("uuid", .string(step.uuid)), ("title", .string(step.title)), ("state", .string(step.state.rawValue)),
            ("verdict", value(step.verdict)), ("started", value(step.started)), ("finished", value(step.finished)),
            ("usage", value(step.usage)), ("attempt", value(from ?? step.attempt)), ("kept_from_attempt", value(from)),
            ("reason", value(reason)),
        ])
    }

    static func object(_ members: [(String, JSONValue)]) -> JSONValue {
        var object = JSONObject()
        for (name, value) in members { object[name] = value }
        return .object(object)
    }

    static func value(_ value: some Encodable) -> JSONValue {
        guard let bytes = JSONFile.encode(value) else { return .null }
        return (try? JSONValue(parsing: String(decoding: bytes, as: UTF8.self))) ?? .null
    }
}

extension CommandContext {
    /// Prints a document.
    func print(_ document: JSONValue) throws { try print(document.text(pretty: true, sortedKeys: false)) }
}
