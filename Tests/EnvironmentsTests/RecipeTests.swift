import Testing

@testable import Environments

@Suite struct RecipeTests {
    static let good = """
        name: base-kernel-py
        description: Python 3 with notebooks
        suite: bookworm
        components: [main, contrib]
        packages: [python3, g++, libc6-dev]
        scripts: [setup.sh]
        variables:
          LANG: C.UTF-8
          PYTHONUNBUFFERED: "1"
        interpreters: {python: /opt/venv/bin/python}
        replaces: [orchest/base-kernel-py]
        """

    @Test func `a recipe is read with all its keys`() throws {
        let recipe = try Recipe(reading: Array(RecipeTests.good.utf8), file: "environment.yaml")
        #expect(recipe.name.text == "base-kernel-py")
        #expect(recipe.suite == "bookworm")
        #expect(recipe.components == ["main", "contrib"])
        #expect(recipe.packages == ["python3", "g++", "libc6-dev"])
        #expect(recipe.scripts == ["setup.sh"])
        #expect(recipe.variables == ["LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"])
        #expect(recipe.interpreters == ["python": "/opt/venv/bin/python"])
        #expect(recipe.replaces.map(\.text) == ["orchest/base-kernel-py"])
    }

    @Test func `all problems are reported at once with their places`() throws {
        let text = """
            name: ../up
            description: x
            suite: Book worm
            pakages: [python3]
            packages: [Python, python3, python3]
            scripts: [../setup.sh]
            interpreters: {python: python3}
            """
        let error = try #require(throws: DocumentError.self) {
            try Recipe(reading: Array(text.utf8), file: "e.yaml")
        }
        #expect(
            error.description.split(separator: "\n") == [
                "e.yaml:4:1: unknown key `pakages`; did you mean `packages`?",
                "e.yaml:1:7: `../up` is not a name: letters, digits, `.`, `_` and `-` only",
                "e.yaml:3:8: `Book worm` is not the name of a Debian suite",
                "e.yaml:5:12: `Python` is not the name of a Debian package",
                "e.yaml:5:29: `python3` is given twice",
                "e.yaml:6:11: `../setup.sh` is not the name of a file beside the recipe",
                "e.yaml:7:24: the value of `python` must be an absolute path",
            ])
    }

    @Test(
        arguments: [
            "", "- a", "name: [", "name: a\nname: b\n", "name: a\n\tsuite: b", "name: \u{0}", "name: {a: 1}",
            "packages: python3", "variables: [a]", "description: *nowhere",
        ])
    func `a text that is not a recipe is refused`(text: String) {
        #expect(throws: DocumentError.self) { try Recipe(reading: Array(text.utf8), file: "e.yaml") }
    }

    @Test func `names that a shell or apt could take for something else are not packages`() {
        for name in [
            "-y", "a", "python3;id", "$(id)", "python3=1", "python3/sid", "python3:i386", "?essential", "~n.", "a b",
        ] {
            #expect(!DebianName.isPackage(name), "\(name)")
        }
    }

    @Test func `a document that would cost the parser much is refused before it is parsed`() {
        let nested = String(repeating: "[", count: 5000)
        let sequences = String(repeating: "- ", count: 20000)
        let aliases = (0..<30).map { "a\($0): &a\($0) [*a\(max($0 - 1, 0)), *a\(max($0 - 1, 0))]" }.joined(
            separator: "\n")
        let large = String(repeating: "#\n", count: 40000)
        for text in [nested, sequences, aliases, large] {
            #expect(throws: DocumentError.self) { try Recipe(reading: Array(text.utf8), file: "e.yaml") }
        }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: DocumentError.self) { try Recipe(reading: [0x6E, 0xFF], file: "e.yaml") }
    }

    @Test func `control characters of a recipe are not written to the terminal`() throws {
        let error = try #require(throws: DocumentError.self) {
            try Recipe(reading: Array("\"\\e[31mname\": x".utf8), file: "e.yaml")
        }
        #expect(!error.description.unicodeScalars.contains("\u{1B}"))
    }
}
