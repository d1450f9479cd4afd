import Isolation
import Jobs
import Testing

@Suite("The job.json of a job") struct JobDocumentTests {
    private func text(_ change: (inout String) -> Void = { _ in }) throws -> String {
        var text = String(decoding: try Samples.document().bytes(), as: UTF8.self)
        change(&text)
        return text
    }

    private func error(_ text: String) throws -> JobDocumentError {
        try #require(#expect(throws: JobDocumentError.self) { try JobDocument(bytes: Array(text.utf8)) })
    }

    @Test func `a job is read as it was written`() throws {
        let document = try Samples.document()
        #expect(try JobDocument(bytes: document.bytes()) == document)
        var draft = document
        (draft.will, draft.options, draft.parameters.singleRun) = (JobWill(confirmed: nil), JobOptions(), nil)
        #expect(try JobDocument(bytes: draft.bytes()) == draft)
        var waiting = document
        waiting.batches = JobBatches(made: 12, times: [2: Samples.time(1), 11: Samples.time(2)])
        #expect(try JobDocument(bytes: waiting.bytes()) == waiting)
    }

    @Test func `equal jobs have equal bytes, which end with a newline`() throws {
        var first = try Samples.document()
        var second = first
        first.variables = [:]
        second.variables = [:]
        for name in ["A", "B", "C", "D", "E"] { first.variables[name] = "1" }
        for name in ["E", "D", "C", "B", "A"] { second.variables[name] = "1" }
        #expect(try first.bytes() == second.bytes())
        #expect(try first.bytes().last == UInt8(ascii: "\n"))
        second.variables["A"] = "2"
        #expect(try first.bytes() != second.bytes())
    }

    /// Other programs read this file, so its form must not change by chance.
    @Test func `the keys and forms are those that were promised`() throws {
        let text = try text()
        for line in [
            #""format" : 1,"#, #""created" : "2027-01-15T08:00:00.000Z","#, #""cancelled" : null,"#,
            #""max_parallel" : 2,"#, #""timeout_seconds" : 0.25"#, #""stop_on_failure" : true,"#,
            #""selection" : "0-3","#,
            #""single_run" : "{}""#, #""cancelled_runs" : "1","#, #""failed" : "2","#, #""skipped" : "0,3""#,
            #""uuid" : "\#(Samples.uuid)""#, #""path" : "/home/ada/churn""#,
        ] { #expect(text.contains(line), "\(line)") }
    }

    @Test func `keys that are not known are passed over`() throws {
        let more = try text { $0 = $0.replacing(#""format" : 1,"#, with: #""format" : 1, "colour" : {"deep": [1]},"#) }
        #expect(try JobDocument(bytes: Array(more.utf8)) == Samples.document())
    }

    @Test(arguments: [
        ("\"owner\" : 1000", "\"owned\" : 1000", "`owner` is missing"),
        ("\"owner\" : 1000", "\"owner\" : \"ada\"", "`owner` is of another type"),
        ("\"owner\" : 1000", "\"owner\" : null", "`owner` is null"),
        ("\"owner\" : 1000", "\"owner\" : -1", "`owner`"),
        ("nightly training", "nightly/training", "invalid job name `nightly/training`"),
        ("\"selection\" : \"0-3\"", "\"selection\" : \"3-0\"", "`parameters.selection`: invalid run numbers: `3-0`"),
        (Samples.uuid, "../../etc/passwd", "`uuid`: not a UUID"),
        ("2027-01-15T08:00:00.000Z", "tomorrow", "`created`: not a time"),
        ("\"max_parallel\" : 2", "\"max_parallel\" : 0", "`max_parallel` is not 1 to 10,000"),
        ("\"timeout_seconds\" : 0.25", "\"timeout_seconds\" : -1", "`timeout_seconds` is not above 0"),
        ("\"retries\" : 3", "\"retries\" : 1001", "`retries` is not 0 to 1,000"),
        ("\"keep\" : 10", "\"keep\" : -1", "`keep` is not 0 to 10,000,000"),
    ])
    func `a damaged job says what is wrong where`(old: String, new: String, reason: String) throws {
        let damaged = try text { $0 = $0.replacing(old, with: new) }
        #expect(damaged != (try text()), "the sample holds no \(old)")
        let error = try error(damaged)
        #expect(error.description.hasPrefix("the job cannot be read: "))
        #expect(error.description.contains(reason), "\(error.description)")
        #expect(error.hint == "restore the file from a backup, or remove the job")
    }

    @Test(arguments: ["", "x", "[]", "{", "null", "{}", #"{"format": "1"}"#, #"{"format": 1e300}"#])
    func `what is no job at all is refused`(text: String) throws {
        guard case .malformed = try error(text) else {
            Issue.record("\(text) is not told to be malformed")
            return
        }
    }

    @Test func `half a job is no job, wherever it was cut`() throws {
        let bytes = try Samples.document().bytes()
        for length in stride(from: 0, to: bytes.count - 2, by: 37) {
            #expect(throws: JobDocumentError.self) { try JobDocument(bytes: Array(bytes.prefix(length))) }
        }
    }

    @Test func `a job of another format is told apart before anything else of it is looked at`() throws {
        let newer = try error(#"{"format": 2, "name": 7}"#)
        #expect(newer == .otherFormat(2))
        #expect(newer.hint == "use the newer cloche that wrote it")
        let older = try error(#"{"format": 0}"#)
        #expect(older == .otherFormat(0))
        #expect(older.hint == "restore the file from a backup, or remove the job")
    }

    @Test func `hostile bytes are refused with a message that a terminal can show`() throws {
        let deep = #"{"format": 1, "name": "# + String(repeating: "[", count: 100_000)
        #expect(try error(deep).description.count < 400)
        let escaped = try error(try text { $0 = $0.replacing("nightly training", with: #"\u001b[31m\u0007"#) })
        #expect(!holdsControlCharacters(escaped.description))
        let huge = [UInt8](repeating: UInt8(ascii: " "), count: JobDocument.mostBytes + 1)
        let error = #expect(throws: JobDocumentError.tooLarge(huge.count)) { try JobDocument(bytes: huge) }
        #expect(error?.hint == "use fewer or shorter parameter values")
    }

    @Test func `a job that could not be read again is not written`() throws {
        var document = try Samples.document()
        document.options.timeoutSeconds = .nan
        #expect(throws: JobDocumentError.self) { try document.bytes() }
        document = try Samples.document()
        document.parameters.grid = String(repeating: "x", count: JobDocument.mostBytes)
        #expect(throws: JobDocumentError.self) { try document.bytes() }
    }

    @Test func `what was asked of a job is noted`() throws {
        var will = JobWill(confirmed: Samples.time(0))
        will.cancelledRuns = try RunNumbers("1-4")
        will.remove(try RunNumbers("2"), endedAs: .cancelled)
        will.remove(try RunNumbers("7"), endedAs: .failed)
        will.remove(try RunNumbers("3"), endedAs: .cancelled)
        #expect(will.cancelledRuns.description == "1,4")
        #expect(will.removed.description == "2-3,7")
        #expect(will.removedRuns == [.cancelled: try RunNumbers("2-3"), .failed: try RunNumbers("7")])
    }
}
