import PlainText
import Testing

@testable import Pipelines

struct PipelineTests {
    @Test func `a pipeline is read with everything it says`() throws {
        var document = Samples.document(
            parameters: ["seed": 1],
            [
                Samples.step(2, title: "Train", file: "src/train.py", from: [1], parameters: ["lr": 5]),
                Samples.step(1, title: "", file: "./load.ipynb", environment: ""),
                Samples.step(3, title: "Out", file: "/data//out/./x.sh", from: [2, 1]),
            ]
        )
        document["settings"] = ["max_steps_parallelism": 2, "data_passing_memory_size": "1GB"]
        let pipeline = try Samples.pipeline(document, file: "pipelines/main.orchest")
        #expect(pipeline.name == "Main" && pipeline.uuid == Samples.pipelineUUID && pipeline.version == "1.2.3")
        #expect(pipeline.directory == "pipelines")
        #expect(pipeline.parameters == ["seed": 1])
        #expect(pipeline.settings.maxStepsParallelism == 2)
        #expect(pipeline.steps.map(\.uuid) == [2, 1, 3].map(Samples.uuid))
        #expect(pipeline.steps.map(\.displayName) == ["Train", "load.ipynb", "Out"])
        #expect(pipeline.steps[0].resolvedFile == .project("pipelines/src/train.py"))
        #expect(pipeline.steps[0].workingDirectory == "/project-dir/pipelines/src")
        #expect(pipeline.steps[0].environment == Samples.environment && pipeline.steps[1].environment == nil)
        #expect(pipeline.steps[0].kernelLanguage == "python")
        #expect(pipeline.steps[0].parameters == ["lr": 5])
        #expect(pipeline.steps[1].workingDirectory == "/project-dir/pipelines")
        #expect(pipeline.steps[2].resolvedFile == .data("/data/out/x.sh"))
        #expect(pipeline.steps[2].workingDirectory == "/data/out")
        #expect(pipeline.steps[2].incomingConnections == [2, 1].map(Samples.uuid))
        #expect(pipeline.step(uuid: Samples.uuid(3))?.title == "Out")
        #expect(pipeline.warnings == [])
    }

    @Test func `a few members are enough`() throws {
        let text = #"{"name": "Small", "steps": {"\#(Samples.uuid(1))": {"file_path": "a.sh"}}}"#
        let pipeline = try Pipeline(contentsOf: Array(text.utf8), file: "small.orchest")
        #expect(pipeline.version == "1.0.0" && pipeline.settings.maxStepsParallelism == nil)
        #expect(UUIDText.isValid(pipeline.uuid))
        #expect(pipeline.warnings.map(\.message) == ["the pipeline has no `uuid`; one is made from its path"])
        let again = try Pipeline(contentsOf: Array(text.utf8), file: "small.orchest")
        let elsewhere = try Pipeline(contentsOf: Array(text.utf8), file: "other.orchest")
        #expect(again.uuid == pipeline.uuid && elsewhere.uuid != pipeline.uuid)
        let expected: JSONValue = [
            "name": "Small", "uuid": .string(pipeline.uuid), "version": "1.2.3", "parameters": [:],
            "settings": ["max_steps_parallelism": 0],
            "steps": .object([
                Samples.uuid(1): [
                    "uuid": .string(Samples.uuid(1)), "title": "", "file_path": "a.sh", "environment": "",
                    "incoming_connections": [], "parameters": [:],
                ]
            ]),
        ]
        #expect(pipeline.definition == expected)
    }

