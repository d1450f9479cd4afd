import Testing

@testable import Pipelines

struct PipelineMigrationTests {
    private func pipeline(_ version: String?, services: JSONObject, kernel: JSONValue = "python") throws -> Pipeline {
        var document = Samples.document([Samples.step(1, title: "A", file: "a.py")])
        document["version"] = version.map { .string($0) }
        document["services"] = .object(services)
        var steps = document["steps"]?.objectValue ?? [:]
        var step = steps[Samples.uuid(1)]?.objectValue ?? [:]
        step["kernel"] = ["name": kernel, "display_name": "K"]
        step["outgoing_connections"] = ["whatever"]
        steps[Samples.uuid(1)] = .object(step)
        document["steps"] = .object(steps)
        return try Samples.pipeline(document)
    }

    private let old: JSONObject = [
        "Redis Cache": ["image": "Library/REDIS:6", "name": "Redis Cache", "scope": ["noninteractive"]],
        "app": [
            "image": "orchest/streamlit", "name": "app", "scope": ["interactive", "noninteractive"],
            "entrypoint": "bash", "command": "-c 'run'", "binds": ["/data": "/data"],
            "env_variables": ["A.B": "1", "A B": "2", "OK": "3"], "env_variables_inherit": ["X Y", "Z"],
        ],
        "1web": ["image": "x", "name": "1web", "scope": ["interactive"], "ports": [81], "order": 3],
    ]

    @Test(arguments: ["1.0.0", nil, ""])
    func `the oldest documents are brought to the newest format`(version: String?) throws {
        let pipeline = try pipeline(version, services: old, kernel: "ir")
        #expect(pipeline.version == "1.0.0")
        #expect(pipeline.steps[0].kernelLanguage == "r")
        let services = pipeline.services
        #expect(services.map(\.name) == ["redis-cache", "app", "web"])
        #expect(services.map(\.ports) == [[6379], [8501], [81]])
        #expect(services.map(\.order) == [4, 5, 3])
        #expect(services[1].command == "bash" && services[1].arguments == "-c 'run'")
        #expect(services[1].environmentVariables == ["A_B": "1", "A_B_2": "2", "OK": "3"])
        #expect(services[1].inheritedVariables == ["X_Y", "Z"])
        #expect(services[1].scope == [.interactive, .noninteractive])
        // The last one is for people at work alone.
        let told = try #require(pipeline.warnings.first { $0.message.contains("no services are started") })
        #expect(told.message.hasSuffix("the pipeline has `redis-cache`, `app`"))
        #expect(services.allSatisfy { !$0.isExposed && $0.requiresAuthentication && !$0.preservesBasePath })
        let definition = pipeline.definition
        #expect(definition["version"] == "1.2.3")
        #expect(definition["settings"]?["max_steps_parallelism"] == 0)
        #expect(definition["services"]?.objectValue?.keys == ["redis-cache", "app", "web"])
        #expect(definition["services"]?["app"]?["entrypoint"] == nil)
        let step = try #require(definition["steps"]?[Samples.uuid(1)])
        #expect(step["kernel"]?["name"] == "r")
        #expect(step["outgoing_connections"] == nil)
        #expect(step["meta_data"]?["position"] == [1, 2])
    }

    @Test(arguments: ["1.1.0", "1.2.0", "1.2.1", "1.2.2", "1.2.3"])
    func `documents of every version are read`(version: String) throws {
        let service: JSONObject = [
            "image": "postgres", "name": "db", "scope": ["noninteractive"], "ports": [5432], "order": 0,
            "exposed": true, "requires_authentication": false, "preserve_base_path": true, "args": "-x",
        ]
        let pipeline = try pipeline(version, services: ["db": .object(service)])
        #expect(pipeline.version == version)
        let read = try #require(pipeline.services.first)
        #expect(read.isExposed && !read.requiresAuthentication && read.preservesBasePath)
        #expect(read.arguments == "-x" && read.command == nil && read.order == 0)
    }

    @Test func `a new document is only completed`() throws {
        var document = Samples.document([Samples.step(1, title: "A", file: "a.py")])
        document["extra"] = ["kept": [1]]
        var expected = document
        var settings = document["settings"]?.objectValue ?? [:]
        settings["max_steps_parallelism"] = 0
        expected["settings"] = .object(settings)
        #expect(try Samples.pipeline(document).definition == .object(expected))
    }

    @Test func `names that collide after renaming stay apart`() throws {
        let names = (0..<3000).map { "\($0)web" } + ["web", "web-2"]
        let services = JSONObject(names.map { ($0, ["image": "x", "name": .string($0), "scope": []] as JSONValue) })
        let read = try pipeline("1.0.0", services: services).services
        #expect(Set(read.map(\.name)).count == 3002)
        #expect(Set(read.map(\.order)).count == 3002)
        #expect(read.suffix(2).map(\.name) == ["web", "web-2"])
        #expect(read.allSatisfy { $0.name.count <= 26 })
    }

    @Test func `wrong services are told at their places`() {
        let text = """
            {
                "name": "x", "uuid": "\(Samples.pipelineUUID)", "version": "1.2.3", "steps": {},
                "services": {
                    "Bad_Name": {"image": "x", "name": "Bad_Name", "scope": [], "ports": [1], "order": 0, "exposed": false},
                    "a": {
                        "image": "",
                        "name": "b",
                        "scope": ["sometimes"],
                        "ports": [0],
                        "order": 0,
                        "exposed": "yes",
                        "binds": {"/etc": "/x"},
                        "env_variables": {"A=B": "1", "C": 2},
                        "command": ["x"]
                    },
                    "c": {},
                    "d": 1
                }
            }
            """
        let found = diagnostics(text).map { String($0.dropFirst("main.orchest:".count)) }
        #expect(
            found == [
                "4:9: the service name `Bad_Name` cannot be a host name",
                "6:22: `image` of the service `a` is empty",
                "7:21: `name` of the service `a` is `b`, but its key is `a`",
                "8:22: `scope` of the service `a` may only hold \"interactive\" and \"noninteractive\"",
                "9:22: `ports` of the service `a` may only hold numbers from 1 to 65535",
                "10:22: `order` of the service `a` is that of another service",
                "11:24: `exposed` of the service `a` must be true or false, not a string",
                "12:22: `binds` of the service `a` names `/etc`; only `/data` and `/project-dir` can be bound",
                "13:30: `env_variables` of the service `a` gives `C` as a number; it must be a string",
                "13:30: `env_variables` of the service `a` holds `A=B`, which cannot be the name of a variable",
                "14:24: `command` of the service `a` must be a string, not a list",
                "16:9: `name` of the service `c` is missing",
                "16:9: `image` of the service `c` is missing",
                "16:9: `scope` of the service `c` is missing",
                "16:9: `ports` of the service `c` is missing",
                "16:9: `exposed` of the service `c` is missing",
                "16:9: `order` of the service `c` is missing",
                "16:9: `order` of the service `c` is that of another service",
                "17:14: the service `d` must be an object",
            ]
        )
    }
}
