import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Deleting jobs and runs") struct DeletionTests {
    private func address(_ number: Int) -> RunAddress { RunAddress(job: id(1), number: number) }

    @Test func `only a draft and a job that has ended can be deleted`() throws {
        try withDatabase { database in
            let job = try database.add(document(name: "train"), runs: 2)
            let run = try #require(try database.claim())
            let error = #expect(throws: JobStorageError.notEnded("train", "running")) { try database.delete(job) }
            #expect(error?.hint == "cancel it first")
            try database.apply(.cancel, to: job, at: time(1))
            #expect(throws: JobStorageError.notEnded("train", "running")) { try database.delete(job) }
            try database.end(run)
            try database.record([StepRecord(uuid: "s", title: "S", position: 0, attempt: 1)], of: run.address)
            try database.delete(job)
            #expect(try database.jobs().isEmpty)
            #expect(throws: JobStorageError.notFound(job.description, nearest: [])) { try database.job(job) }
            #expect(throws: JobStorageError.notFound(job.description, nearest: [])) {
                try database.steps(of: run.address)
            }
            #expect(throws: JobStorageError.notFound(job.description, nearest: [])) { try database.delete(job) }

            let draft = try database.add(document(2, isDraft: true))
            try database.delete(draft)
            #expect(try database.jobs().isEmpty)
        }
    }

    @Test func `deleting a job leaves all others as they are, and frees its name`() throws {
        try withDatabase { database in
            let first = try database.add(document(1, name: "train"), runs: 3)
            let second = try database.add(document(2), runs: 3)
            let running = try #require(try database.claim(of: second))
            let (job, runs) = (try database.job(second), try database.runs(of: second))
            try database.apply(.cancel, to: first, at: time(1))
            try database.delete(first)
            #expect(try database.job(second) == job && database.runs(of: second) == runs)
            #expect(try database.runningRuns() == [running])
            try database.add(document(3, name: "train"), runs: 1)
            #expect(try database.states(id(3)) == [.pending])
        }
    }

    @Test func `a deleted run still counts, and its number is not used again`() throws {
        try withDatabase { database in
            let job = try database.add(document(name: "train"), runs: 3)
            let error = #expect(throws: JobStorageError.notEnded("train/0", "pending")) {
                try database.delete(address(0))
            }
            #expect(error?.description.contains("`train/0` is pending") == true)
            let run = try #require(try database.claim())
            #expect(throws: JobStorageError.notEnded("train/0", "running")) { try database.delete(address(0)) }
            try database.end(run, .exit)
            try database.delete(address(0))
            #expect(try database.runs(of: job).map(\.address.number) == [1, 2])
            let record = try database.job(job)
            #expect(record.removed == 1 && record.counts.failed == 1 && record.counts.total == 3)
            let missing = #expect(throws: JobStorageError.noSuchRun(job: "train", number: 0, count: 3)) {
                try database.run(address(0))
            }
            #expect(missing?.description == "run 0 of job `train` has been removed")
            for _ in 0..<2 { try database.end(try #require(try database.claim())) }
            #expect(try database.job(job).state == .failed, "the deleted run had failed")
        }
    }

    @Test func `runs beyond the newest that are kept are told, those that have not ended are not`() throws {
        try withDatabase { database in
            let job = try database.add(document { $0.keep = 2 }, runs: 6)
            #expect(try database.runsBeyondKeep(of: job).isEmpty)
            for number in 0..<6 {
                let run = try #require(try database.claim())
                if number != 1 { try database.end(run) }
            }
            #expect(try database.runsBeyondKeep(of: job).map(\.number) == [0, 2, 3])
            try database.delete(address(5))
            #expect(try database.runsBeyondKeep(of: job).map(\.number) == [0, 2], "what was deleted is not kept")
            let all = try database.add(document(2), runs: 3)
            try database.apply(.cancel, to: all, at: time(1))
            #expect(try database.runsBeyondKeep(of: all).isEmpty)
            let none = try database.add(document(3) { $0.keep = 0 }, runs: 3)
            try database.end(try #require(try database.claim(of: none)))
            try database.apply(.cancel, to: none, at: time(1))
            #expect(try database.runsBeyondKeep(of: none).map(\.number) == [0], "there is nothing of the others")
            let newest = try database.add(document(4) { ($0.keep, $0.stopOnFailure) = (1, true) }, runs: 4)
            try database.end(try #require(try database.claim(of: newest)), .exit)
            #expect(try database.states(newest) == [.failed, .skipped, .skipped, .skipped])
            #expect(try database.runsBeyondKeep(of: newest).isEmpty, "what never began is not kept in its place")
        }
    }
}
