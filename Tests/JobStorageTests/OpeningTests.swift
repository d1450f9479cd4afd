import FoundationEssentials
import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Opening the database") struct OpeningTests {
    /// Makes a database with `runs` runs, and closes it.
    private func made(_ scratch: Scratch, runs: Int = 3) throws {
        let database = try JobDatabase(path: scratch.path)
        try database.add(document(), runs: runs)
        try database.close()
    }

    private func error(_ scratch: Scratch, check: JobDatabase.OpeningCheck = .format) throws -> JobStorageError {
        try #require(#expect(throws: JobStorageError.self) { try JobDatabase(path: scratch.path, check: check) })
    }

    @Test func `what was written is there after closing, in one file`() throws {
        try Scratch.with { scratch in
            try made(scratch)
            #expect(try scratch.names == ["cloche.db"])
            let database = try JobDatabase(path: scratch.path, check: .everyPage)
            #expect(try database.states(id(1)) == [.pending, .pending, .pending])
            try database.close()
        }
    }

    /// In processes of their own: a use of a closed connection may end the process that makes it.
    @Test func `reading from a database that was closed fails`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        await #expect(processExitsWith: .success) { [path = scratch.path as String] in
            let database = try JobDatabase(path: path)
            try database.close()
            #expect(throws: JobStorageError.self) { try database.jobs() }
        }
    }

    @Test func `writing to a database that was closed fails`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        await #expect(processExitsWith: .success) { [path = scratch.path as String] in
            let database = try JobDatabase(path: path)
            try database.close()
            #expect(throws: JobStorageError.self) { try database.claim() }
        }
    }

    @Test func `an empty file is a new database`() throws {
        try Scratch.with { scratch in
            try scratch.write([])
            #expect(try JobDatabase(path: scratch.path).jobs().isEmpty)
        }
    }

    @Test func `a database of a newer version is refused and not touched`() throws {
        try Scratch.with { scratch in
            try made(scratch)
            // The field of the header that holds the format (user_version).
            try scratch.damage { $0.replaceSubrange(60..<64, with: [0, 0, 3, 0xE7]) }
            let before = try scratch.bytes()
            let error = try error(scratch)
            guard case .newerFormat(scratch.path, found: 999, _) = error else {
                Issue.record(error)
                return
            }
            #expect(error.description.contains("is of format 999"))
            #expect(
                error.hint?.contains("use the newer cloche") == true
                    && error.hint?.contains("`cloche system reindex`") == true)
            #expect(try scratch.bytes() == before)
            #expect(try scratch.names == ["cloche.db"])
        }
    }

    @Test func `the database of another program is refused and not touched`() throws {
        try Scratch.with { scratch in
            try made(scratch)
            // The field of the header that names the program (application_id).
            try scratch.damage { $0.replaceSubrange(68..<72, with: [0x47, 0x50, 0x4B, 0x47]) }
            let before = try scratch.bytes()
            let error = try error(scratch)
            #expect(error == .foreign(path: scratch.path))
            #expect(error.hint == "move the file away, then run `cloche system reindex`")
            #expect(try scratch.bytes() == before)
        }
    }

    @Test(arguments: [
        Array("Dear diary, ".utf8), Array(repeating: 0, count: 8192), Array("SQLite format 3\u{0}".utf8),
        Array("SQLite format 3\u{0}".utf8) + Array(repeating: 0xFF, count: 8176),
        Array(String(repeating: "never a database\n", count: 1000).utf8),
    ])
    func `a file that is no database is refused, and it is said what to do`(bytes: [UInt8]) throws {
        try Scratch.with { scratch in
            try scratch.write(bytes)
            let error = try error(scratch)
            guard case .corrupted(scratch.path, _) = error else {
                Issue.record(error)
                return
            }
            #expect(error.description.contains("is damaged: "))
            #expect(error.hint == "rebuild it from the run directories with `cloche system reindex`")
            #expect(try scratch.bytes() == bytes)
        }
    }

    @Test func `a database that was cut off is refused`() throws {
        try Scratch.with { scratch in
            try made(scratch, runs: 500)
            try scratch.damage { $0.removeLast($0.count / 2) }
            guard case .corrupted = try error(scratch, check: .everyPage) else {
                Issue.record("another error")
                return
            }
        }
    }

    @Test func `damage in the middle is found by looking at every page, and never taken for an answer`() throws {
        try Scratch.with { scratch in
            try made(scratch, runs: 3000)
            try scratch.damage { bytes in
                for page in 60..<bytes.count / 4096 {
                    bytes.replaceSubrange(page * 4096..<page * 4096 + 64, with: Array(repeating: 0xFF, count: 64))
                }
            }
            let error = try error(scratch, check: .everyPage)
            #expect(error.hint?.contains("`cloche system reindex`") == true)
            let database = try JobDatabase(path: scratch.path)
            let use = #expect(throws: JobStorageError.self) { try database.runs(of: id(1), limit: 3000) }
            guard case .corrupted? = use else {
                Issue.record("\(String(describing: use))")
                return
            }
        }
    }

    /// Bytes that were changed anywhere give an error or an answer, but end no process.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `no damage ends the process`(seed: UInt64) throws {
        try Scratch.with { scratch in
            try made(scratch, runs: 40)
            let job = id(1)
            var generator = SeededGenerator(state: seed)
            try scratch.damage { bytes in
                for _ in 0..<Int.random(in: 1...30, using: &generator) {
                    let place = Int.random(in: bytes.indices, using: &generator)
                    bytes[place] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            do throws(JobStorageError) {
                let database = try JobDatabase(path: scratch.path)
                for job in try database.jobs() { _ = try database.runs(of: job.uuid) }
                _ = try database.claimNextRun(limit: 10, at: time(1))
                _ = try database.runningRuns()
                try database.apply(.cancel, to: job, at: time(2))
            } catch {
                #expect(error.hint != nil)
                #expect(error != .busy(path: scratch.path))
            }
        }
    }

    @Test func `a place where no database can be is told`() throws {
        try Scratch.with { scratch in
            for path in [scratch.directory, scratch.directory + "/missing/cloche.db", "/proc/cloche.db"] {
                let error = try #require(#expect(throws: JobStorageError.self) { try JobDatabase(path: path) })
                guard case .unusable(path, _) = error else {
                    Issue.record(error)
                    continue
                }
                #expect(error.hint == "check that the directory exists, and that its owner runs this command")
            }
        }
    }
}