    @Test func `everything that is wrong is told at once, with its place`() {
        let text = """
            {
                "name": 7,
                "uuid": "not-one",
                "version": "9.9",
                "parameters": [],
                "settings": {"max_steps_parallelism": "two"},
                "steps": {
                    "\(Samples.uuid(1))": {
                        "uuid": "\(Samples.uuid(2))",
                        "title": "A",
                        "file_path": "../out.py",
                        "kernel": "python",
                        "parameters": 3,
                        "incoming_connections": [1],
                        "environment": null
                    },
                    "x": {"title": "B"},
                    "\(Samples.uuid(3))": []
                }
            }
            """
        #expect(
            diagnostics(text) == [
                "main.orchest:2:13: `name` of the pipeline must be a string, not `7`",
                "main.orchest:3:13: the `uuid` of the pipeline is `not-one`, which is not a UUID in lower case",
                "main.orchest:4:16: the format version `9.9` is not known",
                "main.orchest:5:19: `parameters` of the pipeline must be an object, not a list",
                "main.orchest:6:43: `max_steps_parallelism` must be a whole number from 0 on, not a string",
                "main.orchest:9:21: the step `A` has the `uuid` `\(Samples.uuid(2))`, but its key is `\(Samples.uuid(1))`",
                "main.orchest:11:26: the step `A` has a file path that leads out of the project: `../out.py`",
                "main.orchest:12:23: `kernel` of the step `A` must be an object, not a string",
                "main.orchest:13:27: `parameters` of the step `A` must be an object, not `3`",
                "main.orchest:14:38: a connection of the step `A` must be the uuid of a step, not `1`",
                "main.orchest:15:28: `environment` of the step `A` must be a string, not null",
                "main.orchest:17:9: the key of the step `B` is `x`, which is not a UUID in lower case",
                "main.orchest:17:14: the step `B` has no `file_path`",
                "main.orchest:18:49: the step `\(Samples.uuid(3))` must be an object, not a list",
            ]
        )
    }

    @Test(arguments: [
        ("[]", "main.orchest:1:1: a pipeline must be an object, not a list"),
        ("{}", "main.orchest:1:1: the pipeline has no `name`"),
        (#"{"name": "x"}"#, "main.orchest:1:1: the pipeline has no `steps`"),
        (#"{"name": "x", "steps": []}"#, "main.orchest:1:24: `steps` of the pipeline must be an object, not a list"),
        ("{", "main.orchest:1:2: the file ends inside an object that begins at 1:1"),
    ])
    func `what is no pipeline is refused`(text: String, message: String) {
        #expect(diagnostics(text).contains(message))
    }

    @Test func `a name is at most 255 characters long`() {
        let steps: [(String, JSONValue)] = []
        #expect(diagnostics(Samples.document(name: String(repeating: "é", count: 255), steps)) == [])
        #expect(diagnostics(Samples.document(name: String(repeating: "é", count: 256), steps)).count == 1)
    }

    @Test func `misspelt members are refused, and others are let be`() throws {
        var document = Samples.document([Samples.step(1, title: "A", file: "a.py")])
        document["paramters"] = [:]
        document["parameters"] = nil
        document["something_else"] = 1
        let error = #expect(throws: InvalidDocument.self) { try Samples.pipeline(document) }
        let problems = try #require(error).diagnostics
        #expect(problems.map(\.message) == ["`paramters` of the pipeline is not known and has no effect"])
        #expect(problems.map(\.hint) == ["did you mean `parameters`?"])
    }

    @Test func `only fifty problems are kept, errors before warnings`() {
        let steps = (0..<200).map { Samples.step($0, title: "S\($0)", file: "") }
        do {
            _ = try Samples.pipeline(steps)
            Issue.record("the pipeline was read")
        } catch let error as InvalidDocument {
            #expect(error.diagnostics.count == 50 && error.omitted == 150)
            #expect(error.description.hasSuffix("\nand 150 more"))
        } catch {
            Issue.record(error)
        }
    }

    @Test func `hostile titles and names cannot reach the terminal`() {
        let found = diagnostics(
            Samples.document([Samples.step(1, title: "\u{1b}]0;x\u{7}\n\u{202e}", file: "\u{1b}[2J/../../\u{9b}")])
        )
        #expect(found.count == 1)
        #expect(found.allSatisfy { $0.unicodeScalars.allSatisfy { !$0.isUnprintable } })
    }

    @Test func `the parameters file lies beside the pipeline`() {
        #expect(Pipeline.parametersFile(for: "sub/a.orchest") == "sub/a.parameters.json")
        #expect(Pipeline.parametersFile(for: "a.b.orchest") == "a.b.parameters.json")
    }

    @Test func `steps are found by uuid, title and file`() throws {
        let pipeline = try Samples.pipeline([
            Samples.step(1, title: "Load", file: "a/x.py"), Samples.step(2, title: "Load", file: "b/x.py"),
            Samples.step(3, title: "x.py", file: "c/y.py"),
        ])
        #expect(try pipeline.step(named: Samples.uuid(2)).uuid == Samples.uuid(2))
        #expect(try pipeline.step(named: "x.py").uuid == Samples.uuid(3))
        #expect(try pipeline.step(named: "b/x.py").uuid == Samples.uuid(2))
        #expect(try pipeline.step(named: "y.py").uuid == Samples.uuid(3))
        #expect(throws: ParameterError.self) { try pipeline.step(named: "") }
        do {
            _ = try pipeline.step(named: "Load")
        } catch {
            #expect(error.description == "`Load` means 2 steps")
            #expect(error.hint?.contains(Samples.uuid(1)) == true)
        }
        do {
            _ = try pipeline.step(named: "Laod")
        } catch {
            #expect(error.description == "there is no step `Laod` in the pipeline")
            #expect(error.hint == "did you mean `Load` (\(Samples.uuid(1)))?")
        }
    }
}

struct ConnectionTests {
    private func found(_ steps: [(String, JSONValue)]) -> [String] {
        diagnostics(Samples.document(steps)).map { String($0.drop { $0 != " " }.dropFirst()) }
    }

    @Test func `an unknown step is told with the nearest one`() {
        var (key, value) = Samples.step(2, title: "Train", file: "train.py")
        var step = value.objectValue ?? [:]
        step["incoming_connections"] = .array([.string(Samples.uuid(1).replacing(last: "2f")), "nothing like it"])
        value = .object(step)
        let document = Samples.document([Samples.step(1, title: "Load", file: "load.py"), (key, value)])
        do {
            _ = try Samples.pipeline(document)
        } catch let error as InvalidDocument {
            #expect(error.diagnostics.count == 2)
            #expect(error.diagnostics[0].message.hasSuffix("which is no step"))
            #expect(error.diagnostics[0].hint == "did you mean `Load` (\(Samples.uuid(1)))?")
            #expect(error.diagnostics[1].hint == nil)
        } catch {
            Issue.record(error)
        }
    }

    @Test func `a step may not be connected to itself or to another twice`() {
        let (one, two) = ("`A` (\(Samples.uuid(1)))", "`B` (\(Samples.uuid(2)))")
        #expect(
            found([
                Samples.step(1, title: "A", file: "a.py", from: [1]),
                Samples.step(2, title: "B", file: "b.py", from: [1, 1]),
            ]) == ["the step \(one) is connected to itself", "the step \(two) is connected to \(one) twice"]
        )
    }

    @Test func `a cycle is told by its titles`() {
        let steps = [
            Samples.step(1, title: "A", file: "a.py", from: [3]),
            Samples.step(2, title: "B", file: "b.py", from: [1]),
            Samples.step(3, title: "C", file: "c.py", from: [2]),
            Samples.step(4, title: "D", file: "d.py", from: [3]),
        ]
        #expect(found(steps) == ["the connections form a cycle: `B` -> `C` -> `A` -> `B`"])
        let place = diagnostics(Samples.document(steps))[0]
        let text = JSONValue.object(Samples.document(steps)).text(pretty: true)
        let line = text.split(separator: "\n").firstIndex { $0.contains("\"\(Samples.uuid(1))\"") && !$0.contains(":") }
        #expect(place.hasPrefix("main.orchest:\((line ?? 0) + 1):17: "))
    }

    @Test func `a cycle of thousands of steps is told in one line`() {
        let steps = (0..<3000).map { Samples.step($0, title: "S\($0)", file: "a.py", from: [($0 + 1) % 3000]) }
        let message = found(steps)
        #expect(message.count == 1)
        #expect(message[0].count < 400 && message[0].contains("… 2980 more …"))
    }
}

extension String {
    fileprivate func replacing(last digits: String) -> String { dropLast(digits.count) + digits }
}
