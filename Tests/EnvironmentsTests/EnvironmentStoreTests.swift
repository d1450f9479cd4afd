import Dispatch
import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct EnvironmentStoreTests {
    @Test func `a staging directory whose maker lives is not abandoned, and one whose maker died is removed`() throws {
        try withScratch { directory in
            let builder = try EnvironmentBuilderTests.builder(directory, FakeExecutor())
            do {
                let staged = try builder.store.stage()
                try write("tree/usr/file", "x", staged.directory)
                try write("configuration/keys/key", "x", staged.directory)
                #expect(try builder.removeAbandoned() == 0)
                #expect(Syscall.exists(staged.paths.tree))
                _ = consume staged
            }
            #expect(try builder.removeAbandoned() == 1)
            #expect(try entries(builder.store.directory.appending("staging")).isEmpty)
        }
    }

    @Test func `a directory that was made just before a crash is removed too`() throws {
        try withScratch { directory in
            let builder = try EnvironmentBuilderTests.builder(directory, FakeExecutor())
            try Syscall.makeDirectory(builder.store.directory.appending("staging").appending("half"), mode: 0o700)
            #expect(try builder.removeAbandoned() == 1)
        }
    }

    @Test func `a build that was published but not put into force is unused`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            var record = BuildRecord(
                id: "abc", name: "n", title: "t", layers: ["abc"], variables: [:], interpreters: [:], created: "",
                size: 1, privilegedFiles: 0, inputs: "i", packages: [])
            try store.publish(try store.stage(), record)
            #expect(try store.record("abc") == record)
            #expect(try store.unused(keeping: []) == ["abc"])
            let name = try #require(EnvironmentName("n"))
            try store.putIntoForce(name, record)
            #expect(try store.unused(keeping: []).isEmpty)
            // A finished build is never replaced.
            record.title = "other"
            #expect(throws: StoreError.self) { try store.publish(try store.stage(), record) }
            #expect(try store.record("abc").title == "t")
        }
    }

    @Test func `what is in force is found while it is replaced and what it was is removed`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            let name = try #require(EnvironmentName("n"))
            @Sendable func record(_ id: String) -> BuildRecord {
                BuildRecord(
                    id: id, name: "n", title: "t", layers: [id], variables: [:], interpreters: [:], created: "",
                    size: 1, privilegedFiles: 0, inputs: "i", packages: [])
            }
            @Sendable func publish(_ id: String) throws {
                try Syscall.makeDirectory(store.path(of: id), mode: 0o700)
                try Syscall.writeFile(store.path(of: id).appending("build.json"), try store.encode(record(id)))
                try store.putIntoForce(name, record(id))
            }
            try publish("b0")
            // Both are bounded: there may be one processor only.
            let isDone = Atomic(false)
            DispatchQueue.concurrentPerform(iterations: 2) { side in
                do {
                    for round in 1...300 where side == 0 {
                        try publish("b\(round)")
                        try empty(store.path(of: "b\(round - 1)"))
                    }
                    if side == 0 { isDone.store(true, ordering: .relaxed) }
                    for _ in 0..<20_000 where side == 1 && !isDone.load(ordering: .relaxed) {
                        if try store.current(name) == nil { throw StoreError.unknownBuild("n") }
                    }
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
    }

    @Test func `a second build of a name waits until it is cancelled`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            let name = try #require(EnvironmentName("n"))
            let first = try store.lock(name, isCancelled: { false }, waiting: {})
            var waits = 0
            let second = try store.lock(name, isCancelled: { waits > 0 }, waiting: { waits += 1 })
            #expect((second == nil) == (waits == 1 || waits == 0))
            _ = first
        }
    }

    @Test func `a name or a build can be given by its beginning, if only one begins so`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            for (id, name) in [("abcd1", "lab-1"), ("abcd2", "lab-2"), ("e0e0e0", "e0e0"), ("f0f0f0", "science")] {
                let record = BuildRecord(
                    id: id, name: name, title: "t", layers: [id], variables: [:], interpreters: [:], created: "",
                    size: 1, privilegedFiles: 0, inputs: id, packages: [])
                try store.publish(try store.stage(), record)
                try store.putIntoForce(try #require(EnvironmentName(name)), record)
            }
            #expect(try store.resolve("lab-1", builds: false) == "lab-1")
            #expect(try store.resolve("scie", builds: false) == "science")
            #expect(try store.resolve("sci", builds: false) == "sci")
            #expect(try store.resolve("f0f0", builds: true) == "f0f0f0")
            #expect(try store.resolve("f0f0", builds: false) == "f0f0")
            #expect(try store.resolve("abcd2", builds: true) == "abcd2")
            #expect(try store.resolve("e0e0", builds: true) == "e0e0")
            #expect(try store.resolve("../names", builds: true) == "../names")
            #expect(throws: StoreError.ambiguous("lab-", ["lab-1", "lab-2"])) {
                try store.resolve("lab-", builds: false)
            }
            #expect(throws: StoreError.ambiguous("abcd", ["abcd1", "abcd2"])) {
                try store.resolve("abcd", builds: true)
            }
        }
    }

    @Test(arguments: ["", "..", "../names", "a/b", ".hidden", "no-such-build"])
    func `what is not a build is refused`(build: String) throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            #expect(throws: StoreError.unknownBuild(build)) { try store.record(build) }
        }
    }

    @Test func `a damaged record is told from a missing one`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            try write("names/n.json", "{", store.directory)
            #expect(throws: StoreError.damaged(store.directory.appending("names").appending("n.json"))) {
                try store.current(try #require(EnvironmentName("n")))
            }
        }
    }
}
