import Jobs
import Pipelines
import Testing

@Suite("Conditions by which runs are chosen") struct RunConditionTests {
    @Test(
        arguments: [
            ("lr>0.1", "lr", .greater, .number(JSONNumber("0.1")!)),
            ("  lr  >=  1e3 ", "lr", .greaterOrEqual, .number(JSONNumber("1e3")!)),
            ("model=forest", "model", .equal, "forest"), ("model==forest", "model", .equal, "forest"),
            ("model != a b", "model", .notEqual, "a b"), ("id=\"7\"", "id", .equal, "7"),
            ("Principal components.n<4", "Principal components.n", .less, 4),
            (#""a=b \"c\"" <= 2"#, #"a=b "c""#, .lessOrEqual, 2), ("wow!=1", "wow", .notEqual, 1),
            ("wow! = 1", "wow!", .equal, 1), ("tags=[1, 2]", "tags", .equal, [1, 2]), ("on=true", "on", .equal, true),
            ("x=null", "x", .equal, nil), ("x=\"\"", "x", .equal, ""), ("é=ü", "é", .equal, "ü"),
        ] as [(String, String, RunCondition.Comparison, JSONValue)])
    func `a condition has a name, a comparison and a typed value`(
        text: String, name: String, comparison: RunCondition.Comparison, value: JSONValue
    ) throws {
        let condition = try RunCondition(text)
        #expect(condition.name == name && condition.comparison == comparison && condition.value == value)
    }

    @Test(arguments: [
        ("", 1, "there is no name"), ("  >1", 3, "there is no name"), ("lr", 3, "no comparison behind the name"),
        ("lr>>0.1", 3, "`>>` is no comparison"), ("lr=>1", 3, "`=>` is no comparison"),
        ("lr>", 4, "no value behind `>`"), ("lr> ", 4, "no value behind `>`"), ("\"lr>1", 1, "has no end"),
        ("\"lr\" 1", 6, "no comparison"), ("x=[1", 3, "is not JSON"), ("x=True", 3, "is not JSON"),
        ("ééé", 4, "no comparison"),
    ])
    func `what is no condition is refused with the character at which it is wrong`(
        text: String, column: Int, problem: String
    ) throws {
        let error = try #require(#expect(throws: InvalidRunExpression.self) { try RunCondition(text) })
        #expect(error.column == column && error.problem.contains(problem), "\(error)")
        #expect(error.hint != nil && error.description.contains("at character \(column)"))
    }

    @Test func `a hostile condition is refused without its control characters`() throws {
        let error = try #require(
            #expect(throws: InvalidRunExpression.self) { try RunCondition("\u{1b}]0;x\u{7}") })
        #expect(!error.description.unicodeScalars.contains { $0.value < 0x20 })
        #expect(throws: InvalidRunExpression.self) { try RunCondition(String(repeating: "x", count: 9000) + "=1") }
    }

    @Test func `numbers are compared as numbers, texts by their bytes, and kinds are never mixed`() throws {
        func holds(_ text: String, _ value: JSONValue) throws -> Bool { try RunCondition(text).holds(for: value) }
        #expect(try holds("x=1", .number(JSONNumber("1.0")!)) && holds("x>9", 10) && !holds("x<9", 10))
        #expect(try holds("x>\"9\"", "a") && !holds("x>\"9\"", "10") && holds("x=abc", "abc"))
        #expect(try !holds("x=1", "1") && holds("x!=1", "1") && !holds("x>1", "2") && !holds("x>=true", true))
        #expect(try holds("x=[1,2]", [1, 2]) && !holds("x=[1,2]", [2, 1]) && holds("x=null", nil))
    }

    @Test func `integers are compared by all of their digits`() throws {
        func holds(_ text: String, _ number: String) throws -> Bool {
            try RunCondition(text).holds(for: .number(try #require(JSONNumber(number))))
        }
        for (less, more) in [
            ("9007199254740992", "9007199254740993"), ("18446744073709551614", "18446744073709551615"),
        ] {
            #expect(try !holds("x=\(less)", more) && holds("x!=\(less)", more) && holds("x=\(more)", more))
            #expect(try holds("x>\(less)", more) && !holds("x<=\(less)", more) && holds("x<\(more)", less))
        }
        #expect(try holds("x=1", "1e0") && holds("x=0", "-0") && holds("x=1.50", "1.5") && holds("x>1", "1.5"))
    }

    @Test func `an order has names, each in its direction`() throws {
        #expect(try RunOrder.list("lr") == [RunOrder(name: "lr", isDescending: false)])
        #expect(
            try RunOrder.list("-accuracy, Principal components.n ,\"-a,b\"") == [
                RunOrder(name: "accuracy", isDescending: true),
                RunOrder(name: "Principal components.n", isDescending: false),
                RunOrder(name: "-a,b", isDescending: false),
            ])
        for text in ["", "-", "a,", ",a", "a,,b", "\"\""] {
            #expect(throws: InvalidRunExpression.self, "\(text)") { try RunOrder.list(text) }
        }
    }
}
