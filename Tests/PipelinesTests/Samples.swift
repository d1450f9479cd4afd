import Testing

@testable import Pipelines

/// Pipelines and identifiers that several suites use.
enum Samples {
    static let pipelineUUID = "9f1c2d3e-0000-4000-8000-000000000000"
    static let environment = "e0000000-0000-4000-8000-000000000001"

    /// The identifier of the step with this number.
    static func uuid(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    /// A step as JSON; connections are numbers of steps.
    static func step(
        _ number: Int, title: String, file: String, from parents: [Int] = [], parameters: JSONObject = [:],
        environment: String = Samples.environment
    ) -> (String, JSONValue) {
        let step: JSONObject = [
            "uuid": .string(uuid(number)), "title": .string(title), "file_path": .string(file),
            "environment": .string(environment), "kernel": ["name": "python", "display_name": "Python"],
            "incoming_connections": .array(parents.map { .string(uuid($0)) }), "parameters": .object(parameters),
            "meta_data": ["hidden": false, "position": [1, 2]],
        ]
        return (uuid(number), .object(step))
    }

    /// A pipeline as JSON.
    static func document(
        name: String = "Main", parameters: JSONObject = [:], version: String = "1.2.3",
        _ steps: [(String, JSONValue)]
    ) -> JSONObject {
        [
            "name": .string(name), "uuid": .string(pipelineUUID), "version": .string(version),
            "settings": ["auto_eviction": false, "data_passing_memory_size": "1GB"],
            "parameters": .object(parameters), "services": [:], "steps": .object(JSONObject(steps)),
        ]
    }

    static func pipeline(
        _ document: JSONObject, file: String = "main.orchest"
    ) throws -> Pipeline {
        try Pipeline(contentsOf: Array(JSONValue.object(document).text(pretty: true).utf8), file: file)
    }

    static func pipeline(parameters: JSONObject = [:], _ steps: [(String, JSONValue)]) throws -> Pipeline {
        try pipeline(document(parameters: parameters, steps))
    }

    /// Two steps and parameters on all levels.
    static func parameterised() throws -> Pipeline {
        try pipeline(
            parameters: ["seed": 1, "data": "small"],
            [
                step(1, title: "Load", file: "load.py", parameters: ["rows": 10]),
                step(2, title: "Train", file: "train.py", from: [1], parameters: ["lr": 5, "depth": 3]),
                step(3, title: "Report", file: "report.ipynb", from: [2]),
            ]
        )
    }
}

/// The diagnostics of reading `text` as a pipeline; none when it is one.
func diagnostics(_ text: String, file: String = "main.orchest") -> [String] {
    diagnostics(Array(text.utf8), file: file)
}

func diagnostics(_ bytes: [UInt8], file: String = "main.orchest") -> [String] {
    do {
        _ = try Pipeline(contentsOf: bytes, file: file)
        return []
    } catch {
        return error.diagnostics.map(\.description)
    }
}

func diagnostics(_ document: JSONObject) -> [String] {
    diagnostics(JSONValue.object(document).text(pretty: true))
}
