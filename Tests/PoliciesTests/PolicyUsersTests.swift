import Testing

@testable import Policies

@Suite struct PolicyUsersTests {
    private func users(_ text: String) throws -> PolicyUsers? {
        try catalogue(["lab": text]).resolve("lab").users
    }

    @Test func `a policy is for those whom it names, and without the key for all`() throws {
        #expect(try users("data: none\n") == nil)
        let some = try #require(try users("users: [alice, '@science', 1007, '@2000']\n"))
        #expect(some.allows(user: 1, name: "alice", groups: [], groupNames: []))
        #expect(some.allows(user: 1007, name: nil, groups: [], groupNames: []))
        #expect(some.allows(user: 1, name: "bob", groups: [], groupNames: ["staff", "science"]))
        #expect(some.allows(user: 1, name: "bob", groups: [5, 2000], groupNames: []))
        #expect(!some.allows(user: 1, name: "bob", groups: [1007], groupNames: ["alice"]))
        #expect(!some.allows(user: 2000, name: "science", groups: [], groupNames: []))
        #expect(!some.allows(user: 1, name: nil, groups: [], groupNames: []))
        #expect(!some.allows(user: 1, name: "@science", groups: [], groupNames: []))
    }

    @Test func `what extends a policy is for the same, unless it says else`() throws {
        let all = catalogue([
            "lab": "users: [alice]\n", "same": "extends: lab\ndata: none\n", "other": "extends: lab\nusers: [bob]\n",
        ])
        #expect(try all.resolve("same").users?.entries == ["alice"])
        #expect(try all.resolve("other").users?.entries == ["bob"])
        let value = try #require(try all.resolve("same").values.first { $0.key == "users" })
        #expect(value.value == "alice" && value.policy == "lab" && value.place?.line == 1)
    }

    @Test(arguments: [
        ("users: []\n", "`users` names nobody"), ("users: alice\n", "must be a list"),
        ("users: ['']\n", "neither a user nor a group"), ("users: ['@']\n", "neither a user nor a group"),
        ("users: ['a b']\n", "neither a user nor a group"), ("users: [alice, alice]\n", "listed twice"),
        ("users: [\"a\\nb\"]\n", "neither a user nor a group"), ("users:\n", "has no value"),
        ("users: {a: b}\n", "must be a list"),
    ]) func `what is wrong is said with its place`(text: String, message: String) throws {
        let error = #expect(throws: PolicyError.self) { try users(text) }
        #expect("\(try #require(error))".contains(message), "\(text): \(String(describing: error))")
        #expect("\(try #require(error))".contains("lab.yaml:1:"), "\(String(describing: error))")
    }

    @Test func `a ceiling is for all`() {
        #expect(throws: PolicyError.self) {
            try PolicyCeiling(reading: Array("users: [alice]\n".utf8), file: "ceiling.yaml")
        }
    }
}
