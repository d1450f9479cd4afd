import Testing

@testable import Pipelines

@Suite("Variables of a project") struct ProjectVariablesTests {
    private static func read(_ text: String) throws(InvalidDocument) -> ProjectVariables {
        try ProjectVariables(contentsOf: Array(text.utf8))
    }

    @Test func `a pipeline's win over the project's, and a job's over both`() throws {
        let uuid = "00000000-0000-4000-8000-000000000001"
        let file = try Self.read(
            #"{"project": {"A": "1", "B": "1", "C": "1"}, "pipelines": {"\#(uuid)": {"B": "2", "C": "2"}}}"#)
        #expect(file.variables(ofPipeline: uuid, under: ["C": "3"]) == ["A": "1", "B": "2", "C": "3"])
        #expect(file.variables(ofPipeline: "another", under: [:]) == ["A": "1", "B": "1", "C": "1"])
        #expect(ProjectVariables().variables(ofPipeline: uuid, under: ["C": "3"]) == ["C": "3"])
    }

    @Test func `what is required and not given is named with its place`() throws {
        let file = try Self.read("{\n  \"required\": [\"DB_URL\", \"TOKEN\"]\n}")
        #expect(throws: Never.self) { try file.requireAll(among: ["TOKEN", "DB_URL", "X"]) }
        let error = #expect(throws: InvalidDocument.self) { try file.requireAll(among: ["DB_URL"]) }
        #expect(
            error?.description == ".orchest/variables.json:2:26: the variable `TOKEN` is required and not set")
        #expect(error?.hint?.contains("--secret NAME=TOKEN") == true)
    }

    @Test(arguments: [
        "[]", #"{"project": []}"#, #"{"project": {"A": 1}}"#, #"{"project": {"A B": "1"}}"#, #"{"project": {"": "1"}}"#,
        #"{"projekt": {}}"#, #"{"secrets": ["A"]}"#, #"{"pipelines": {"x": {}}}"#, #"{"required": "A"}"#,
        #"{"required": ["A=B"]}"#, #"{"project": {"A": "\u0000"}}"#,
    ])
    func `another form is refused`(_ text: String) {
        #expect(throws: InvalidDocument.self) { try Self.read(text) }
    }

    @Test func `variables that every step has from elsewhere are refused, with their place`() throws {
        for text in [#"{"project": {"OWN": "1"}}"#, #"{"required":["OWN"]}"#] {
            let error = #expect(throws: InvalidDocument.self) {
                try ProjectVariables(contentsOf: Array(text.utf8), own: ["OWN"])
            }
            #expect(error?.description.contains(":1:14: the variable `OWN` cannot be set") == true, "\(error as Any)")
        }
    }
}
