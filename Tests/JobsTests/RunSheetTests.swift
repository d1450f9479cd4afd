import Isolation
import Jobs
import Pipelines
import Testing

@Suite("Runs as a table of values") struct RunSheetTests {
    private static let step = "00000000-0000-4000-8000-000000000001"
    private static let other = "00000000-0000-4000-8000-000000000002"

    private func outline(
        _ number: Int, _ state: RunState = .succeeded, pipeline: String, step: String = "{}", metrics: String? = nil,
        seconds: Double? = nil
    ) -> RunOutline {
        let started = Timestamp(seconds: 1000)
        return RunOutline(
            number: number, state: state, attempt: seconds == nil ? 0 : 1,
            parameters: #"{"pipeline_parameters":\#(pipeline),"\#(Self.step)":\#(step)}"#, metrics: metrics,
            cause: state == .failed ? "exit" : nil, started: seconds.map { _ in started },
            finished: seconds.map { Timestamp(seconds: 1000 + $0) })
    }

    private func sheet(_ outlines: [RunOutline]) -> RunSheet {
        RunSheet(
            outlines, titles: [Self.step: "Principal components", Self.other: "train"], now: Timestamp(seconds: 2000))
    }

    private func chosen(_ sheet: RunSheet, _ conditions: String...) throws -> [Int] {
        var sheet = sheet
        try sheet.choose(try conditions.map { try RunCondition($0) })
        return sheet.rows.map(\.outline.number)
    }

    private func order(_ sheet: RunSheet, _ text: String) throws -> [Int] {
        var sheet = sheet
        try sheet.sort(by: try RunOrder.list(text))
        return sheet.rows.map(\.outline.number)
    }

