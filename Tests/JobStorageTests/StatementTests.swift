import GRDB
import Synchronization
import Testing

@testable import JobStorage

@Suite("What a database is asked") struct StatementTests {
    /// The text of everything that a database executes.
    private final class Trace: Sendable {
        private let lines = Mutex<[String]>([])

        init(_ database: JobDatabase) throws {
            try database.outsideTransaction { database in
                database.trace { event in self.lines.withLock { $0.append("\(event)") } }
            }
        }

        func take() -> [String] { lines.withLock { lines in exchange(&lines, for: []) } }

        private func exchange(_ lines: inout [String], for new: [String]) -> [String] {
            defer { lines = new }
            return lines
        }
    }

    @Test func `reading changes no setting, which would make SQLite forget what it has prepared`() throws {
        try Scratch.with { scratch in
            let database = try JobDatabase(path: scratch.path)
            let trace = try Trace(database)
            #expect(try database.runningRuns().isEmpty)
            let asked = trace.take()
            #expect(asked.contains { $0.contains("FROM runs") })
            #expect(!asked.contains { $0.contains("PRAGMA") }, "\(asked)")
        }
    }

    @Test func `a transaction is as durable as it was asked to be, and what is so already is not asked again`() throws {
        try Scratch.with { scratch in
            let database = try JobDatabase(path: scratch.path)
            let trace = try Trace(database)
            var asked: [[String]] = []
            for durability in [JobDatabase.Durability.whenWritten, .whenWritten, .synced, .synced, .whenWritten] {
                try database.writing(durability) { _ in }
                asked.append(trace.take().filter { $0.contains("PRAGMA") })
            }
            let normal = ["PRAGMA synchronous = NORMAL"], full = ["PRAGMA synchronous = FULL"]
            #expect(asked == [normal, [], full, [], normal] || asked == [[], [], full, [], normal], "\(asked)")
        }
    }
}
