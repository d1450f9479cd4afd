import Jobs
import Testing

@Suite("Names of jobs") struct JobNameTests {
    @Test(arguments: [
        "train", "a", "nightly training (2)", "Überfahrt", "学習", "👩‍👩‍👧 x", "a@b", "a-b", "7", "last", "dead",
    ])
    func `a name is kept as it was typed`(text: String) throws {
        #expect(try JobName(text).description == text)
    }

    @Test func `spaces around a name are dropped, those inside are kept`() throws {
        #expect(try JobName("  nightly  train \u{3000}").description == "nightly  train")
        #expect(try JobName("train ") == JobName(" train"))
    }

    @Test(arguments: [
        ("", InvalidJobName.Problem.empty, "such as"),
        (" \u{3000} ", .empty, "such as"),
        ("a/b", .character("/"), "`train/7`"),
        ("@last", .start("@"), "leave out the `@`"),
        ("-n", .start("-"), "leave out the `-`"),
        ("train\u{200D}", .character("\u{200D}"), "use letters"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", .identifier, "use a word"),
        ("0F8FAD5B-D9CB-469F-A165-70867728950E", .identifier, "use a word"),
        ("0f8fad5b-d9cb-169f-0165-70867728950e", .identifier, "use a word"),
    ])
    func `a name that could be something else is refused, and it is said what to do`(
        text: String, problem: InvalidJobName.Problem, hint: String
    ) throws {
        let error = try #require(#expect(throws: InvalidJobName.self) { try JobName(text) })
        #expect(error.problem == problem)
        #expect(error.hint?.contains(hint) == true)
        #expect(error.description.hasPrefix("invalid job name `"))
        #expect(!holdsControlCharacters(error.description))
    }

    @Test(
        arguments: [0x00, 0x09, 0x0A, 0x1B, 0x7F, 0x85, 0xAD, 0x200B, 0x202E, 0x2028, 0x2066, 0xFEFF, 0xE0041]
            as [UInt32])
    func `a character that a terminal obeys or that does not show is refused and shown by its number`(
        value: UInt32
    ) throws {
        let scalar = try #require(Unicode.Scalar(value))
        let error = try #require(#expect(throws: InvalidJobName.self) { try JobName("a\(scalar)b") })
        #expect(error.problem == .character(scalar))
        #expect(error.hint == "use letters, digits, spaces and punctuation")
        #expect(!holdsControlCharacters(error.description) && !error.description.unicodeScalars.contains(scalar))
    }

    @Test func `a name that nobody sees is refused`() {
        #expect(throws: InvalidJobName.self) { try JobName("\u{200D}\u{200C}") }
        #expect(throws: InvalidJobName.self) { try JobName("\u{FE0F}") }
    }

    @Test func `a name has 255 characters at most`() throws {
        #expect(try JobName(String(repeating: "ä", count: 255)).description.count == 255)
        for text in [String(repeating: "a", count: 256), "e" + String(repeating: "\u{301}", count: 5_000_000)] {
            let error = try #require(#expect(throws: InvalidJobName.self) { try JobName(text) })
            #expect(error.problem == .tooLong)
            #expect(error.description.unicodeScalars.count < 300)
        }
    }

    @Test func `nothing of a long text is dropped without a word`() {
        let gap = String(repeating: " ", count: 2000)
        #expect(throws: InvalidJobName.self) { try JobName("train" + gap + "never seen") }
        #expect(throws: Never.self) { try JobName(gap + "train") }
    }

    @Test func `a number goes behind the name`() throws {
        #expect(try JobName("train").numbered(2).description == "train-2")
        #expect(try JobName("train-2").numbered(13).description == "train-2-13")
    }

    @Test func `numbered names are names, and differ from each other however long they are`() throws {
        for name in ["x", String(repeating: "n", count: 254), String(repeating: "ü", count: 255)] {
            var seen: Set = [name]
            for number in 2...1200 {
                let numbered = try JobName(name).numbered(number)
                #expect(try JobName(numbered.description) == numbered)
                #expect(numbered.description.hasSuffix("-\(number)"))
                #expect(seen.insert(numbered.description).inserted)
            }
        }
    }

    @Test func `a name is one text in JSON, and checked there too`() throws {
        #expect(try encoded([JobName("a b")]) == #"["a b"]"#)
        #expect(try decoded([JobName].self, #"["a b"]"#) == [JobName("a b")])
        #expect(throws: DecodingError.self) { try decoded([JobName].self, #"["a/b"]"#) }
    }
}
