import GRDB
import Glibc
import Synchronization

/// The index of all jobs, runs and steps, and the queue of runs, in one SQLite file.
///
/// Every method is one transaction: it happens whole or not at all, also when the process is killed. Any number of
/// processes may use one file at once; they wait for each other. Methods block the calling thread, so none is for
/// the cooperative pool.
package final class JobDatabase: Sendable {
    /// What is looked at when a database is opened.
    package enum OpeningCheck: Sendable {
        /// Its format only.
        case format
        /// Its format, and every page of it.
        case everyPage
    }

    /// How a transaction is written.
    enum Durability: String {
        /// A power failure may undo it; the run directories tell it again.
        case whenWritten = "NORMAL"
        /// It outlives a power failure.
        case synced = "FULL"

        /// The number by which SQLite knows it as well.
        fileprivate var level: Int {
            switch self {
            case .whenWritten: 1
            case .synced: 2
            }
        }
    }

    /// The file.
    package let path: String

    /// Nil where each use has a connection of its own, and the file alone: there is no room for what processes share.
    private let queue: DatabaseQueue?
    private let isClosed = Atomic(false)
    /// The level of durability that the connection has, which only the code within its queue looks at; -1 is its own.
    private let current = Atomic(-1)
    /// How often somebody has asked for changes by others where that cannot be told.
    private let questions = Atomic<Int64>(0)

    /// Opens the database at `path`, which is made if it is not there; its directory must exist.
    package init(path: String, check: OpeningCheck = .format) throws(JobStorageError) {
        self.path = path
        queue = try Self.shared(path: path)
        // Before anything is written: the file may be of a newer version, or none of ours.
        try checkFormat()
        // SQLite does not wait for locks when it changes the journal, so this may need several tries.
        try outsideTransaction { try $0.execute(sql: "PRAGMA journal_mode = WAL") }
        try migrate()
        if check == .everyPage { try checkEveryPage() }
    }

    /// A connection for as long as the database is used; nil on a full disk, where nothing can be shared.
    private static func shared(path: String) throws(JobStorageError) -> DatabaseQueue? {
        do throws(JobStorageError) {
            // The first look is part of it: for that the file is made by which processes tell each other of the log.
            return try waiting(path: path) { try DatabaseQueue(path: path, configuration: configuration) }
        } catch .full {
            return nil
        }
    }

    /// Uses the connection, or one that has the file to itself for that long.
    private func using<Result>(_ body: (Database) throws -> Result) throws -> Result {
        if let queue { return try queue.inDatabase(body) }
        let alone = try DatabaseQueue(path: path, configuration: Self.alone)
        // It is gone in any case, and what it wrote was committed before.
        defer { try? alone.close() }
        current.store(-1, ordering: .relaxed)
        return try alone.inDatabase(body)
    }

    /// Nothing but the file and its log is needed: what processes share is in memory, for one at a time (`locking_mode`).
    private static var alone: Configuration {
        var configuration = configuration
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    /// Opens the database at `path` for reading alone: nothing of it is made, migrated or written.
    package init(reading path: String) throws(JobStorageError) {
        self.path = path
        var configuration = Self.configuration
        configuration.readonly = true
        let settings = configuration
        queue = try Self.waiting(path: path) { try DatabaseQueue(path: path, configuration: settings) }
        try checkFormat()
    }

    /// Closes the database; every use of it from then on fails.
    package func close() throws(JobStorageError) {
        isClosed.store(true, ordering: .sequentiallyConsistent)
        try Self.waiting(path: path) { try queue?.close() }
    }

    /// The library would hand a connection that is gone to SQLite.
    private func checkOpen() throws(JobStorageError) {
        if isClosed.load(ordering: .sequentiallyConsistent) { throw .unusable(path: path, detail: "it is closed") }
    }

    /// Reads in one consistent state.
    func reading<Result>(_ body: (Database) throws -> Result) throws(JobStorageError) -> Result {
        try checkOpen()
        return try Self.waiting(path: path) {
            // The library's own way switches the connection to reading alone and back, and SQLite forgets every statement
            // that was prepared whenever that changes (PRAGMA query_only).
            try using { database in
                var result: Result?
                try database.inTransaction(.deferred) {
                    result = try body(database)
                    return .commit
                }
                guard let result else { throw JobStorageError.busy(path: path) }
                return result
            }
        }
    }

    /// Writes in one transaction; an error undoes all of it.
    ///
    /// `body` is called again when another process was faster.
    func writing<Result>(
        _ durability: Durability = .whenWritten,
        _ body: (Database) throws -> Result
    ) throws(JobStorageError) -> Result {
        try checkOpen()
        return try Self.waiting(path: path) {
            try using { database in
                if current.load(ordering: .relaxed) != durability.level {
                    try database.execute(sql: "PRAGMA synchronous = \(durability.rawValue)")
                    current.store(durability.level, ordering: .relaxed)
                }
                var result: Result?
                // Immediate, so that waiting happens before anything was read that could become stale.
                try database.inTransaction(.immediate) {
                    result = try body(database)
                    return .commit
                }
                guard let result else { throw JobStorageError.busy(path: path) }
                return result
            }
        }
    }

    /// A number that is another one after every change by somebody else (PRAGMA data_version); asking costs next to nothing.
    package func changesByOthers() throws(JobStorageError) -> Int64 {
        try checkOpen()
        // A new connection has seen no change: there may always have been one.
        guard let queue else { return questions.add(1, ordering: .relaxed).newValue }
        return try Self.waiting(path: path) {
            try queue.inDatabase { try Int64.fetchOne($0, sql: "PRAGMA data_version") ?? 0 }
        }
    }

    /// Does what cannot be part of a transaction.
    func outsideTransaction(_ body: (Database) throws -> Void) throws(JobStorageError) {
        try checkOpen()
        try Self.waiting(path: path) { try using(body) }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.label = "cloche.jobs"
        return configuration
    }

    /// Calls `body` until it meets no lock of another process, for half a minute at most.
    private static func waiting<Result>(
        path: String,
        _ body: () throws -> Result
    ) throws(JobStorageError) -> Result {
        let deadline = ContinuousClock.now + .seconds(30)
        var pause: UInt32 = 1000
        while true {
            do {
                return try body()
            } catch let error as JobStorageError {
                throw error
            } catch let error as DatabaseError where error.isLock && ContinuousClock.now < deadline {
                usleep(pause)
                pause = min(pause * 2, 100_000)
            } catch {
                throw JobStorageError(error, path: path)
            }
        }
    }
}

extension DatabaseError {
    /// Whether another process, or a change by one, was in the way.
    fileprivate var isLock: Bool {
        resultCode == .SQLITE_BUSY || resultCode == .SQLITE_LOCKED || resultCode == .SQLITE_PROTOCOL
    }
}

extension JobStorageError {
    /// What an error of the database library means for its user.
    init(_ error: any Error, path: String) {
        guard let error = error as? DatabaseError else {
            // Rows that do not fit their types: the schema forbids them, so the file was changed by something else.
            self = .corrupted(path: path, detail: "\(error)")
            return
        }
        let detail = error.message ?? "result \(error.resultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_CONSTRAINT, .SQLITE_ERROR, .SQLITE_SCHEMA:
            self = .corrupted(path: path, detail: detail)
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_PROTOCOL:
            self = .busy(path: path)
        case .SQLITE_FULL:
            self = .full(path: path)
        // The file beside it that processes share is made by writing a byte to each of its pages.
        case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            self = .full(path: path)
        default:
            self = .unusable(path: path, detail: detail)
        }
    }
}
