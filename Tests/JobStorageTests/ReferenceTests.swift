import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Finding jobs by what was typed") struct ReferenceTests {
    private func with(_ body: (JobDatabase) throws -> Void) throws {
        try withDatabase { database in
            try database.add(document(0xABCD_0001, name: "train"), runs: 2)
            try database.add(document(0xABCD_0002, name: "report"))
            try database.add(document(0xABEE_0003, name: "abcd", owner: 7))
            try database.add(document(0x1234_5678, name: "train", owner: 7))
            try body(database)
        }
    }

    private func find(_ database: JobDatabase, _ text: String, owner: UInt32? = nil) throws -> JobID {
        try database.job(matching: RunReference(text).job, owner: owner).uuid
    }

    @Test(
        arguments: [
            ("report", nil, 0xABCD_0002), ("train", 1000, 0xABCD_0001), ("train/1", 7, 0x1234_5678),
            ("abe", nil, 0xABEE_0003), ("1", nil, 0x1234_5678),
            ("12345678-0000-4000-8000-000000000000", nil, 0x1234_5678),
            ("@last", nil, 0x1234_5678), ("@last", 1000, 0xABCD_0002),
            // A name means the job that has it, though it also begins an identity.
            ("abcd", nil, 0xABEE_0003), ("abcd", 1000, nil), ("abcd0001", nil, 0xABCD_0001),
        ] as [(String, UInt32?, UInt32?)])
    func `a job is found by its name, and by the beginning of its identity`(
        text: String, owner: UInt32?, expected: UInt32?
    ) throws {
        try with { database in
            guard let expected else {
                #expect(throws: JobStorageError.self) { try find(database, text, owner: owner) }
                return
            }
            let found = try find(database, text, owner: owner)
            #expect(found == id(expected))
        }
    }

    @Test func `what means several jobs is refused with all of them`() throws {
        try with { database in
            let names = try #require(#expect(throws: JobStorageError.self) { try find(database, "train") })
            #expect(names.description == "`train` matches 2 jobs")
            let beginnings = try #require(#expect(throws: JobStorageError.self) { try find(database, "abc") })
            let candidates = [id(0xABCD_0002).description + " (report)", id(0xABCD_0001).description + " (train)"]
            #expect(beginnings == .ambiguous("abc", candidates: candidates))
            for candidate in candidates { #expect(beginnings.hint?.contains(candidate) == true) }
        }
    }

    @Test(arguments: [
        ("trian", "`train`"), ("tran", "`train`"), ("Train", "`train`"), ("rep", "`report`"), ("raport", "`report`"),
    ])
    func `a name that nothing has is answered with the nearest`(text: String, nearest: String) throws {
        try with { database in
            let error = try #require(#expect(throws: JobStorageError.self) { try find(database, text, owner: 1000) })
            #expect(error.description == "no job matches `\(text)`")
            #expect(error.hint == "did you mean \(nearest)?")
        }
    }

    @Test(arguments: [
        "nothing like it", "%", "_____", "' OR 1=1 --", "ABCD0001", "abcd0001-0000-4000-8000-0000000000000", "g", "-",
    ])
    func `what means no job is not found`(text: String) throws {
        try with { database in
            let error = try #require(#expect(throws: JobStorageError.self) { try find(database, text) })
            #expect(error == .notFound(text, nearest: []))
            #expect(error.hint == "`cloche ls` lists the jobs")
        }
    }

    @Test func `hostile texts are bounded and shown safely`() throws {
        try with { database in
            for text in ["\u{1B}]0;x\u{7}", "a\u{202E}b", String(repeating: "a", count: 8000)] {
                let error = try #require(#expect(throws: JobStorageError.self) { try find(database, text) })
                let shown = error.description + (error.hint ?? "")
                #expect(
                    !shown.unicodeScalars.contains { $0.properties.generalCategory == .control || $0 == "\u{202E}" })
                #expect(shown.count < 500)
            }
        }
    }

    @Test func `jobs of others are neither found nor proposed`() throws {
        try with { database in
            for text in ["report", "abcd0", "repor", "@last"] {
                let error = #expect(throws: JobStorageError.self) { try find(database, text, owner: 8) }
                #expect(error == .notFound(text, nearest: []))
            }
        }
    }

    @Test func `a run that the job does not have is refused with those that it has`() throws {
        try with { database in
            let job = try database.job(matching: .named("train"), owner: 1000)
            #expect(try database.run(1, of: job).address == RunAddress(job: job.uuid, number: 1))
            for number in [2, -1, .max] {
                let error = #expect(throws: JobStorageError.noSuchRun(job: "train", number: number, count: 2)) {
                    try database.run(number, of: job)
                }
                #expect(error?.description.hasSuffix("its runs are 0 to 1") == true)
                #expect(error?.hint?.contains("`cloche ls JOB`") == true)
            }
        }
    }

    @Test func `in an empty database nothing is the newest`() throws {
        try withDatabase { database in
            #expect(throws: JobStorageError.notFound("@last", nearest: [])) { try database.job(matching: .last) }
        }
    }
}
