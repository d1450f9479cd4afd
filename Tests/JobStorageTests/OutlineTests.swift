import FoundationEssentials
import GRDB
import Isolation
import Jobs
import Testing

@testable import JobStorage

@Suite("Runs in outline") struct OutlineTests {
    @Test func `metrics are kept with the end of a run, and those of an earlier attempt never stay`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 2)
            let run = try #require(try database.claim())
            let ended = try database.finish(
                run.address, attempt: 1, verdict: Verdict(.exit, "no"), metrics: #"{"acc":0.5}"#, at: time(130))
            #expect(ended.metrics == #"{"acc":0.5}"#)
            let outlines = try database.outlines(of: id(1))
            #expect(outlines.map(\.number) == [0, 1] && outlines.map(\.metrics) == [#"{"acc":0.5}"#, nil])
            #expect(outlines[0].cause == "exit" && outlines[0].seconds(until: time(999)) == 30)
            #expect(outlines[1].cause == nil && outlines[1].seconds(until: time(999)) == nil)
            try database.retry(run.address, at: time(140))
            let again = try #require(try database.claim())
            try database.end(again)
            #expect(try database.run(run.address).metrics == nil)
        }
    }

    @Test func `metrics can be noted later, where there are none and the run has ended`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 2)
            try database.end(try #require(try database.claim()))
            try database.note(metrics: [0: #"{"a":1}"#, 1: #"{"a":2}"#], of: id(1))
            try database.note(metrics: [0: #"{"a":3}"#], of: id(1))
            #expect(try database.outlines(of: id(1)).map(\.metrics) == [#"{"a":1}"#, nil])
        }
    }

    @Test func `runs are found by state and by numbers, in the order that is asked for`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 4)
            try database.end(try #require(try database.claim()), .exit)
            #expect(try database.outlines(of: id(1), states: [.failed]).map(\.number) == [0])
            #expect(try database.outlines(of: id(1), states: [.pending], limit: 2).map(\.number) == [1, 2])
            #expect(try database.runs(of: id(1), numbers: [3, 0, 77, 1]).map(\.address.number) == [3, 0, 1])
        }
    }

    @Test func `jobs and runs are counted by their states`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 4)
            try database.add(document(2, isDraft: true), runs: 1)
            try database.end(try #require(try database.claim()), .exit)
            #expect(try database.jobCount() == 2 && database.jobCount(states: [.draft]) == 1)
            #expect(try database.jobCount(states: [.failed]) == 0)
            #expect(try database.runCount(of: id(1)) == 4 && database.runCount(of: id(1), states: [.failed]) == 1)
            try database.delete(RunAddress(job: id(1), number: 0))
            #expect(try database.runCount(of: id(1)) == 3 && database.runCount(of: id(1), states: [.failed]) == 0)
        }
    }

    @Test func `the history tells how long runs took, and groups failures by their reason`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 5)
            for (number, summary) in ["bad", "worse", "bad"].enumerated() {
                let run = try #require(try database.claim())
                try database.finish(
                    run.address, attempt: 1, verdict: Verdict(.exit, summary), at: time(101 + Double(number)))
            }
            try database.end(try #require(try database.claim()), at: 110)
            let history = try database.history(of: id(1))
            #expect(history.seconds.sorted() == [1, 2, 3, 10])
            #expect(history.failures.map(\.summary) == ["bad", "worse"])
            #expect(history.failures.map(\.runs.description) == ["0,2", "1"])
        }
    }

    @Test func `a database of the first format is brought to this one, and a copy of it is kept`() throws {
        try Scratch.with { scratch in
            let old = try DatabaseQueue(path: scratch.path)
            try old.write { database in
                try database.execute(sql: DatabaseSchema.migrations[0])
                try database.execute(
                    sql: """
                        PRAGMA application_id = \(DatabaseSchema.applicationID);
                        PRAGMA user_version = 1;
                        INSERT INTO jobs (uuid, owner, name, state, project_path, project_name, pipeline_path,
                            pipeline_name, policy_name, stop_on_failure, retries, created_ms)
                        VALUES ('\(id(1))', 0, 'old', 'pending', '/p', 'p', 'a', 'a', 'default', 0, 0, 1);
                        INSERT INTO runs (job, number, label, parameters)
                        VALUES (1, 0, '', '{}'), (1, 1, '', '{}'), (1, 2, '', '{}');
                        UPDATE runs SET attempt = 1, started_ms = 5 WHERE number = 0;
                        """)
            }
            try old.close()
            let database = try JobDatabase(path: scratch.path, check: .everyPage)
            #expect(try database.states(id(1)) == [.pending, .pending, .pending])
            #expect(try database.outlines(of: id(1)).map(\.metrics) == [nil, nil, nil])
            #expect(try database.runs(of: id(1)).map(\.started) == [nil, nil, nil], "what waits has not started")
            let copies = try scratch.names.filter { $0.contains(".before-") }
            #expect(copies.count == 1)
            let copy = try #require(copies.first)
            let bytes = Array(try Data(contentsOf: URL(filePath: "\(scratch.directory)/\(copy)")))
            #expect(bytes[60..<64].elementsEqual([0, 0, 0, 1]))
            try database.close()
            // A second opening finds nothing to do.
            try JobDatabase(path: scratch.path).close()
            #expect(try scratch.names.filter { $0.contains("copying") }.isEmpty)
        }
    }
}
