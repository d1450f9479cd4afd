import GRDB
package import Isolation
package import Jobs

extension JobDatabase {
    /// How many notifications that are over are kept.
    package static let keptNotifications = 1000

    /// The longest time for which a notifier is left alone for one that it has not taken, in milliseconds.
    private static let longestRest: Int64 = 60_000

    /// Takes over who is told of what; what waits for somebody who is gone is given up.
    package func set(_ notifiers: [Notifier], at time: Timestamp) throws(JobStorageError) {
        let wanted = try notifiers.map { notifier throws(JobStorageError) -> NotifierRow in
            do {
                return NotifierRow(
                    name: notifier.name, events: try jsonText(notifier.events) ?? "[]",
                    jobs: try jsonText(notifier.jobPatterns) ?? "[]")
            } catch {
                throw .corrupted(path: path, detail: "a notifier cannot be written")
            }
        }
        let known = try reading { database in
            try Row.fetchAll(database, sql: "SELECT name, events, jobs FROM notifiers").map {
                NotifierRow(name: try $0.value("name"), events: try $0.value("events"), jobs: try $0.value("jobs"))
            }
        }
        if Set(known) == Set(wanted) { return }
        try writing(.synced) { database in
            try database.execute(sql: "DELETE FROM notifiers")
            for row in wanted {
                try database.execute(
                    sql: "INSERT INTO notifiers (name, events, jobs) VALUES (?, ?, ?)",
                    arguments: [row.name, row.events, row.jobs])
            }
            try database.execute(
                sql: """
                    UPDATE notifications SET state = 'given-up', due_ms = NULL, finished_ms = ?,
                        answer = 'whom it was for was removed'
                    WHERE state = 'waiting' AND notifier NOT IN (SELECT name FROM notifiers)
                    """, arguments: [time.milliseconds])
        }
    }

    /// When the next notification is to be delivered, to one notifier or to any; nil when none waits.
    package func nextNotificationTime(of notifier: String? = nil) throws(JobStorageError) -> Timestamp? {
        try reading { database in
            let sql = "SELECT min(due_ms) FROM notifications WHERE due_ms IS NOT NULL"
            let statement = try database.cachedStatement(sql: notifier == nil ? sql : sql + " AND notifier = ?")
            return try Int64.fetchOne(statement, arguments: StatementArguments(notifier.map { [$0] } ?? [])).map(
                Timestamp.init(milliseconds:))
        }
    }

    /// The notifiers to whom something is to be delivered at `time`, whoever has waited for longest first.
    package func dueNotifiers(at time: Timestamp) throws(JobStorageError) -> [String] {
        try reading { database in
            let sql = """
                SELECT notifier FROM notifications WHERE due_ms IS NOT NULL AND due_ms <= ?
                GROUP BY notifier ORDER BY min(id)
                """
            return try String.fetchAll(database, sql: sql, arguments: [time.milliseconds])
        }
    }

    /// The oldest notification that is to be delivered at `time`, to one notifier or to any; nil when there is none.
    package func nextNotification(
        of notifier: String? = nil, at time: Timestamp
    ) throws(JobStorageError) -> NotificationRecord? {
        try reading { database in
            let sql = """
                SELECT * FROM notifications
                WHERE due_ms IS NOT NULL AND due_ms <= :time AND (:notifier IS NULL OR notifier = :notifier)
                ORDER BY id LIMIT 1
                """
            let values: StatementArguments = ["time": time.milliseconds, "notifier": notifier]
            return try Row.fetchOne(database, sql: sql, arguments: values).map(NotificationRecord.init(row:))
        }
    }

    /// Notes that the delivery of a notification is tried once more.
    ///
    /// If nobody tells what came of it, it is due again at `retry`. What it tells of outlives a power failure from here on.
    package func beginDelivery(of sequence: Int64, retryAt retry: Timestamp) throws(JobStorageError) {
        try writing(.synced) { database in
            try database.execute(
                sql: "UPDATE notifications SET attempts = attempts + 1, due_ms = ? WHERE id = ? AND state = 'waiting'",
                arguments: [retry.milliseconds, sequence])
        }
    }

