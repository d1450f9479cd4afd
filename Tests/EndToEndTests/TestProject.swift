import Foundation

/// A project of one pipeline, `main.orchest`, made in a temporary directory.
final class TestProject {
    /// One step: its file, the steps before it (by number), its parameters.
    struct Step {
        var file: String
        var text: String
        var after: [Int] = []
        var parameters: [String: Any] = [:]
    }

    let directory: TemporaryDirectory
    /// The name that its jobs get; no other test has it.
    let name = "e2e-" + UUID().uuidString.prefix(8).lowercased()

    var path: String { directory.path }

    init(_ steps: [Step], parameters: [String: Any] = [:], grid: [String: [String: [Any]]]? = nil) throws {
        directory = try TemporaryDirectory()
        var table: [String: Any] = [:]
        for (number, step) in steps.enumerated() {
            table[Self.uuid(number)] =
                [
                    "uuid": Self.uuid(number), "title": String(step.file.prefix { $0 != "." }), "file_path": step.file,
                    "environment": "", "incoming_connections": step.after.map(Self.uuid),
                    "kernel": ["name": "python", "display_name": "Python"], "parameters": step.parameters,
                ] as [String: Any]
            try directory.write(step.text, to: step.file)
        }
        let pipeline: [String: Any] = [
            "name": "End to end", "uuid": "00000000-0000-4000-8000-0000000000ff", "version": "1.2.3",
            "parameters": parameters, "services": [String: Any](), "steps": table,
            "settings": [
                "auto_eviction": false, "data_passing_memory_size": "1GB", "max_steps_parallelism": 0,
            ] as [String: Any],
        ]
        try write(pipeline, to: "main.orchest")
        if let grid {
            try write(
                Dictionary(uniqueKeysWithValues: grid.map { ($0 == "pipeline" ? "pipeline_parameters" : $0, $1) }),
                to: "main.parameters.json")
        }
    }

    /// Gives its steps an environment of its own on the base `python`, made by a set-up script.
    func bringEnvironment(_ uuid: String, _ script: String) throws {
        try directory.write(
            try directory.read("main.orchest").replacingOccurrences(
                of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\""), to: "main.orchest")
        let place = ".orchest/environments/\(uuid)/"
        try directory.write(
            """
            {"uuid": "\(uuid)", "name": "Mine", "language": "python", "base_image": "python", "gpu_support": false}
            """, to: place + "properties.json")
        try directory.write(script, to: place + "setup_script.sh")
    }

    static func uuid(_ number: Int) -> String {
        "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - String(number).count) + String(number)
    }

    /// Runs `cloche` in the project.
    func cloche(_ arguments: String..., timeout: Double = 120) throws -> CommandResult {
        try Cloche.start(arguments, in: path).wait(timeout: timeout)
    }

    private func write(_ object: Any, to name: String) throws {
        let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
        try directory.write(String(decoding: data, as: UTF8.self), to: name)
    }
}
