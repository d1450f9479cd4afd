/// The tables, and how they came to be: one SQL text a format, never changed once it was released.
enum DatabaseSchema {
    /// "Cloc" in ASCII: how SQLite's header tells our files from others.
    static let applicationID = 0x436C_6F63

    /// The texts that lead from each format to the next; the format of a database is how many were executed.
    static let migrations = [first, schedules, metrics, limits, NotificationTriggers.migration, builds, times, truths]

    /// The newest format.
    static var format: Int { migrations.count }

    /// Jobs that are made of batches at times of a schedule, and runs that wait for their next attempt.
    private static let schedules = """
        ALTER TABLE jobs ADD COLUMN schedule TEXT;
        ALTER TABLE jobs ADD COLUMN batches INTEGER NOT NULL DEFAULT 1 CHECK (batches >= 0);
        ALTER TABLE jobs ADD COLUMN batch_size INTEGER CHECK (batch_size > 0);
        ALTER TABLE jobs ADD COLUMN batches_queue INTEGER NOT NULL DEFAULT 0 CHECK (batches_queue IN (0, 1));
        ALTER TABLE jobs ADD COLUMN next_ms INTEGER;
        ALTER TABLE jobs ADD COLUMN next_decided_ms INTEGER;
        ALTER TABLE jobs ADD COLUMN retry_delay_seconds REAL CHECK (retry_delay_seconds >= 0);
        ALTER TABLE jobs ADD COLUMN retry_on TEXT;
        ALTER TABLE runs ADD COLUMN not_before_ms INTEGER;

        CREATE INDEX jobs_with_schedule ON jobs (next_ms) WHERE next_ms IS NOT NULL;
        CREATE INDEX runs_to_retry ON runs (not_before_ms) WHERE not_before_ms IS NOT NULL AND state = 'pending';
        """

    /// What runs measured, so that lists do not read a file a run.
    private static let metrics =
        "ALTER TABLE runs ADD COLUMN metrics TEXT CHECK (metrics IS NULL OR json_valid(metrics));"

    /// The builds of environments that jobs pinned, so that nobody reads a document a job to tell who needs one.
    private static let builds = "ALTER TABLE jobs ADD COLUMN builds TEXT;"

    /// The time of a schedule for which a run was made; and runs that wait have no start any more.
    private static let times = """
        ALTER TABLE runs ADD COLUMN scheduled_ms INTEGER;
        UPDATE runs SET started_ms = NULL WHERE state = 'pending';
        """

    /// Times of a schedule for which nothing was made, because runs went on; and how an attempt failed of a run that
    /// waits for another.
    private static let truths = """
        ALTER TABLE runs ADD COLUMN failure TEXT;
        ALTER TABLE runs ADD COLUMN failure_started_ms INTEGER;
        ALTER TABLE runs ADD COLUMN failure_finished_ms INTEGER CHECK (failure IS NULL OR failure_finished_ms IS NOT NULL);
        ALTER TABLE jobs ADD COLUMN skipped_times INTEGER NOT NULL DEFAULT 0 CHECK (skipped_times >= 0);
        ALTER TABLE jobs ADD COLUMN skipped_ms INTEGER;
        """

    /// Limits of time of runs and jobs, and runs of which only what tells of them is kept.
    private static let limits = """
        ALTER TABLE jobs ADD COLUMN run_timeout_seconds REAL CHECK (run_timeout_seconds > 0);
        ALTER TABLE jobs ADD COLUMN job_timeout_seconds REAL CHECK (job_timeout_seconds > 0);
        ALTER TABLE jobs ADD COLUMN keep_logs INTEGER NOT NULL DEFAULT 0 CHECK (keep_logs IN (0, 1));
        ALTER TABLE jobs ADD COLUMN clock_ms INTEGER;
        ALTER TABLE jobs ADD COLUMN timed_out_ms INTEGER;
        ALTER TABLE runs ADD COLUMN files_removed_ms INTEGER;

        CREATE INDEX jobs_with_clock ON jobs (clock_ms) WHERE job_timeout_seconds IS NOT NULL AND clock_ms IS NOT NULL;
        CREATE INDEX runs_with_files ON runs (job, number) WHERE finished_ms IS NOT NULL AND files_removed_ms IS NULL;
        """

