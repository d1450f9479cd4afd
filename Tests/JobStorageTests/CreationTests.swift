import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Making jobs") struct CreationTests {
    @Test func `a job is found as it was made`() throws {
        try withDatabase { database in
            let document = try document(7, name: "nightly / training".replacing("/", with: "and")) {
                ($0.maxParallel, $0.timeoutSeconds, $0.stopOnFailure, $0.retries, $0.keep) = (2, 0.25, true, 3, 0)
            }
            try database.add(document, runs: 3)
            var expected = JobRecord(sequence: 1, document: document)
            expected.counts = JobCounts(pending: 3)
            #expect(try database.job(document.uuid) == expected)
            #expect(try database.jobs() == [expected])
            let runs = (0..<3).map {
                RunRecord(address: RunAddress(job: document.uuid, number: $0), parameters: parameters($0))
            }
            #expect(try database.runs(of: document.uuid) == runs)
            #expect(try database.run(runs[2].address) == runs[2])
        }
    }

    @Test func `all options may be left to the defaults`() throws {
        try withDatabase { database in
            let job = try database.add(document())
            #expect(try database.job(job).options == JobOptions())
        }
    }

    @Test func `ten thousand runs are made in the order of their numbers`() throws {
        try withDatabase { database in
            var asked: [Int] = []
            let document = try document()
            try database.insert(document, runCount: 10_000) { number in
                asked.append(number)
                return parameters(number)
            }
            #expect(asked == Array(0..<10_000))
            #expect(try database.job(document.uuid).counts == JobCounts(pending: 10_000))
            let runs = try database.runs(of: document.uuid, limit: 20_000)
            #expect(runs.map(\.address.number) == asked)
            #expect(runs.last?.parameters == parameters(9999))
        }
    }

    @Test(arguments: [0, -1, .min, 10_000_001, .max]) func `a job has one run at least and ten million at most`(
        count: Int
    ) throws {
        try withDatabase { database in
            let document = try document()
            let error = #expect(throws: JobStorageError.runCount(count)) {
                try database.insert(document, runCount: count) { number in
                    Issue.record("asked for run \(number)")
                    return parameters(number)
                }
            }
            #expect(error?.hint?.contains("1 to 10,000,000") == true)
            #expect(try database.jobs().isEmpty)
        }
    }

    @Test func `hostile texts come back as they were`() throws {
        try withDatabase { database in
            var document = try document(name: "'; DROP TABLE jobs; --")
            document.project.path = "/home/\u{1B}[31m/'\"\\\n\u{202E}"
            let text = "x'); DELETE FROM runs; \u{1F600}\n" + String(repeating: "ü", count: 100_000)
            try database.insert(document, runCount: 1) { _ in RunParameters(label: text, json: text) }
            #expect(try database.job(document.uuid).project == document.project)
            #expect(try database.job(matching: .named("'; DROP TABLE jobs; --")).uuid == document.uuid)
            #expect(try database.runs(of: document.uuid).first?.parameters == RunParameters(label: text, json: text))
        }
    }

    @Test func `a name is an owner's only once, and a free one is proposed`() throws {
        try withDatabase { database in
            for number in 1...6 as ClosedRange<UInt32> {
                let wanted = try JobName("train")
                let free = try database.freeName(like: wanted, owner: 1000)
                #expect(free.description == (number == 1 ? "train" : "train-\(number)"))
                if number > 1 {
                    let error = #expect(throws: JobStorageError.nameTaken(wanted, proposal: free)) {
                        try database.add(document(number, name: "train"))
                    }
                    #expect(error?.hint == "`train-\(number)` is free, or remove the other job by `cloche rm`")
                }
                try database.add(document(number, name: free.description))
            }
            try database.add(document(20, name: "train", owner: 1001))
            try database.add(document(21, name: "Train"))
            #expect(try database.jobs().count == 8)
        }
    }

    @Test func `the name that is proposed is free, however many are taken and however long they are`() throws {
        try withDatabase { database in
            var generator = SeededGenerator(state: 3)
            let names = try [JobName("train"), JobName(String(repeating: "ü", count: 255))]
            var number: UInt32 = 0
            for name in names {
                try database.add(document(number, name: name.description))
                number += 1
                for suffix in 2...80 where Int.random(in: 0..<4, using: &generator) > 0 {
                    try database.add(document(number, name: name.numbered(suffix).description))
                    number += 1
                }
                for _ in 0..<20 {
                    let free = try database.freeName(like: name, owner: 1000)
                    try database.add(document(number, name: free.description))
                    number += 1
                }
            }
            #expect(Set(try database.jobs(limit: 1000).map(\.name)).count == Int(number))
        }
    }

    @Test func `an identity is there only once`() throws {
        try withDatabase { database in
            try database.add(document(1, name: "a"))
            #expect(throws: JobStorageError.identityTaken(id(1))) { try database.add(document(1, name: "b")) }
            #expect(try database.jobs().map(\.name.description) == ["a"])
        }
    }

    @Test func `a job gets another name unless that is taken`() throws {
        try withDatabase { database in
            let first = try database.add(document(1, name: "a"))
            let second = try database.add(document(2, name: "b"))
            let other = try database.add(document(3, name: "b", owner: 7))
            try database.rename(first, to: JobName("a"))
            #expect(throws: JobStorageError.nameTaken(try JobName("b"), proposal: try JobName("b-2"))) {
                try database.rename(first, to: JobName("b"))
            }
            try database.rename(second, to: JobName("c"))
            try database.rename(first, to: JobName("b"))
            #expect(try database.jobs().map(\.name.description) == ["b", "c", "b"])
            #expect(try database.job(other).name.description == "b")
            #expect(throws: JobStorageError.self) { try database.rename(id(9), to: JobName("x")) }
        }
    }

    @Test func `jobs come newest first, in pages, and only those that were asked for`() throws {
        try withDatabase { database in
            for number in 1...25 as ClosedRange<UInt32> {
                try database.add(document(number, owner: number % 2, isDraft: number % 5 == 0))
            }
            var pages: [JobRecord] = []
            while case let page = try database.jobs(before: pages.last?.sequence, limit: 7), !page.isEmpty {
                #expect(page.count <= 7)
                pages += page
            }
            #expect(pages.map(\.uuid) == (1...25).reversed().map { id($0) })
            #expect(try database.jobs(owner: 0).count == 12)
            #expect(
                try database.jobs(states: [.draft]).map(\.name.description) == [25, 20, 15, 10, 5].map { "job \($0)" })
            #expect(try database.jobs(owner: 1, states: [.draft, .pending]).count == 13)
            #expect(try database.jobs(states: [.failed]).isEmpty && database.jobs(limit: -3).isEmpty)
        }
    }

    @Test func `runs come in the order of their numbers, in pages, and only those that were asked for`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 23)
            for number in [3, 22, 4] { try database.cancel(RunAddress(job: job, number: number), at: time(5)) }
            var pages: [Int] = []
            while case let page = try database.runs(of: job, after: pages.last ?? -1, limit: 5), !page.isEmpty {
                pages += page.map(\.address.number)
            }
            #expect(pages == Array(0..<23))
            #expect(try database.runs(of: job, states: [.cancelled]).map(\.address.number) == [3, 4, 22])
            #expect(try database.runs(of: job, states: [.cancelled], after: 3, limit: 1).map(\.address.number) == [4])
            #expect(throws: JobStorageError.notFound(id(9).description, nearest: [])) {
                try database.runs(of: id(9))
            }
        }
    }
}
