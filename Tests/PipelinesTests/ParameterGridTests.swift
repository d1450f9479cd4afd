import Testing

@testable import Pipelines

struct ParameterGridTests {
    private func grid(_ text: String, _ pipeline: Pipeline? = nil) throws -> ParameterGrid {
        let pipeline = try pipeline ?? Samples.parameterised()
        return try ParameterGrid(contentsOf: Array(text.utf8), file: "main.parameters.json", for: pipeline)
    }

    private func problems(_ text: String, _ pipeline: Pipeline? = nil) throws -> [Diagnostic] {
        do {
            _ = try grid(text, pipeline)
            return []
        } catch let error as InvalidDocument {
            return error.diagnostics
        }
    }

    private func all(_ grid: ParameterGrid) -> [String] {
        (0..<(grid.count ?? 0)).map { grid[$0].json.text() }
    }

    @Test func `a parameter that has no default is kept, and told with the one that was probably meant`() throws {
        let text =
            #"{"pipeline_parameters": {"seed": [1, 2], "lr": [1]}, "Train": {"dept": [4]}, "Load": {"new": [1]}}"#
        let read = try ParameterGrid.reading(
            Array(text.utf8), file: "main.parameters.json", for: try Samples.parameterised())
        #expect(read.grid.count == 2)
        #expect(
            read.warnings.map { [$0.description, $0.hint] } == [
                [
                    "main.parameters.json:1:42: the pipeline has no parameter `lr`",
                    "the step `Train` has one: `--step-param` sets it for a single run",
                ],
                ["main.parameters.json:1:64: the step `Train` has no parameter `dept`", "did you mean `depth`?"],
                ["main.parameters.json:1:87: the step `Load` has no parameter `new`", nil],
            ])
        #expect(read.warnings.allSatisfy { $0.severity == .warning })
    }

    @Test func `a value of another kind than the default is told, once a parameter, and null is of every kind`() throws
    {
        let text =
            #"{"Train": {"lr": [5, "O.2", [1], null], "depth": [null, 2.5]}, "pipeline_parameters": {"data": [1]}}"#
        let read = try ParameterGrid.reading(
            Array(text.utf8), file: "main.parameters.json", for: try Samples.parameterised())
        #expect(read.grid.count == 8)
        #expect(
            read.warnings.map(\.description) == [
                #"main.parameters.json:1:12: `lr` is a number in the pipeline, and a string here: `"O.2"`"#,
                "main.parameters.json:1:88: `data` is a string in the pipeline, and a number here: `1`",
            ])
    }

    @Test func `a value that is given twice is told, since its runs are equal`() throws {
        let read = try ParameterGrid.reading(
            Array(#"{"Train": {"lr": [1, 2, 1, 1]}, "Load": {"rows": [1, 2]}}"#.utf8), file: "main.parameters.json",
            for: try Samples.parameterised())
        #expect(read.grid.count == 8)
        #expect(
            read.warnings.map(\.description) == [
                "main.parameters.json:1:12: `lr` has the value `1` more than once, so there are equal runs"
            ])
    }

    @Test func `the defaults make one run`() throws {
        let grid = ParameterGrid(defaultsOf: try Samples.parameterised())
        #expect(grid.count == 1)
        #expect(grid.varying.isEmpty)
        #expect(grid.entries.map(\.step) == [nil, Samples.uuid(1), Samples.uuid(2)])
        let expected =
            #"{"pipeline_parameters":{"seed":1,"data":"small"},"\#(Samples.uuid(1))":{"rows":10},"#
            + #""\#(Samples.uuid(2))":{"lr":5,"depth":3}}"#
        #expect(all(grid) == [expected])
        #expect(grid.label(at: 0) == "")
    }

    @Test func `a pipeline without parameters makes one run without any`() throws {
        let pipeline = try Samples.pipeline([Samples.step(1, title: "A", file: "a.py")])
        #expect(all(ParameterGrid(defaultsOf: pipeline)) == ["{}"])
        #expect(all(try grid("{}", pipeline)) == ["{}"])
        #expect(all(try grid(#"{"pipeline_parameters": {}, "A": {}}"#, pipeline)) == ["{}"])
    }

    @Test func `the last parameter of the file changes fastest`() throws {
        let grid = try grid(
            #"{"Train": {"lr": [1, 2], "depth": [3, 4]}, "pipeline_parameters": {"seed": [5, 6]}, "load.py": {"rows": [7]}}"#
        )
        #expect(grid.count == 8)
        let runs = (0..<8).map { index in
            let run = grid[index]
            return [run.steps[Samples.uuid(2)]?["lr"], run.steps[Samples.uuid(2)]?["depth"], run.pipeline["seed"]]
                .compactMap { $0?.intValue }
        }
        #expect(
            runs == [[1, 3, 5], [1, 3, 6], [1, 4, 5], [1, 4, 6], [2, 3, 5], [2, 3, 6], [2, 4, 5], [2, 4, 6]])
        #expect(grid.varying.map(\.displayName) == ["Train.lr", "Train.depth", "seed"])
        #expect(grid.label(at: 5) == "Train.lr=2 Train.depth=3 seed=6")
    }

    @Test func `what the file leaves out comes from the pipeline`() throws {
        let grid = try grid(#"{"\#(Samples.uuid(2))": {"extra": [true, false], "depth": [1]}}"#)
        #expect(grid.entries.map(\.step) == [Samples.uuid(2), Samples.uuid(1), nil])
        #expect(grid.entries[0].parameters.map(\.name) == ["lr", "depth", "extra"])
        #expect(grid.entries[0].parameters.map(\.values) == [[5], [1], [true, false]])
        #expect(grid.entries[2].parameters.map(\.name) == ["seed", "data"])
        #expect(grid[1].steps[Samples.uuid(2)] == ["lr": 5, "depth": 1, "extra": false])
        #expect(grid[1].pipeline == ["seed": 1, "data": "small"])
    }

    @Test func `values of every kind are kept, equal ones twice`() throws {
        let grid = try grid(
            #"{"pipeline_parameters": {"seed": [[1, 2], {"a": null}, "x", 1, 1, 99999999999999999999]}}"#)
        #expect(
            (0..<6).map { grid[$0].pipeline["seed"]?.text() }
                == ["[1,2]", #"{"a":null}"#, #""x""#, "1", "1", "99999999999999999999"]
        )
    }

    @Test func `the strategy form is the same as the plain one`() throws {
        let plain = try grid(#"{"pipeline_parameters": {"seed": [1, 2]}, "\#(Samples.uuid(2))": {"lr": ["a", "b"]}}"#)
        let strategy = try grid(
            #"""
            {"pipeline_parameters": {"key": "pipeline_parameters", "title": "Main", "parameters": {"seed": "[1, 2]"}},
             "\#(Samples.uuid(2))": {"key": "\#(Samples.uuid(2))", "title": "T", "parameters": {"lr": "[\"a\", \"b\"]"}}}
            """#
        )
        #expect(strategy.entries == plain.entries)
        #expect(try grid(plain.json.text()).entries == plain.entries)
    }

    @Test func `a parameter may be called parameters`() throws {
        let grid = try grid(#"{"Train": {"parameters": [1, 2], "title": ["x"]}}"#)
        #expect(grid.count == 2)
        #expect(grid[1].steps[Samples.uuid(2)]?["parameters"] == 2)
    }

    @Test func `everything wrong with a file is told at once`() throws {
        let text = #"""
            {
              "pipeline_parameters": {"seed": 3, "data": []},
              "Trian": {"lr": [1]},
              "Load": [1],
              "load.py": {"rows": [1]},
              "Train": {"key": "x", "parameters": {"lr": "5", "depth": "[1", "more": "[]", "list": [1], "n": 1}}
            }
            """#
        let found = try problems(text)
        let names = ["more", "list", "n"]
        #expect(
            found.filter { $0.severity == .warning }.map(\.message)
                == names.map { "the step `Train` has no parameter `\($0)`" })
        let errors = found.filter { $0.severity == .error }
        #expect(
            errors.map(\.description).map { String($0.dropFirst("main.parameters.json:".count)) } == [
                "2:35: the values of `seed` must be a list, not a number",
                "2:46: the list of `data` is empty, so there would be no run",
                "3:3: there is no step `Trian` in the pipeline",
                "4:11: the parameters of `Load` must be an object, not a list",
                "5:3: `load.py` was already given at 4:3",
                "6:20: `key` is not `Train`, the key of its entry",
                "6:46: the text of `lr` must hold a list, not a number",
                "6:60: the text of `depth` is not a JSON list: 1:3: the file ends inside a list that begins at 1:1",
                "6:74: the list of `more` is empty, so there would be no run",
                "6:98: the values of `n` must be a list, not a number",
            ]
        )
        #expect(found[0].hint == "wrap it in brackets: [3]")
        #expect(found[2].hint == "did you mean `Train` (\(Samples.uuid(2)))?")
        #expect(found[6].hint == #"wrap it in brackets: "[5]""#)
    }

    @Test func `a title that two steps have names none`() throws {
        let pipeline = try Samples.pipeline([
            Samples.step(1, title: "A", file: "a.py"), Samples.step(2, title: "A", file: "b.py"),
        ])
        let found = try problems(#"{"A": {"x": [1]}}"#, pipeline)
        #expect(found.map(\.message) == ["`A` means 2 steps"])
        #expect(found[0].hint?.contains(Samples.uuid(2)) == true)
        #expect(try grid(#"{"b.py": {"x": [1, 2]}}"#, pipeline).count == 2)
    }

    @Test func `a step titled like the pipeline's key does not take its place`() throws {
        let pipeline = try Samples.pipeline(
            parameters: ["a": 1], [Samples.step(1, title: "pipeline_parameters", file: "a.py")])
        #expect(try grid(#"{"pipeline_parameters": {"a": [1, 2]}}"#, pipeline)[1].pipeline == ["a": 2])
    }

    @Test func `a billion combinations and more cost nothing`() throws {
        let list = "[" + (0..<1000).map(String.init).joined(separator: ",") + "]"
        let billion = try grid(#"{"pipeline_parameters": {"a": \#(list), "b": \#(list), "c": \#(list)}}"#)
        #expect(billion.count == 1_000_000_000)
        let run = billion[123_456_789].pipeline
        #expect(run["a"] == 123 && run["b"] == 456 && run["c"] == 789)
        #expect(billion.varying.map { $0.value(at: 123_456_789) } == [123, 456, 789])

        let members = (0..<8).map { #""p\#($0)": \#(list)"# }.joined(separator: ",")
        let huge = try grid(#"{"pipeline_parameters": {\#(members)}}"#)
        #expect(huge.count == nil)
        #expect(huge[1_000_999].pipeline["p7"] == 999)
        #expect(huge[1_000_999].pipeline["p5"] == 1)
        #expect(huge.varying.map { $0.value(at: 1_000_999).intValue } == [0, 0, 0, 0, 0, 1, 0, 999])
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `combinations are those of nested loops`(seed: UInt64) throws {
        var generator = Lehmer(state: seed &* 7919)
        let lists = (0..<Int.random(in: 1...5, using: &generator)).map { _ in
            (0..<Int.random(in: 1...4, using: &generator)).map { _ in Int.random(in: 0...3, using: &generator) }
        }
        let owners = lists.indices.map { $0 % 3 }
        let keys = ["pipeline_parameters", "Load", "Train"]
        let entries: [String] = (0..<3).map { owner in
            let members = lists.indices.filter { owners[$0] == owner }.map { #""x\#($0)": \#(lists[$0])"# }
            return #""\#(keys[owner])": {\#(members.joined(separator: ","))}"#
        }
        let grid = try grid("{" + entries.joined(separator: ",") + "}")
        let order = lists.indices.sorted { (owners[$0], $0) < (owners[$1], $1) }
        var expected: [[Int: Int]] = [[:]]
        for parameter in order {
            expected = expected.flatMap { run in lists[parameter].map { run.merging([parameter: $0]) { $1 } } }
        }
        try #require(grid.count == expected.count)
        for (index, run) in expected.enumerated() {
            for (parameter, value) in run {
                let step = [nil, Samples.uuid(1), Samples.uuid(2)][owners[parameter]]
                #expect(grid[index].value(of: "x\(parameter)", step: step)?.intValue == value)
            }
            for varying in grid.varying {
                #expect(varying.value(at: index) == grid[index].value(of: varying.name, step: varying.step))
            }
        }
    }

    @Test func `hostile files are refused or bounded`() throws {
        #expect(try problems("[1]").map(\.message) == ["a parameters file must be an object, not a list"])
        #expect(try problems(#"{"Train": {"lr": [1e400]}}"#).count == 1)
        #expect(try problems(#"{"Train": {"lr": [1], "lr": [2]}}"#).count == 1)
        #expect(
            try problems(#"{"Train": {"parameters": {"lr": "\#(String(repeating: "[", count: 5000))"}}}"#).count == 1)
        let unknown = (0..<20_000).map { #""step \#($0)": {}"# }.joined(separator: ",")
        #expect(try problems("{\(unknown)}").count == 50)
    }
}