    private static let first = """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY,
            uuid TEXT NOT NULL UNIQUE CHECK (length(uuid) = 36),
            owner INTEGER NOT NULL CHECK (owner >= 0),
            name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255 AND instr(name, '/') = 0),
            state TEXT NOT NULL
                CHECK (state IN ('draft', 'pending', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
            project_path TEXT NOT NULL,
            project_name TEXT NOT NULL,
            pipeline_path TEXT NOT NULL,
            pipeline_name TEXT NOT NULL,
            policy_name TEXT NOT NULL,
            max_parallel INTEGER CHECK (max_parallel > 0),
            timeout_seconds REAL CHECK (timeout_seconds > 0),
            stop_on_failure INTEGER NOT NULL CHECK (stop_on_failure IN (0, 1)),
            retries INTEGER NOT NULL CHECK (retries >= 0),
            keep INTEGER CHECK (keep >= 0),
            created_ms INTEGER NOT NULL,
            started_ms INTEGER,
            finished_ms INTEGER,
            cancelled_ms INTEGER,
            next_number INTEGER NOT NULL DEFAULT 0 CHECK (next_number >= 0),
            pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
            running INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
            succeeded INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
            failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
            cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
            skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
            removed INTEGER NOT NULL DEFAULT 0 CHECK (removed >= 0),
            UNIQUE (owner, name),
            CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_ms IS NOT NULL))
        ) STRICT;

        CREATE INDEX jobs_with_work ON jobs (running, id) WHERE state IN ('pending', 'running') AND pending > 0;
        CREATE INDEX jobs_being_executed ON jobs (running) WHERE running > 0;

        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            number INTEGER NOT NULL CHECK (number >= 0),
            state TEXT NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
            is_cancelled INTEGER NOT NULL DEFAULT 0 CHECK (is_cancelled IN (0, 1)),
            attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
            failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
            losses INTEGER NOT NULL DEFAULT 0 CHECK (losses BETWEEN 0 AND failures),
            label TEXT NOT NULL,
            parameters TEXT NOT NULL,
            verdict TEXT,
            started_ms INTEGER,
            finished_ms INTEGER,
            UNIQUE (job, number),
            CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'skipped')) = (finished_ms IS NOT NULL)),
            CHECK (state <> 'running' OR started_ms IS NOT NULL)
        ) STRICT;

        CREATE INDEX runs_by_state ON runs (job, state, number);

        CREATE TABLE steps (
            run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            uuid TEXT NOT NULL,
            title TEXT NOT NULL,
            position INTEGER NOT NULL CHECK (position >= 0),
            attempt INTEGER NOT NULL CHECK (attempt > 0),
            state TEXT NOT NULL
                CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
            verdict TEXT,
            usage TEXT,
            started_ms INTEGER,
            finished_ms INTEGER,
            PRIMARY KEY (run, uuid)
        ) STRICT, WITHOUT ROWID;

        CREATE TRIGGER run_made AFTER INSERT ON runs BEGIN
            UPDATE jobs SET
                next_number = max(next_number, NEW.number + 1),
                pending = pending + (NEW.state = 'pending'),
                running = running + (NEW.state = 'running'),
                succeeded = succeeded + (NEW.state = 'succeeded'),
                failed = failed + (NEW.state = 'failed'),
                cancelled = cancelled + (NEW.state = 'cancelled'),
                skipped = skipped + (NEW.state = 'skipped')
            WHERE id = NEW.job;
        END;

        CREATE TRIGGER run_changed AFTER UPDATE OF state ON runs WHEN OLD.state <> NEW.state BEGIN
            UPDATE jobs SET
                pending = pending + (NEW.state = 'pending') - (OLD.state = 'pending'),
                running = running + (NEW.state = 'running') - (OLD.state = 'running'),
                succeeded = succeeded + (NEW.state = 'succeeded') - (OLD.state = 'succeeded'),
                failed = failed + (NEW.state = 'failed') - (OLD.state = 'failed'),
                cancelled = cancelled + (NEW.state = 'cancelled') - (OLD.state = 'cancelled'),
                skipped = skipped + (NEW.state = 'skipped') - (OLD.state = 'skipped')
            WHERE id = NEW.job;
        END;

        CREATE TRIGGER run_deleted AFTER DELETE ON runs BEGIN
            UPDATE jobs SET removed = removed + 1 WHERE id = OLD.job;
        END;
        """
}
