import Dispatch
import Glibc
import Isolation
import JobStorage
import Jobs
import Synchronization
import Testing

@Suite("Several users of one database") struct SharingTests {
    /// Executes `body` so many times at once, each on a thread of its own.
    private func atOnce(_ count: Int, _ body: @Sendable (Int) throws -> Void) {
        DispatchQueue.concurrentPerform(iterations: count) { index in
            do {
                try body(index)
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test func `one sees at once what the other has written`() throws {
        try Scratch.with { scratch in
            let (first, second) = (try JobDatabase(path: scratch.path), try JobDatabase(path: scratch.path))
            let job = try first.add(document(), runs: 2)
            #expect(try second.job(job).counts == JobCounts(pending: 2))
            let run = try #require(try second.claim())
            #expect(try first.runningRuns() == [run])
            #expect(try first.claim()?.address.number == 1)
            try first.end(run)
            #expect(throws: JobStorageError.refused("job 1/0", .run(.succeeded, .end(.exit)))) {
                try second.end(run, .exit)
            }
            let taken = try JobStorageError.nameTaken(JobName("job 1"), proposal: JobName("job 1-2"))
            #expect(throws: taken) { try second.add(document(2, name: "job 1")) }
        }
    }

    @Test func `changes by others are seen by a number, and one's own are not`() throws {
        try Scratch.with { scratch in
            let (first, second) = (try JobDatabase(path: scratch.path), try JobDatabase(path: scratch.path))
            let before = try first.changesByOthers()
            #expect(try first.changesByOthers() == before)
            try first.add(document(), runs: 2)
            #expect(try first.changesByOthers() == before)
            _ = try second.claim()
            let after = try first.changesByOthers()
            #expect(after != before)
            #expect(try first.changesByOthers() == after)
        }
    }

    @Test func `a job is there with all its runs or not at all`() throws {
        try Scratch.with { scratch in
            let (first, second) = (try JobDatabase(path: scratch.path), try JobDatabase(path: scratch.path))
            let document = try document()
            try first.insert(document, runCount: 100) { number in
                if number == 50 { #expect((try? second.jobs())?.isEmpty == true) }
                return parameters(number)
            }
            #expect(try second.job(document.uuid).counts.pending == 100)
        }
    }

    @Test func `every run is claimed once, by whoever is faster`() throws {
        try Scratch.with { scratch in
            try JobDatabase(path: scratch.path).add(document(), runs: 120)
            let claimed = Mutex<[Int]>([])
            atOnce(4) { _ in
                let database = try JobDatabase(path: scratch.path)
                while let run = try database.claim() {
                    #expect(run.attempt == 1)
                    claimed.withLock { $0.append(run.address.number) }
                }
            }
            #expect(claimed.withLock { $0.sorted() } == Array(0..<120))
            #expect(try JobDatabase(path: scratch.path).job(id(1)).counts.running == 120)
        }
    }

    @Test func `together they never claim more than the limits allow`() throws {
        try Scratch.with { scratch in
            let database = try JobDatabase(path: scratch.path)
            try database.add(document(1) { $0.maxParallel = 3 }, runs: 40)
            try database.add(document(2), runs: 40)
            atOnce(4) { _ in
                let database = try JobDatabase(path: scratch.path)
                while try database.claim(limit: 11) != nil {}
            }
            #expect(try database.job(id(1)).counts.running == 3)
            #expect(try database.job(id(2)).counts.running == 8)
        }
    }

    @Test func `a new database may be opened by many at once`() throws {
        try Scratch.with { scratch in
            atOnce(6) { index in
                let database = try JobDatabase(path: scratch.path)
                try database.add(document(UInt32(index)))
            }
            let database = try JobDatabase(path: scratch.path, check: .everyPage)
            #expect(try database.jobs().count == 6)
        }
    }

    @Test func `of many who take a name at once, one gets it`() throws {
        try Scratch.with { scratch in
            _ = try JobDatabase(path: scratch.path)
            let refused = Atomic(0)
            atOnce(6) { index in
                let database = try JobDatabase(path: scratch.path)
                do {
                    try database.add(document(UInt32(index), name: "train"))
                } catch JobStorageError.nameTaken {
                    refused.add(1, ordering: .relaxed)
                }
            }
            #expect(refused.load(ordering: .relaxed) == 5)
            #expect(try JobDatabase(path: scratch.path).jobs().count == 1)
        }
    }

    @Test func `a process that is killed while it makes a job leaves nothing of it`() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = scratch.path
        try JobDatabase(path: path).add(document(1))
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let database = try JobDatabase(path: path)
            _ = try database.claim()
            try database.insert(document(2), runCount: 5000) { number in
                if number == 4000 { kill(getpid(), SIGKILL) }
                return parameters(number)
            }
        }
        let database = try JobDatabase(path: path, check: .everyPage)
        #expect(try database.jobs().map(\.uuid) == [id(1)])
        #expect(try database.states(id(1)) == [.running], "what was finished before is kept")
        try database.add(document(2), runs: 5)
        #expect(try database.job(id(2)).counts.pending == 5)
    }
}
