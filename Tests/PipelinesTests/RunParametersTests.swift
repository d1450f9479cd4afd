import PlainText
import Testing

@testable import Pipelines

struct RunParametersTests {
    @Test func `parameters are replaced, not merged`() throws {
        let pipeline = try Samples.parameterised()
        let run = RunParameters(steps: [Samples.uuid(2): ["lr": 9]])
        let definition = try run.apply(to: pipeline)
        #expect(definition["parameters"] == [:])
        #expect(definition["steps"]?[Samples.uuid(2)]?["parameters"] == ["lr": 9])
        #expect(definition["steps"]?[Samples.uuid(1)]?["parameters"] == ["rows": 10])
        var expected = pipeline.definition.objectValue ?? [:]
        expected["parameters"] = nil
        var found = definition.objectValue ?? [:]
        found["parameters"] = nil
        expected["steps"] = nil
        found["steps"] = nil
        #expect(found == expected)
    }

    @Test func `the run of the defaults is the pipeline as it is`() throws {
        let pipeline = try Samples.parameterised()
        #expect(try ParameterGrid(defaultsOf: pipeline)[0].apply(to: pipeline) == pipeline.definition)
    }

    @Test func `a step that is not in the pipeline is refused`() throws {
        let run = RunParameters(steps: [Samples.uuid(77): [:]])
        #expect(throws: ParameterError.self) { try run.apply(to: Samples.parameterised()) }
    }

    @Test func `big integers arrive in the file unchanged`() throws {
        let run = RunParameters(pipeline: ["n": try JSONValue(parsing: "12345678901234567890123")])
        let text = try run.apply(to: Samples.parameterised()).text(pretty: true, sortedKeys: true)
        #expect(text.contains("    \"parameters\": {\n        \"n\": 12345678901234567890123\n    },"))
        #expect(text.hasPrefix("{\n    \"name\": \"Main\",\n    \"parameters\""))
    }

    @Test func `the stored form reads back`() throws {
        let run = RunParameters(
            pipeline: ["a": [1, "x"]], steps: [Samples.uuid(2): [:], Samples.uuid(1): ["b": nil]])
        let text = run.json.text()
        #expect(
            text == #"{"pipeline_parameters":{"a":[1,"x"]},"\#(Samples.uuid(1))":{"b":null},"\#(Samples.uuid(2))":{}}"#)
        #expect(try RunParameters(json: JSONValue(parsing: text)) == run)
        #expect(try RunParameters(json: [:]) == RunParameters())
    }

