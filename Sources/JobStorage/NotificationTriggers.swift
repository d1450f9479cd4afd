/// The tables and triggers of notifications: what happens to runs and jobs gets its notifications in the same transaction.
///
/// So nothing that was written is not told, and nothing is told that was not written, whatever process wrote it. A
/// database that is made anew from directories inserts runs as they are, and tells of none of them again.
enum NotificationTriggers {
    /// The text of one migration.
    static let migration = """
        CREATE TABLE notifiers (
            name TEXT PRIMARY KEY,
            events TEXT NOT NULL CHECK (json_valid(events)),
            jobs TEXT NOT NULL CHECK (json_valid(jobs))
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE notifications (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            uuid TEXT NOT NULL UNIQUE,
            notifier TEXT NOT NULL,
            event TEXT NOT NULL,
            job TEXT NOT NULL,
            run INTEGER,
            facts TEXT NOT NULL CHECK (json_valid(facts)),
            created_ms INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given-up')),
            due_ms INTEGER,
            finished_ms INTEGER,
            answer TEXT,
            CHECK ((state = 'waiting') = (due_ms IS NOT NULL)),
            CHECK ((state = 'waiting') = (finished_ms IS NULL))
        ) STRICT;

        CREATE INDEX notifications_due ON notifications (due_ms, id) WHERE due_ms IS NOT NULL;

        CREATE TRIGGER run_end_told AFTER UPDATE OF state ON runs
        WHEN NEW.finished_ms IS NOT NULL AND OLD.state <> NEW.state AND EXISTS (SELECT 1 FROM notifiers) BEGIN
            INSERT INTO notifications (uuid, notifier, event, job, run, facts, created_ms, due_ms)
            SELECT \(identity), notifiers.name, 'run.' || NEW.state, jobs.name, NEW.number,
                json_object('job', \(job(of: "jobs")), 'run', json_object(
                    'index', NEW.number, 'state', NEW.state, 'attempt', NEW.attempt, 'label', NEW.label,
                    'parameters', CASE WHEN length(NEW.parameters) <= 8000 THEN json(NEW.parameters) END,
                    'started', \(time("NEW.started_ms")), 'finished', \(time("NEW.finished_ms")),
                    'verdict', CASE WHEN length(NEW.verdict) <= 4000 THEN json(NEW.verdict)
                        ELSE json_object('cause', NEW.verdict ->> 'cause',
                            'summary', substr(NEW.verdict ->> 'summary', 1, 1000)) END
                )), NEW.finished_ms, NEW.finished_ms
            FROM jobs, notifiers WHERE jobs.id = NEW.job AND \(isWanted("'run.' || NEW.state", "jobs.name"));
        END;

        CREATE TRIGGER job_end_told AFTER UPDATE OF state ON jobs
        WHEN NEW.finished_ms IS NOT NULL AND OLD.finished_ms IS NULL AND EXISTS (SELECT 1 FROM notifiers) BEGIN
            INSERT INTO notifications (uuid, notifier, event, job, facts, created_ms, due_ms)
            SELECT \(identity), notifiers.name, 'job.' || NEW.state, NEW.name, json_object('job', \(whole)),
                NEW.finished_ms, NEW.finished_ms
            FROM notifiers WHERE \(isWanted("'job.' || NEW.state", "NEW.name"));
        END;

        CREATE TRIGGER batch_end_told AFTER UPDATE OF state ON jobs
        WHEN OLD.state = 'running' AND NEW.state = 'pending' AND NEW.next_ms IS NOT NULL AND NEW.pending = 0
            AND NEW.running = 0 AND EXISTS (SELECT 1 FROM notifiers) BEGIN
            INSERT INTO notifications (uuid, notifier, event, job, facts, created_ms, due_ms)
            SELECT \(identity), notifiers.name, ended.event, NEW.name,
                json_object('job', \(whole), 'batch', NEW.batches - 1), ended.time, ended.time
            FROM notifiers, (
                SELECT CASE WHEN coalesce(max(runs.state = 'failed'), 0) THEN 'batch.failed' ELSE 'batch.succeeded' END
                    AS event, coalesce(max(runs.finished_ms), 0) AS time
                FROM runs WHERE runs.job = NEW.id AND runs.number >= (NEW.batches - 1) * coalesce(NEW.batch_size, 1)
            ) AS ended WHERE \(isWanted("ended.event", "NEW.name"));
        END;
        """

    private static let identity = "lower(hex(randomblob(16)))"

    private static func time(_ column: String) -> String {
        "strftime('%Y-%m-%dT%H:%M:%fZ', \(column) / 1000.0, 'unixepoch')"
    }

    private static func isWanted(_ event: String, _ name: String) -> String {
        """
        EXISTS (SELECT 1 FROM json_each(notifiers.events) WHERE value = \(event))
            AND (notifiers.jobs = '[]' OR EXISTS (SELECT 1 FROM json_each(notifiers.jobs) WHERE \(name) GLOB value))
        """
    }

    private static func members(of table: String) -> String {
        "'uuid', \(table).uuid, 'name', \(table).name, 'project', \(table).project_name, 'pipeline', "
            + "\(table).pipeline_path, 'created', \(time(table + ".created_ms"))"
    }

    private static func job(of table: String) -> String { "json_object(\(members(of: table)))" }

    private static let whole = """
        json_object(\(members(of: "NEW")), 'state', NEW.state, 'started', \(time("NEW.started_ms")),
            'finished', \(time("NEW.finished_ms")), 'timed_out', \(time("NEW.timed_out_ms")),
            'counts', json_object('pending', NEW.pending, 'running', NEW.running, 'succeeded', NEW.succeeded,
                'failed', NEW.failed, 'cancelled', NEW.cancelled, 'skipped', NEW.skipped))
        """
}