    /// Notes what came of a delivery: it is over as `state`, or, where that is waiting, due again at `retry`.
    ///
    /// All else for the same notifier then waits until that time too, for a minute at most.
    package func endDelivery(
        of record: NotificationRecord, as state: NotificationRecord.State, answer: String, retryAt retry: Timestamp,
        at time: Timestamp
    ) throws(JobStorageError) {
        try writing(.synced) { database in
            let isOver = state != .waiting
            try database.execute(
                sql: """
                    UPDATE notifications SET state = ?, due_ms = ?, finished_ms = ?, answer = ?
                    WHERE id = ? AND state = 'waiting'
                    """,
                arguments: [
                    state.rawValue, isOver ? nil : retry.milliseconds, isOver ? time.milliseconds : nil, answer,
                    record.sequence,
                ])
            if !isOver {
                // Who does not answer is not asked for each of them; nor does one that is never taken keep back the others.
                let others = min(retry.milliseconds, time.milliseconds + Self.longestRest)
                try database.execute(
                    sql: "UPDATE notifications SET due_ms = ? WHERE due_ms < ? AND notifier = ? AND id <> ?",
                    arguments: [others, others, record.notifier, record.sequence])
            }
        }
    }

    /// Adds a notification that has been delivered, or was not, as an example.
    package func add(_ record: NotificationRecord) throws(JobStorageError) {
        try writing { database in
            try database.execute(
                sql: """
                    INSERT INTO notifications (uuid, notifier, event, job, run, facts, created_ms, attempts, state, due_ms,
                        finished_ms, answer)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    record.id, record.notifier, record.event, record.job, record.run, record.facts,
                    record.time.milliseconds, record.attempts, record.state.rawValue, record.due?.milliseconds,
                    record.finished?.milliseconds, record.answer,
                ])
        }
    }

    /// The newest notifications, of one notifier or of all, the newest first.
    package func notifications(
        of notifier: String? = nil, limit: Int
    ) throws(JobStorageError) -> [NotificationRecord] {
        try reading { database in
            let sql = """
                SELECT * FROM notifications WHERE (:notifier IS NULL OR notifier = :notifier)
                ORDER BY id DESC LIMIT :limit
                """
            let values: StatementArguments = ["notifier": notifier, "limit": limit]
            return try Row.fetchAll(database, sql: sql, arguments: values).map(NotificationRecord.init(row:))
        }
    }

    /// How many notifications wait for each notifier.
    package func waitingNotifications() throws(JobStorageError) -> [String: Int] {
        try reading { database in
            let sql = "SELECT notifier, count(*) AS count FROM notifications WHERE due_ms IS NOT NULL GROUP BY notifier"
            let rows = try Row.fetchAll(database, sql: sql)
            return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.value("notifier"), try $0.value("count")) })
        }
    }

    /// Forgets all but the newest notifications that are over.
    package func forgetOldNotifications() throws(JobStorageError) {
        try writing { database in
            try database.execute(
                sql: """
                    DELETE FROM notifications WHERE due_ms IS NULL AND id <= (
                        SELECT id FROM notifications WHERE due_ms IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?
                    )
                    """, arguments: [Self.keptNotifications])
        }
    }
}

private struct NotifierRow: Hashable {
    var name: String, events: String, jobs: String
}

extension NotificationRecord {
    /// The record in a row of `notifications`.
    fileprivate init(row: Row) throws {
        self.init(
            id: try row.value("uuid"), notifier: try row.value("notifier"), event: try row.value("event"),
            job: try row.value("job"), run: try row.optional("run"), facts: try row.value("facts"),
            time: Timestamp(milliseconds: try row.value("created_ms")))
        sequence = try row.value("id")
        attempts = try row.value("attempts")
        state = try row.parsed("state", State.init(rawValue:))
        due = try row.timestamp("due_ms")
        finished = try row.timestamp("finished_ms")
        answer = try row.optional("answer")
    }
}
