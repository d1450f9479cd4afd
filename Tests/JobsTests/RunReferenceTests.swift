import Jobs
import Testing

@Suite("References to jobs, runs and steps") struct RunReferenceTests {
    @Test(
        arguments: [
            ("train", "train", nil, nil), ("train/7", "train", 7, nil), ("train/7/load", "train", 7, "load"),
            ("nightly training/0/Load data", "nightly training", 0, "Load data"), ("0f8f/12", "0f8f", 12, nil),
            ("train/7/prep/load.py", "train", 7, "prep/load.py"), ("train/7//", "train", 7, "/"),
            ("7", "7", nil, nil), ("a@b/1", "a@b", 1, nil), ("train/999999999", "train", 999_999_999, nil),
        ] as [(String, String, Int?, String?)])
    func `a reference names a job, a run or a step`(text: String, job: String, run: Int?, step: String?) throws {
        let reference = try RunReference(text)
        #expect(reference.job == .named(job))
        #expect(reference.run == run)
        #expect(reference.step == step)
        #expect(reference.description == text)
    }

    @Test func `the newest job has a word of its own`() throws {
        #expect(try RunReference("@last").job == .last)
        let step = try RunReference("@last/3/train")
        #expect(step.job == .last && step.run == 3 && step.step == "train")
        #expect(step.description == "@last/3/train")
    }

    @Test(arguments: [
        ("", InvalidRunReference.Problem.empty(.job)), ("/", .empty(.job)), ("/7", .empty(.job)),
        ("train/", .empty(.run)), ("train//load", .empty(.run)), ("train/7/", .empty(.step)),
        ("train/seven", .notANumber("seven")), ("train/-1", .notANumber("-1")), ("train/+1", .notANumber("+1")),
        ("train/1.0", .notANumber("1.0")), ("train/ 1", .notANumber(" 1")), ("train/0x1", .notANumber("0x1")),
        ("train/٣", .notANumber("٣")), ("train/1\u{301}", .notANumber("1\u{301}")),
        ("train/9999999999", .notANumber("9999999999")),
        ("train/99999999999999999999999999", .notANumber("99999999999999999999999999")),
        ("@first", .unknownWord("@first")), ("@", .unknownWord("@")), ("@LAST/1", .unknownWord("@LAST")),
    ])
    func `what is no reference is refused with what is wrong`(
        text: String, problem: InvalidRunReference.Problem
    ) throws {
        let error = try #require(#expect(throws: InvalidRunReference.self) { try RunReference(text) })
        #expect(error.problem == problem)
        #expect(error.text == text)
        #expect(error.hint?.contains("JOB/7/STEP") == true)
    }

    @Test func `hostile texts are refused with a short message that a terminal can show`() throws {
        for text in ["train/\u{1B}]0;x\u{7}", "@\u{202E}\n", "train/" + String(repeating: "9", count: 8000)] {
            let error = try #require(#expect(throws: InvalidRunReference.self) { try RunReference(text) })
            #expect(!holdsControlCharacters(error.description))
            #expect(error.description.count < 250)
        }
        let long = try #require(
            #expect(throws: InvalidRunReference.self) { try RunReference(String(repeating: "/", count: 1 << 20)) })
        #expect(long.problem == .tooLong)
        #expect(throws: Never.self) { try RunReference("a/1/" + String(repeating: "s", count: 8188)) }
    }

    @Test(arguments: [
        "train", "nightly training", "a-b", "学習", "👩‍👩‍👧", "last", "..", "e\u{301}", "क\u{94D}\u{200D}", "കൎ", "7",
    ])
    func `whatever a job is called, its runs can be named`(name: String) throws {
        let name = try JobName(name).description
        let reference = try RunReference(name + "/7/load")
        #expect(reference.job == .named(name))
        #expect(reference.run == 7)
        #expect(reference.step == "load")
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `a reference means the same after it was written and read again`(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let alphabet = Array("ab/@0123 -.é\u{301}\u{200D}\t")
        let text = String(
            (0..<Int.random(in: 0...9, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? "a" }
        )
        for text in [text, "a/\(seed)/" + text, "@last/" + text] {
            guard let reference = try? RunReference(text) else { continue }
            #expect(try RunReference(reference.description) == reference)
        }
    }
}
