import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

/// What is told of builds that are out of date.
@Suite struct BuildCheckTests {
    private func project(_ script: String, title: String = "Mine") throws -> ProjectEnvironment {
        ProjectEnvironment(
            name: try #require(EnvironmentName("u-1")), title: title, language: "python", baseImage: "a",
            setupScript: Array(script.utf8))
    }

    private func base(_ script: String) throws -> Base {
        let text = "name: a\ndescription: A\nsuite: bookworm\nscripts: [setup.sh]\n"
        return Base(
            recipe: try Recipe(reading: Array(text.utf8), file: "e.yaml"),
            files: ["environment.yaml": Array(text.utf8), "setup.sh": Array(script.utf8)])
    }

    @Test func `a base is out of date when its recipe's files change, which are named`() throws {
        try withScratch { directory in
            let builder = try EnvironmentBuilderTests.builder(directory, FakeExecutor())
            #expect(try builder.check(try base("one")).reasons == [.neverBuilt])
            let record = try builder.build(try base("one"), isCancelled: { false }, report: { _ in })
            #expect(try builder.check(try base("one")) == BuildCheck(name: "a", build: record.id, reasons: []))
            #expect(try builder.check(try base("two")).reasons == [.recipe(["setup.sh"])])
            #expect(try builder.store.current(try #require(EnvironmentName("a"))) == record, "nothing was built")
        }
    }

    @Test func `an environment is out of date by its base, script, properties and the files that the script names`()
        throws
    {
        try withScratch { directory in
            let builder = try EnvironmentBuilderTests.builder(directory, FakeExecutor())
            let place = directory.appending("project")
            try write("requirements.txt", "one", place)
            try write("other.py", "one", place)
            let key = try #require(EnvironmentName("p-u-1"))
            let record = try builder.build(try base("one"), isCancelled: { false }, report: { _ in })
            let script = "pip install -r \"./requirements.txt\"\n# other.py\n"
            let layer = try builder.build(
                try project(script), on: record, recipe: nil, key: key, project: place, isCancelled: { false },
                report: { _ in })
            func reasons(
                _ script: String, title: String = "Mine", base: BuildRecord? = record, isCurrent: Bool = true
            ) throws -> [BuildCheck.Reason] {
                let check = try builder.check(
                    try project(script, title: title), project: place, base: base, baseIsCurrent: isCurrent, key: key)
                #expect(check.build == layer.id)
                return check.reasons
            }
            #expect(try reasons(script) == [])
            #expect(try reasons(script + "true\n") == [.setupScript])
            #expect(try reasons(script, title: "Other") == [.properties])
            #expect(try reasons(script, isCurrent: false) == [.base("a")])
            #expect(try reasons(script, base: nil) == [.base("a")])
            let newer = try builder.build(try base("one"), refresh: true, isCancelled: { false }, report: { _ in })
            #expect(try reasons(script, base: newer) == [.base("a")])
            try write("other.py", "two", place)
            #expect(try reasons(script) == [], "a comment names nothing")
            try write("requirements.txt", "two", place)
            #expect(try reasons(script) == [.files(["requirements.txt"])])
        }
    }
}
