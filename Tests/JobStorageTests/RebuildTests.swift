import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Rebuilding the database from the directories") struct RebuildTests {
    @discardableResult
    private func rebuild(_ scratch: Scratch, _ facts: [JobFacts]) throws -> RebuildReport {
        try JobDatabase.rebuild(path: scratch.path, from: facts) { document, number in
            RunParameters(label: "\(document.name)", json: parameters(number).json)
        }
    }

    private func attempt(_ number: Int, _ cause: Verdict.Cause?) -> RunFacts.Attempt {
        let seconds = Double(number * 10)
        return RunFacts.Attempt(
            number: number,
            started: time(seconds),
            verdict: cause.map { Verdict($0, "attempt \(number)") },
            finished: cause.map { _ in time(seconds + 5) }
        )
    }

    @Test func `jobs, runs and steps are what the directories tell`() throws {
        try Scratch.with { scratch in
            let first = try document(1) { ($0.retries, $0.keep) = (1, 9) }
            let step = StepRecord(uuid: "s", title: "Load", position: 0, attempt: 2)
            let runs = [
                RunFacts(number: 2, attempts: [attempt(1, nil)]),
                RunFacts(number: 0, attempts: [attempt(1, .exit), attempt(2, .succeeded)], steps: [step]),
            ]
            let second = try document(2, isDraft: true)
            let report = try rebuild(
                scratch,
                [
                    JobFacts(document: first, runCount: 3, runs: runs),
                    JobFacts(document: second, runCount: 1, runs: []),
                ])
            #expect(report.jobs == 2 && report.runs == 4 && report.renamings.isEmpty && report.duplicates.isEmpty)
            #expect(try scratch.names == ["cloche.db"])

            let database = try JobDatabase(path: scratch.path, check: .everyPage)
            #expect(try database.jobs().map(\.uuid) == [id(2), id(1)])
            #expect(try database.job(id(2)).state == .draft)
            let job = try database.job(id(1))
            #expect(job.state == .running && job.options == first.options && job.started == time(10))
            #expect(job.counts.succeeded == 1 && job.counts.pending == 1 && job.counts.running == 1)
            let found = try database.runs(of: id(1))
            #expect(found.map(\.state) == [.succeeded, .pending, .running])
            #expect(found.map(\.attempt) == [2, 0, 1])
            #expect(found[0].verdict?.summary == "attempt 2" && found[0].finished == time(25))
            #expect(found[1].parameters == RunParameters(label: "job 1", json: parameters(1).json))
            #expect(try database.steps(of: found[0].address) == [step])
            let next = try #require(try database.claim())
            #expect(next.address.number == 1)
            #expect(
                try database.finish(found[2].address, attempt: 1, verdict: Verdict(.succeeded, ""), at: time(9)).state
                    == .succeeded)
        }
    }

    @Test func `it takes the place of a database that is damaged, newer or missing`() throws {
        for old in [nil, Array("garbage".utf8), Array(repeating: 0xFF, count: 50_000)] as [[UInt8]?] {
            try Scratch.with { scratch in
                if let old { try scratch.write(old) }
                try rebuild(scratch, [JobFacts(document: document(1), runCount: 2, runs: [])])
                let database = try JobDatabase(path: scratch.path, check: .everyPage)
                #expect(try database.states(id(1)) == [.pending, .pending])
            }
        }
    }

    @Test func `what cannot be rebuilt leaves the old database as it was`() throws {
        try Scratch.with { scratch in
            let old = try JobDatabase(path: scratch.path)
            try old.add(document(5), runs: 2)
            try old.close()
            let wrong = try document(1) { $0.maxParallel = -1 }
            #expect(throws: JobStorageError.self) {
                try rebuild(scratch, [JobFacts(document: wrong, runCount: 1, runs: [])])
            }
            #expect(try scratch.names == ["cloche.db"])
            #expect(try JobDatabase(path: scratch.path, check: .everyPage).states(id(5)) == [.pending, .pending])
        }
    }

    @Test func `nothing of the old database is left, not even its log`() throws {
        try Scratch.with { scratch in
            let old = try JobDatabase(path: scratch.path)
            try old.add(document(5), runs: 200)
            // Still open, so that its log is there, as after a crash.
            #expect(try scratch.names.contains("cloche.db-wal"))
            try rebuild(scratch, [JobFacts(document: document(1), runCount: 1, runs: [])])
            #expect(try JobDatabase(path: scratch.path, check: .everyPage).jobs().map(\.uuid) == [id(1)])
        }
    }

    @Test func `of two jobs with one name the later is renamed, of two with one identity the first is kept`() throws {
        try Scratch.with { scratch in
            let facts = try [
                document(1, name: "train"), document(2, name: "train"), document(3, name: "train", owner: 7),
                document(1, name: "other"),
            ].map { JobFacts(document: $0, runCount: 1, runs: []) }
            let report = try rebuild(scratch, facts)
            let renaming = try #require(report.renamings.first)
            #expect(renaming.job == (id(2)) && renaming.from.description == "train")
            #expect(renaming.to.description == "train-2" && report.renamings.count == 1)
            #expect(report.duplicates == [id(1)] && report.jobs == 3)
            #expect(
                try JobDatabase(path: scratch.path).jobs().map(\.name.description) == ["train", "train-2", "train"])
        }
    }

    @Test func `deleted runs are not made again, count, and leave their numbers unused`() throws {
        try Scratch.with { scratch in
            var document = try document(1)
            document.will.removedRuns = [.succeeded: RunNumbers([0]), .failed: RunNumbers([3])]
            try rebuild(scratch, [JobFacts(document: document, runCount: 4, runs: [])])
            let database = try JobDatabase(path: scratch.path)
            let job = try database.job(id(1))
            #expect(try database.runs(of: id(1)).map(\.address.number) == [1, 2])
            #expect(job.removed == 2 && job.counts.succeeded == 1 && job.counts.failed == 1 && job.counts.pending == 2)
            #expect(throws: JobStorageError.noSuchRun(job: "job 1", number: 3, count: 4)) {
                try database.run(RunAddress(job: id(1), number: 3))
            }
        }
    }

    @Test func `a cancelled job stays cancelled, with the time of its end`() throws {
        try Scratch.with { scratch in
            var document = try document(1)
            document.will.cancelled = time(77)
            let runs = [RunFacts(number: 0, attempts: [attempt(1, .succeeded)])]
            try rebuild(scratch, [JobFacts(document: document, runCount: 2, runs: runs)])
            let database = try JobDatabase(path: scratch.path)
            let job = try database.job(id(1))
            #expect(job.state == .cancelled && job.cancelled == time(77) && job.finished == time(77))
            let cancelled = try database.runs(of: id(1))[1]
            #expect(cancelled.state == .cancelled && cancelled.verdict?.cause == .cancelled)
            #expect(try database.claim() == nil)
        }
    }

    @Test(arguments: ["cancelled job", "cancelled run", "failed sibling", "failure after the cancellation"])
    func `the verdict of an ended run fits its state, though an earlier attempt ended otherwise`(why: String) throws {
        try Scratch.with { scratch in
            var document = try document(1) { $0.retries = 1 }
            var causes: [Verdict.Cause] = [.exit, .interrupted]
            switch why {
            case "cancelled job": document.will.cancelled = time(77)
            case "cancelled run": document.will.cancelledRuns = RunNumbers([0])
            case "failed sibling": document.options.stopOnFailure = true
            default: (document.will.cancelled, causes) = (time(12), [.exit])
            }
            let attempts = causes.enumerated().map { attempt($0 + 1, $1) }
            let failed = RunFacts(number: 1, attempts: [attempt(1, .exit), attempt(2, .exit)])
            let runs = [RunFacts(number: 0, attempts: attempts), failed]
            try rebuild(scratch, [JobFacts(document: document, runCount: 2, runs: runs)])
            let run = try JobDatabase(path: scratch.path).runs(of: id(1))[0]
            #expect(run.state.isFinal)
            #expect(run.verdict.map { RunState(after: $0.cause) } == run.state)
        }
    }

    @Test func `a rebuilt job goes on where it was`() throws {
        try Scratch.with { scratch in
            let document = try document(1)
            let runs = [RunFacts(number: 0, attempts: [attempt(1, .interrupted)])]
            try rebuild(scratch, [JobFacts(document: document, runCount: 1, runs: runs)])
            let database = try JobDatabase(path: scratch.path)
            let run = try #require(try database.claim())
            #expect(run.attempt == 2)
            try database.end(run)
            #expect(try database.job(id(1)).state == .succeeded)
        }
    }

    @Test func `where nothing can be written the rebuilding says so`() throws {
        try Scratch.with { scratch in
            let path = scratch.directory + "/missing/cloche.db"
            let error = #expect(throws: JobStorageError.self) {
                try JobDatabase.rebuild(path: path, from: [], parameters: { _, number in parameters(number) })
            }
            #expect(error?.hint?.contains("check that the directory exists") == true)
        }
    }
}
