import PlainText
import Testing

struct EditDistanceTests {
    @Test(
        arguments: [
            ("train", "train", 0), ("train", "trian", 1), ("train", "tran", 1), ("train", "trains", 1),
            ("abc", "xyz", nil),
            ("", "ab", 2), ("kitten", "sitting", nil), ("ca", "abc", nil),
        ] as [(String, String, Int?)])
    func `insertions, removals, replacements and swaps count one`(left: String, right: String, distance: Int?) {
        let (left, right) = (Array(left.unicodeScalars), Array(right.unicodeScalars))
        #expect(EditDistance.between(left, right, bound: 2) == distance)
        #expect(EditDistance.between(right, left, bound: 2) == distance)
    }

    @Test func `the nearest name is suggested, and none when all are far`() {
        let names = ["get-data.py", "train.py", "trail.py"]
        #expect(EditDistance.nearest(to: "trian.py", in: names) == "train.py")
        #expect(EditDistance.nearest(to: "TRAIN.PY", in: names) == "train.py")
        #expect(EditDistance.nearest(to: "evaluate.py", in: names) == nil)
        #expect(EditDistance.nearest(to: String(repeating: "x", count: 1_000_000), in: names) == nil)
    }

    @Test func `a question is asked only where there is something to ask`() {
        #expect(didYouMean(nil, nil).isEmpty)
        #expect(didYouMean("a", nil, "b\u{1b}") == #"; did you mean `a` or `b\u{1b}`?"#)
        #expect(didYouMean("trian", among: ["train"]) == "did you mean `train`?")
        #expect(didYouMean("x", among: ["train"]) == nil)
    }
}
