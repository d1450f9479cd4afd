import Jobs
import Pipelines
import Testing

@Suite("Sets of run numbers") struct RunNumbersTests {
    @Test(
        arguments: [
            ("", [], ""), ("   ", [], ""), ("0", [0], "0"), ("1-3,5", [1, 2, 3, 5], "1-3,5"),
            (" 7 - 9 , 5,3 ", [3, 5, 7, 8, 9], "3,5,7-9"), ("2,1,0", [0, 1, 2], "0-2"), ("4,4,4", [4], "4"),
            ("1-5,3-4", [1, 2, 3, 4, 5], "1-5"), ("3-4,1-5,6", [1, 2, 3, 4, 5, 6], "1-6"), ("5-5", [5], "5"),
            ("007", [7], "7"), ("9999999", [9_999_999], "9999999"),
        ] as [(String, [Int], String)])
    func `numbers and ranges are read in any order and written in the shortest form`(
        text: String, numbers: [Int], shortest: String
    ) throws {
        let set = try RunNumbers(text)
        #expect(Array(set.numbers) == numbers)
        #expect(set.count == numbers.count)
        #expect(set.isEmpty == numbers.isEmpty)
        #expect(set.description == shortest)
        #expect(try RunNumbers(shortest) == set)
    }

    @Test(arguments: [
        "a", ",", "1,", ",1", "1,,2", "-", "-1", "1-", "1--3", "1-2-3", "3-1", "1 2", "1.5", "+1", "0x1", "1e3", "٣",
        "1\u{301}", "10000000", "99999999999999999999", "1-99999999999999999999", "1;2",
    ])
    func `anything else is refused, and it is said which part is wrong`(text: String) throws {
        let error = try #require(#expect(throws: InvalidRunNumbers.self) { try RunNumbers(text) })
        #expect(text.contains(error.item))
        #expect(error.hint?.contains("3,5-7") == true)
    }

    @Test func `what is wrong is shown safely`() throws {
        for text in ["1,0-\u{1B}[2J,4", "\u{0}", "1\t", "4,\u{202E}5"] {
            let error = try #require(#expect(throws: InvalidRunNumbers.self) { try RunNumbers(text) })
            #expect(!holdsControlCharacters(error.description))
        }
    }

    @Test func `a hostile text costs little`() throws {
        let error = try #require(
            #expect(throws: InvalidRunNumbers.self) { try RunNumbers(String(repeating: "0,", count: 5_000_000)) })
        #expect(error.description.count < 200)
        #expect(try RunNumbers(String(repeating: "0-9999999,", count: 99_999) + "0").count == 10_000_000)
    }

    @Test func `the first numbers, and numbers out of bounds`() {
        #expect(RunNumbers(first: 3).description == "0-2")
        #expect(RunNumbers(first: 0).isEmpty && RunNumbers(first: -5).isEmpty)
        #expect(RunNumbers(first: .max).count == RunNumbers.largest + 1)
        #expect(RunNumbers([-1, 5, 10_000_000, 4, .min, .max]).description == "4-5")
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `the sets do what sets do`(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        func some() -> Set<Int> {
            let largest = Int.random(in: 1...40, using: &generator)
            return Set(
                (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                    Int.random(in: 0...largest, using: &generator)
                })
        }
        let (left, right) = (some(), some())
        let (first, second) = (RunNumbers(left), RunNumbers(right))
        #expect(Array(first.numbers) == left.sorted())
        #expect(Array(first.union(second).numbers) == left.union(right).sorted())
        #expect(Array(first.subtracting(second).numbers) == left.subtracting(right).sorted())
        #expect(first.union(second) == RunNumbers(left.union(right)))
        #expect(first.subtracting(first).isEmpty)
        #expect((0...41).filter(first.contains) == left.sorted())
        #expect(try RunNumbers(first.description) == first)
        #expect(try decoded([RunNumbers].self, try encoded([first])) == [first])
        for (range, next) in zip(first.ranges, first.ranges.dropFirst()) {
            #expect(range.upperBound + 1 < next.lowerBound)
        }
    }

    @Test(arguments: ["1-3,5", "5,1-3", "0", "7-9,8-12,2", " 1 - 2 , 4"])
    func `what is asked for with --skip is what the job notes`(text: String) throws {
        #expect(try RunSelection(text).numbers(below: 100) == Array(RunNumbers(text).numbers))
    }

    @Test func `in JSON a set is its text, and checked`() throws {
        #expect(try encoded([RunNumbers("5,1-3")]) == #"["1-3,5"]"#)
        #expect(throws: DecodingError.self) { try decoded([RunNumbers].self, #"["3-1"]"#) }
    }
}
