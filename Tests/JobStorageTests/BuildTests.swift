import GRDB
import Isolation
import Jobs
import Testing

@testable import JobStorage

@Suite("Which jobs pinned a build") struct BuildTests {
    private func document(_ number: UInt32, _ builds: String...) throws -> JobDocument {
        var document = try JobStorageTests.document(number)
        for (index, build) in builds.enumerated() { document.environments["\(index)"] = .init(name: "e", build: build) }
        return document
    }

    @Test func `jobs are told by the builds of their environments, under the names that they have`() throws {
        try withDatabase { database in
            try database.insert(document(1, "aa", "bb", "aa"), runCount: 1, parameters: parameters)
            try database.insert(document(2, "bb"), runCount: 1, parameters: parameters)
            try database.insert(document(3), runCount: 1, parameters: parameters)
            let job = try JobName("later, \"x\" | y")
            try database.rename(id(2), to: job)
            let pins = try database.pinnedBuilds()
            #expect(pins.names.mapValues(Set.init) == ["aa": ["job 1"], "bb": ["job 1", job.description]])
            #expect(pins.names.values.map(\.count).sorted() == [1, 2] && pins.unknown.isEmpty)
        }
    }

    @Test func `what an older version has not noted is noted once`() throws {
        try withDatabase { database in
            let document = try document(1, "aa")
            try database.insert(document, runCount: 1, parameters: parameters)
            try database.writing { try $0.execute(sql: "UPDATE jobs SET builds = NULL") }
            #expect(try database.pinnedBuilds().names.isEmpty && database.pinnedBuilds().unknown == [id(1)])
            try database.noteBuilds(of: [document])
            #expect(try database.pinnedBuilds().names == ["aa": ["job 1"]] && database.pinnedBuilds().unknown.isEmpty)
        }
    }
}