    private var grid: RunSheet {
        sheet([
            outline(0, pipeline: #"{"lr":0.1,"model":"svm"}"#, step: #"{"n":2}"#, metrics: #"{"acc":0.9}"#, seconds: 9),
            outline(1, pipeline: #"{"lr":0.01,"model":"forest"}"#, step: #"{"n":16}"#, metrics: "{}", seconds: 3),
            outline(
                2, .failed, pipeline: #"{"lr":1,"model":"forest"}"#, step: #"{"n":4}"#, metrics: #"{"acc":0.95}"#,
                seconds: 30),
            outline(3, .pending, pipeline: #"{"lr":0.1,"model":"bayes"}"#, step: #"{"n":2}"#),
        ])
    }

    @Test func `runs are chosen by parameters, metrics and facts, and all conditions must hold`() throws {
        #expect(try chosen(grid, "lr>=0.1") == [0, 2, 3])
        #expect(try chosen(grid, "lr>=0.1", "model!=svm") == [2, 3])
        #expect(try chosen(grid, "Principal components.n<=4", "state!=pending") == [0, 2])
        #expect(try chosen(grid, "n=16") == [1] && chosen(grid, "\(Self.step).n=16") == [1])
        #expect(try chosen(grid, "acc>0.9") == [2] && chosen(grid, "metric:acc<=0.9") == [0])
        #expect(try chosen(grid, "time>5", "cause!=exit") == [])
        #expect(try chosen(grid, "cause=exit") == [2] && chosen(grid, "run>1") == [2, 3])
    }

    @Test func `a run without the value is left out, whatever the comparison`() throws {
        #expect(try chosen(grid, "acc!=0.9") == [2] && chosen(grid, "time>=0") == [0, 1, 2])
    }

    @Test func `an unknown name is told with the nearest one and its place`() throws {
        for (text, hint) in [("  modle=svm", "did you mean `model`?"), ("zzzzzz>1", "there are `lr`, `model`")] {
            let error = try #require(#expect(throws: InvalidRunExpression.self) { try chosen(grid, text) })
            #expect(error.hint?.contains(hint) == true, "\(error.hint ?? "")")
            #expect(error.column == (text.hasPrefix(" ") ? 3 : 1))
        }
    }

    @Test func `a comparison with a kind that no run has is an error and no empty list`() throws {
        let error = try #require(#expect(throws: InvalidRunExpression.self) { try chosen(grid, "lr=fast") })
        #expect(error.problem == "`lr` is compared with a text, and is a number in every run")
        #expect(error.hint == "a run has for example `lr=0.1`")
    }

    @Test func `a name of several steps must be told apart, and a metric can have a parameter's name`() throws {
        let parameters = #"{"\#(Self.step)":{"n":1},"\#(Self.other)":{"n":2},"pipeline_parameters":{"acc":7}}"#
        let sheet = sheet([
            RunOutline(number: 0, state: .succeeded, attempt: 1, parameters: parameters, metrics: #"{"acc":1}"#)
        ])
        let error = try #require(#expect(throws: InvalidRunExpression.self) { try chosen(sheet, "n=1") })
        #expect(error.problem.contains("2 steps") && error.hint?.contains("`train.n`") == true)
        #expect(try chosen(sheet, "train.n=2", "acc=7", "metric:acc=1", "parameter:acc=7") == [0])
        let hidden = self.sheet([outline(3, pipeline: #"{"run":9,"state":"x"}"#)])
        #expect(try chosen(hidden, "run=9", "fact:run=3", "state=x", "fact:state=succeeded") == [3])
    }

    @Test func `integers are sorted by all of their digits, also beside texts`() throws {
        let values = ["9007199254740993", "9007199254740992", "-9007199254740993", "5", "9007199254740994"]
        for more in [[], [#""x""#]] {
            let sheet = sheet(
                (values + more).enumerated().map { outline($0, pipeline: #"{"n":\#($1)}"#, step: "{}") })
            #expect(try order(sheet, "n") == [2, 3, 1, 0, 4] + (more.isEmpty ? [] : [5]))
            #expect(try order(sheet, "-n") == (more.isEmpty ? [] : [5]) + [4, 0, 1, 3, 2])
        }
    }

    @Test func `runs are sorted by value, those without come last, and equals stay in their order`() throws {
        #expect(try order(grid, "lr") == [1, 0, 3, 2] && order(grid, "-lr") == [2, 0, 3, 1])
        #expect(try order(grid, "acc") == [0, 2, 1, 3] && order(grid, "-acc") == [2, 0, 1, 3])
        #expect(try order(grid, "model,-lr") == [3, 2, 1, 0] && order(grid, "time") == [1, 0, 2, 3])
        #expect(try order(grid, "state") == [3, 0, 1, 2] && order(grid, "-run") == [3, 2, 1, 0])
    }

    @Test func `what varies is told, pipeline first, and hostile parameters read as none`() throws {
        #expect(grid.varying(in: grid.rows).map(grid.name) == ["lr", "model", "Principal components.n"])
        let broken = sheet([RunOutline(number: 0, state: .pending, attempt: 0, parameters: "[[[[")])
        #expect(broken.parameters.isEmpty && broken.rows.count == 1)
    }

    // MARK: - What failed and succeeded runs differ in

    private func contrasts(_ runs: [(String, RunState)]) -> [String] {
        let sheet = sheet(runs.enumerated().map { outline($0, $1.1, pipeline: $1.0) })
        return sheet.contrasts().map { contrast in
            let values = contrast.failed.map { $0.text() }.joined(separator: ",")
            return sheet.name(contrast.parameter) + (contrast.isAbove.map { $0 ? " above" : " below" } ?? "=\(values)")
        }
    }

    @Test func `a value that all failed runs have and no other is told`() {
        #expect(
            contrasts([
                (#"{"m":"a","x":1}"#, .succeeded), (#"{"m":"a","x":2}"#, .succeeded), (#"{"m":"b","x":1}"#, .failed),
                (#"{"m":"b","x":2}"#, .failed), (#"{"m":"c","x":9}"#, .pending),
            ]) == ["m=\"b\""])
    }

    @Test func `a bound beyond which all runs failed is told`() {
        #expect(contrasts((0..<6).map { (#"{"n":\#($0)}"#, $0 > 3 ? .failed : .succeeded) }) == ["n above"])
        #expect(contrasts((0..<6).map { (#"{"n":\#($0)}"#, $0 < 2 ? .failed : .succeeded) }) == ["n below"])
    }

    @Test func `nothing is told where values say nothing`() {
        #expect(contrasts([(#"{"s":1}"#, .failed), (#"{"s":2}"#, .succeeded)]).isEmpty)
        #expect(contrasts([(#"{"s":"p"}"#, .failed), (#"{"s":"q"}"#, .succeeded), (#"{"s":"r"}"#, .failed)]).isEmpty)
        #expect(contrasts((0..<4).map { (#"{"n":\#($0)}"#, $0 % 2 == 0 ? .failed : .succeeded) }).isEmpty)
        #expect(contrasts([(#"{"m":1}"#, .failed), (#"{"m":2}"#, .failed), (#"{"m":3}"#, .failed)]).isEmpty)
    }
}

@Suite("How long the rest of a job takes") struct JobEstimateTests {
    @Test func `it is the median of finished runs for each that is left, dealt out to the places`() throws {
        let estimate = try #require(JobEstimate(finished: [1, 10, 100], running: [4], pending: 3, parallel: 1))
        #expect(estimate.median == 10 && estimate.remaining == 36)
        #expect(JobEstimate(finished: [10], running: [], pending: 4, parallel: 2)?.remaining == 20)
        #expect(JobEstimate(finished: [10], running: [0, 0], pending: 1, parallel: 2)?.remaining == 20)
        #expect(JobEstimate(finished: [10, 20], running: [], pending: 1, parallel: 8)?.remaining == 15)
        #expect(JobEstimate(finished: [2], running: [], pending: 1_000_000, parallel: 2)?.remaining == 1_000_000)
    }

    @Test func `without a finished run, or with nothing left, nothing is said`() {
        #expect(JobEstimate(finished: [], running: [1], pending: 3, parallel: 1) == nil)
        #expect(JobEstimate(finished: [1], running: [], pending: 0, parallel: 1) == nil)
    }

    @Test func `a run that is over the median may end at any moment`() {
        #expect(JobEstimate(finished: [10], running: [500], pending: 0, parallel: 1)?.remaining == 0)
    }
}
