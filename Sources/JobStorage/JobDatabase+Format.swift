import GRDB
import Glibc

extension JobDatabase {
    /// Refuses a file that is not ours, or of a newer format, without touching it.
    func checkFormat() throws(JobStorageError) {
        _ = try reading { database in try format(database) }
    }

    /// Brings the database to the newest format.
    func migrate() throws(JobStorageError) {
        let isCurrent = try reading { database in try format(database) == DatabaseSchema.format }
        if isCurrent { return }
        try keepCopy()
        try writing(.synced) { database in
            let found = try format(database)
            for text in DatabaseSchema.migrations.dropFirst(found) { try database.execute(sql: text) }
            try database.execute(sql: "PRAGMA application_id = \(DatabaseSchema.applicationID)")
            try database.execute(sql: "PRAGMA user_version = \(DatabaseSchema.format)")
        }
    }

    /// Copies a database of an older format to `cloche.db.before-N`, N being the format that it is brought to.
    ///
    /// A copy from before is replaced. Nothing is copied where there is nothing yet.
    private func keepCopy() throws(JobStorageError) {
        let found = try reading { database in try format(database) }
        if found == 0 { return }
        let draft = "\(path).copying-\(getpid())"
        unlink(draft)
        defer { unlink(draft) }
        do throws(JobStorageError) {
            try copy(to: draft)
        } catch .full {
            throw .full(path: draft)
        }
        // Another process may have been faster: then the copy is of the new format already.
        guard try Self.format(ofFile: draft) == found else { return }
        guard Glibc.rename(draft, "\(path).before-\(DatabaseSchema.format)") == 0 else {
            throw .unusable(path: draft, detail: String(cString: strerror(errno)))
        }
        try Self.syncDirectory(of: path)
    }

    /// Waits until the names in the directory of a file are on the disk.
    static func syncDirectory(of path: String) throws(JobStorageError) {
        let end = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let descriptor = open(end.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw .unusable(path: path, detail: String(cString: strerror(errno)))
        }
    }

    /// Writes a copy of the database, in one consistent state and without holes, to a file that must not exist.
    package func copy(to file: String) throws(JobStorageError) {
        // VACUUM is no part of a transaction, and waits for nobody who reads or writes.
        try outsideTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [file]) }
        let descriptor = open(file, O_RDWR | O_CLOEXEC)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0, fchmod(descriptor, 0o600) == 0 else {
            throw .unusable(path: file, detail: String(cString: strerror(errno)))
        }
    }

    /// The format that the header of a database file tells: a number of four bytes, the highest first.
    private static func format(ofFile path: String) throws(JobStorageError) -> Int {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        var bytes: [UInt8] = [0, 0, 0, 0]
        guard descriptor >= 0, pread(descriptor, &bytes, 4, 60) == 4 else {
            throw .unusable(path: path, detail: "it cannot be read")
        }
        return bytes.reduce(0) { $0 << 8 | Int($1) }
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