    @Test(arguments: ["[]", #"{"pipeline_parameters": 1}"#, #"{"../x": {}}"#, #"{"step": {}}"#])
    func `stored parameters of another form are refused`(text: String) {
        #expect(throws: ParameterError.self) { try RunParameters(json: JSONValue(parsing: text)) }
    }

    @Test func `labels are short, on one line and harmless`() throws {
        let pipeline = try Samples.parameterised()
        let text = #"""
            {"pipeline_parameters": {"seed": [1, "a\u001b[2J\nb", "true", "", [1, 2]], "long": ["\#(String(repeating: "x", count: 999))", 1]}}
            """#
        let grid = try ParameterGrid(contentsOf: Array(text.utf8), file: "f", for: pipeline)
        let labels = (0..<10).map { grid.label(at: $0, limit: 40) }
        #expect(labels[1] == "seed=1 long=1")
        #expect(labels[3] == #"seed=a\u{1b}[2J\nb long=1"#)
        #expect(labels[5] == #"seed="true" long=1"#)
        #expect(labels[7] == #"seed="" long=1"#)
        #expect(labels[9] == "seed=[1,2] long=1")
        #expect(
            labels.allSatisfy { $0.unicodeScalars.count <= 40 && $0.unicodeScalars.allSatisfy { !$0.isUnprintable } })
    }
}

struct ParameterOverrideTests {
    @Test(arguments: [
        ("lr=0.1", "lr", "0.1"), ("name=abc", "name", #""abc""#), ("on=true", "on", "true"), ("x=null", "x", "null"),
        ("l=[1, \"a\"]", "l", #"[1,"a"]"#), ("o={\"a\":1}", "o", #"{"a":1}"#), ("s=\"1\"", "s", #""1""#),
        ("date=2024-05-01", "date", #""2024-05-01""#), ("empty=", "empty", #""""#), ("eq=a=b", "eq", #""a=b""#),
        ("size=10GB", "size", #""10GB""#), ("n=12345678901234567890123", "n", "12345678901234567890123"),
        ("spaced= 5 ", "spaced", "5"), ("text=two words", "text", #""two words""#), ("a.b=1", "a.b", "1"),
        ("path=/data/x.csv", "path", #""/data/x.csv""#), ("neg=-3", "neg", "-3"), ("minus=-x", "minus", #""-x""#),
        ("e=😀", "e", #""😀""#),
    ])
    func `values are JSON where they can be, else text`(argument: String, name: String, value: String) throws {
        let override = try ParameterOverride(pipelineArgument: argument)
        #expect(override.step == nil && override.name == name && override.value.text() == value)
    }

    @Test(
        arguments: [
            ("lr=.5", "the value of `lr` is not JSON: `.5`", #"for a text write lr='".5"'"#),
            ("x=007", "the value of `x` is not JSON: `007`", #"for a text write x='"007"'"#),
            ("x=True", "the value of `x` is not JSON: `True`", #"for a text write x='"True"'"#),
            ("x=None", "the value of `x` is not JSON: `None`", #"for a text write x='"None"'"#),
            ("x=1e400", "the value of `x` is not JSON: `1e400`", #"for a text write x='"1e400"'"#),
            ("x=nan", "the value of `x` is not JSON: `nan`", #"for a text write x='"nan"'"#),
            ("x=-inf", "the value of `x` is not JSON: `-inf`", #"for a text write x='"-inf"'"#),
            ("x=[1,]", "the value of `x` is not JSON at character 3: a comma before `]`", "remove the comma"),
            (
                "x={a:1}", "the value of `x` is not JSON at character 2: a key without quotes",
                "keys are written in double quotes"
            ),
            ("x=\"abc", "the value of `x` is not JSON at character 1: a text is not closed", nil),
            ("abc", "`abc` is not NAME=VALUE", "write for example `lr=0.1`"),
            ("=1", "`=1` is not NAME=VALUE", "write for example `lr=0.1`"),
        ] as [(String, String, String?)])
    func `what may be meant otherwise is refused`(argument: String, message: String, hint: String?) {
        do {
            _ = try ParameterOverride(pipelineArgument: argument)
            Issue.record("\(argument) was taken")
        } catch {
            #expect(error.message == message)
            #expect(error.hint == hint)
        }
    }

    @Test(arguments: [
        ("Train.lr=1", 2, "lr"), ("train.py.lr=1", 2, "lr"), ("lib/train.py.lr=1", 2, "lr"), ("Train.a.b=1", 2, "a.b"),
        ("Get 1.5 data.x=1", 1, "x"), ("\(Samples.uuid(1)).x=1", 1, "x"), ("train.lr=1", 3, "lr"),
        ("train.py.py.lr=1", 2, "py.lr"),
    ])
    func `a step is named by title, file or uuid`(argument: String, step: Int, name: String) throws {
        let pipeline = try Samples.pipeline([
            Samples.step(1, title: "Get 1.5 data", file: "load.py"),
            Samples.step(2, title: "Train", file: "lib/train.py"),
            Samples.step(3, title: "x", file: "train"),
        ])
        // The file `train` is found before `train.py` can be, since the first dot that fits is taken.
        guard !argument.hasPrefix("train.py") else {
            #expect(try ParameterOverride(stepArgument: argument, in: pipeline).step == Samples.uuid(3))
            return
        }
        let override = try ParameterOverride(stepArgument: argument, in: pipeline)
        #expect(override.step == Samples.uuid(step) && override.name == name && override.value == 1)
    }

    @Test func `a file name with a dot names its step`() throws {
        let override = try ParameterOverride(stepArgument: "train.py.lr=0.5", in: Samples.parameterised())
        #expect(override.step == Samples.uuid(2) && override.name == "lr")
    }

    @Test(arguments: [
        ("Trian.lr=1", "there is no step `Trian` in the pipeline"), ("lr=1", "`lr=1` is not STEP.NAME=VALUE"),
        ("Train.=1", "`Train.=1` names no parameter after `Train`"), ("Train.lr", "`Train.lr` is not STEP.NAME=VALUE"),
        (".x=1", "there is no step `` in the pipeline"),
        ("Train.lr=[", "the value of `Train.lr` is not JSON at character 2"),
    ])
    func `a step that is not there is refused`(argument: String, message: String) throws {
        let pipeline = try Samples.parameterised()
        do {
            _ = try ParameterOverride(stepArgument: argument, in: pipeline)
            Issue.record("\(argument) was taken")
        } catch {
            #expect(error.message.hasPrefix(message))
        }
    }

    @Test func `a parameter that is new is told with the nearest one`() throws {
        let pipeline = try Samples.parameterised()
        func remark(_ override: ParameterOverride) -> [String?]? {
            override.remark(in: pipeline).map { [$0.message, $0.hint] }
        }
        #expect(remark(try ParameterOverride(pipelineArgument: "seed=2")) == nil)
        #expect(remark(try ParameterOverride(pipelineArgument: "seed=null")) == nil)
        #expect(
            remark(try ParameterOverride(pipelineArgument: "seed=O.2"))
                == ["`seed` is a number in the pipeline, and a string here: `\"O.2\"`", nil])
        #expect(
            remark(try ParameterOverride(pipelineArgument: "sede=2"))
                == ["the pipeline has no parameter `sede`", "did you mean `seed`?"])
        #expect(
            remark(try ParameterOverride(stepArgument: "Train.x=2", in: pipeline))
                == ["the step `Train` has no parameter `x`", nil])
        #expect(
            remark(try ParameterOverride(pipelineArgument: "lr=2"))
                == [
                    "the pipeline has no parameter `lr`",
                    "the step `Train` has one: `--step-param` sets it for a single run",
                ])
        #expect(
            remark(try ParameterOverride(stepArgument: "Train.seed=2", in: pipeline))?.last
                == "the pipeline has one: `pipeline_parameters` in a parameters file, `-p` for a single run")
    }

    @Test(
        arguments: [
            ("trian.lr=3", "Train.lr=3"), ("Train.lrx=3", "Train.lr=3"), ("Train.new=3", "Train.new=3"),
            ("train.py.depth=a b", "'train.py.depth=a b'"), ("other.x=1", nil), ("Train.=1", nil), (".x=1", nil),
        ] as [(String, String?)])
    func `a step's parameter that is given as the pipeline's is told with its option`(argument: String, meant: String?)
        throws
    {
        let remark = try ParameterOverride(pipelineArgument: argument).remark(in: Samples.parameterised())
        #expect(remark?.message.hasPrefix("the pipeline has no parameter") == true)
        #expect(remark?.hint == meant.map { "for a step's parameter: `--step-param \($0)`" })
    }

    @Test func `overrides keep the other parameters of a step`() throws {
        let pipeline = try Samples.parameterised()
        let overrides = [
            try ParameterOverride(pipelineArgument: "seed=2"),
            try ParameterOverride(stepArgument: "Train.lr=7", in: pipeline),
            try ParameterOverride(stepArgument: "Train.lr=8", in: pipeline),
        ]
        let run = RunParameters(pipeline: ["data": "x"]).setting(overrides, in: pipeline)
        #expect(run.pipeline == ["data": "x", "seed": 2])
        #expect(run.steps == [Samples.uuid(2): ["lr": 8, "depth": 3]])
    }
}

struct RunSelectionTests {
    @Test(
        arguments: [
            ("3,5-7", [3, 5, 6, 7], "3,5-7"), ("0", [0], "0"), ("7-5,".dropLast(4) + "5-5", [5], "5"),
            ("8-", [8, 9], "8-"), ("1-3,2-5,6", [1, 2, 3, 4, 5, 6], "1-6"), (" 1 , 2 - 3 ", [1, 2, 3], "1-3"),
            ("5,3,3", [3, 5], "3,5"), ("4-,2", [2, 4, 5, 6, 7, 8, 9], "2,4-"), ("0-", Array(0...9), "0-"),
            ("42", [], "42"),
        ] as [(String, [Int], String)])
    func `numbers and ranges choose runs`(text: String, numbers: [Int], shortest: String) throws {
        let selection = try RunSelection(text)
        #expect((0..<10).filter { selection.contains($0) } == numbers)
        #expect(selection.numbers(below: 10) == numbers)
        #expect(selection.description == shortest)
        #expect(try RunSelection(shortest) == selection)
    }

    @Test(
        arguments: [
            ("", "the selection of runs is empty", "write numbers and ranges, for example `3,5-7,20-`"),
            ("1,,2", "`1,,2` has an empty place beside a comma", "write numbers and ranges, for example `3,5-7,20-`"),
            ("1,", "`1,` has an empty place beside a comma", "write numbers and ranges, for example `3,5-7,20-`"),
            ("-4", "`-4` has no first run", "runs are numbered from 0: write `0-4`"),
            ("7-5", "`7-5` ends before it begins", "write `5-7`"),
            (
                "a", "`a` is neither the number of a run nor a range of numbers",
                "write numbers and ranges, for example `3,5-7,20-`"
            ),
            ("1-2-3", "`1-2-3` is neither the number of a run nor a range of numbers", nil),
            ("1-x", "`1-x` does not end with the number of a run", nil),
            ("+1", "`+1` is neither the number of a run nor a range of numbers", nil),
            ("9223372036854775807", "`9223372036854775807` is neither the number of a run nor a range of numbers", nil),
            (
                "99999999999999999999", "`99999999999999999999` is neither the number of a run nor a range of numbers",
                nil
            ),
            ("\u{1b}[2J", "`\\u{1b}[2J` is neither the number of a run nor a range of numbers", nil),
        ] as [(String, String, String?)])
    func `other texts are refused with a hint`(text: String, message: String, hint: String?) {
        do {
            _ = try RunSelection(text)
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.message == message)
            #expect(error.hint != nil)
            if let hint { #expect(error.hint == hint) }
        }
    }

    @Test func `what was asked for and is not there is told`() throws {
        #expect(try RunSelection("0-3").firstMissing(of: 4) == nil)
        #expect(try RunSelection("0-4").firstMissing(of: 4) == 4)
        #expect(try RunSelection("1,9").firstMissing(of: 4) == 9)
        #expect(try RunSelection("2-").firstMissing(of: 4) == nil)
        #expect(try RunSelection("5-").firstMissing(of: 4) == 5)
        #expect(try RunSelection("0-9223372036854775806").contains(1 << 40))
    }
}
