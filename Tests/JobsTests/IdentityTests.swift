import Jobs
import Testing

@Suite("Identities of jobs and runs") struct IdentityTests {
    @Test func `a UUID of version 4 in lower case is an identity`() throws {
        #expect(try Samples.id().description == Samples.uuid)
        #expect(try decoded([JobID].self, #"["\#(Samples.uuid)"]"#) == [Samples.id()])
        #expect(try encoded([Samples.id()]) == #"["\#(Samples.uuid)"]"#)
    }

    @Test(arguments: [
        "", "0f8fad5b", "0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-169f-a165-70867728950e",
        "0f8fad5b-d9cb-469f-c165-70867728950e", "0f8fad5bad9cb-469f-a165-70867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950e ", "0f8fad5b-d9cb-469f-a165-7086772895/.",
        "0f8fad5b-d9cb-469f-a165-7086772895é", "{f8fad5b-d9cb-469f-a165-70867728950e",
    ])
    func `anything else is none`(text: String) {
        #expect(JobID(text) == nil)
        #expect(RunID(text) == nil)
        #expect(throws: (any Error).self) { try decoded([JobID].self, #"["\#(text)"]"#) }
    }

    @Test func `new identities are valid and differ`() {
        var generator = SeededGenerator(state: 7)
        let seeded = (0..<1000).map { _ in JobID.random(using: &generator) }
        for id in seeded + [.random(), .random()] { #expect(JobID(id.description) == id) }
        #expect(Set(seeded).count == 1000)
        #expect(JobID.random() != JobID.random())
    }

    /// Directories, control groups and other indexes know runs by these; the texts were computed by another program.
    @Test(arguments: [
        (0, "9b5481bf-0f0d-4c1f-890c-6dd72b24835e"), (1, "4c06ac5a-e6be-4d8b-a2e7-6a808684f966"),
        (7, "4db31dae-1a52-4616-a51c-33a05166752a"), (9_999_999, "1bda4033-7f7a-423b-8c76-b642a8a83efe"),
    ])
    func `the identity of a run follows from its job and number for ever`(number: Int, expected: String) throws {
        let address = RunAddress(job: try Samples.id(), number: number)
        #expect(address.id.description == expected)
        #expect(RunID(expected) == address.id)
    }

    @Test func `runs of one job have identities that differ in all their parts`() throws {
        var seen: [Set<Substring>] = [[], []]
        for number in 0..<1000 {
            let parts = RunID(job: try Samples.id(), number: number).description.split(separator: "-")
            #expect(seen[0].insert(parts[0]).inserted)
            #expect(seen[1].insert(parts[4]).inserted)
        }
    }

    @Test func `runs of jobs with almost the same identity are told apart`() throws {
        let jobs = try ["0", "1", "8", "e"].map { try #require(JobID(Samples.uuid.dropLast() + $0)) }
        let runs = jobs.flatMap { job in (0..<500).map { RunID(job: job, number: $0) } }
        #expect(Set(runs).count == runs.count)
        #expect(runs.allSatisfy { RunID($0.description) == $0 })
    }

    @Test func `addresses are written as they are typed, and sorted by number`() throws {
        let addresses = try [10, 9, 0].map { RunAddress(job: try Samples.id(), number: $0) }
        #expect(addresses[0].description == Samples.uuid + "/10")
        #expect(addresses.sorted().map(\.number) == [0, 9, 10])
        let reference = try RunReference(addresses[0].description)
        #expect(reference.job == .named(Samples.uuid))
        #expect(reference.run == 10)
    }
}
