import GRDB

extension JobDatabase {
    /// Refuses a file that is not ours, or of a newer format, without touching it.
    func checkFormat() throws(JobStorageError) {
        _ = try reading { database in try format(database) }
    }

    /// Brings the database to the newest format.
    func migrate() throws(JobStorageError) {
        let isCurrent = try reading { database in try format(database) == DatabaseSchema.format }
        if isCurrent { return }
        try writing(.synced) { database in
            let found = try format(database)
            for text in DatabaseSchema.migrations.dropFirst(found) { try database.execute(sql: text) }
            try database.execute(sql: "PRAGMA application_id = \(DatabaseSchema.applicationID)")
            try database.execute(sql: "PRAGMA user_version = \(DatabaseSchema.format)")
        }
    }

    /// Looks at every page of the file.
    func checkEveryPage() throws(JobStorageError) {
        let problem = try reading { database in
            try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
        }
        guard problem == "ok" else { throw .corrupted(path: path, detail: problem) }
    }

    /// The format of the file; 0 is a new one.
    private func format(_ database: Database) throws -> Int {
        let format = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let application = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let isEmpty = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") == 0
        if format == 0 && application == 0 && isEmpty { return 0 }
        guard application == DatabaseSchema.applicationID, format > 0 else { throw JobStorageError.foreign(path: path) }
        guard format <= DatabaseSchema.format else {
            throw JobStorageError.newerFormat(path: path, found: format, known: DatabaseSchema.format)
        }
        return format
    }
}
