import Testing

@testable import TerminalOutput

@Suite struct HumanTextTests {
    private static let durations: [(Duration, String)] = [
        (.zero, "0ms"), (.milliseconds(350), "350ms"), (.milliseconds(999), "999ms"), (.seconds(0.285), "285ms"),
        (.microseconds(999_600), "1.0s"), (.milliseconds(4290), "4.3s"), (.milliseconds(9949), "9.9s"),
        (.milliseconds(9950), "10s"), (.seconds(10), "10s"), (.seconds(59), "59s"), (.milliseconds(59_600), "1m 0s"),
        (.seconds(72), "1m 12s"), (.seconds(3600), "1h 0m"), (.seconds(7500), "2h 5m"),
        (.seconds(86_400 * 3 + 4 * 3600), "3d 4h"), (.seconds(-72), "-1m 12s"),
        (.seconds(Int64.max), "106751991167300d 15h"),
    ]

    @Test(arguments: durations)
    func `a duration is short`(duration: Duration, text: String) {
        #expect(humanDuration(duration) == text)
    }

    @Test(arguments: [(Duration.milliseconds(999), "0s"), (.seconds(72), "1m 12s"), (.seconds(-1), "0s")])
    func `a growing duration has whole seconds`(duration: Duration, text: String) {
        #expect(elapsedTime(duration) == text)
    }

    private static let sizes: [(Int64, String)] = [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (10_188, "9.9 KiB"), (10_189, "10 KiB"),
        (1_048_063, "1023 KiB"), (1_048_064, "1.0 MiB"), (12_582_912, "12 MiB"), (1_610_612_736, "1.5 GiB"),
        (.max, "8 EiB"), (.min, "-8 EiB"), (-2048, "-2.0 KiB"),
    ]

    @Test(arguments: sizes)
    func `sizes have units of 1024`(bytes: Int64, text: String) {
        #expect(humanBytes(bytes) == text)
    }

    private static let day: Int64 = 86_400
    private static let ages: [(Int64, String)] = [
        (0, "just now"), (4, "just now"), (5, "5 seconds ago"), (60, "1 minute ago"), (125, "2 minutes ago"),
        (3600, "1 hour ago"), (day, "1 day ago"), (day * 8, "1 week ago"), (day * 61, "2 months ago"),
        (day * 366, "1 year ago"), (-120, "in 2 minutes"), (-day * 2, "in 2 days"), (.min, "in 292471208677 years"),
    ]

    @Test(arguments: ages)
    func `a time is relative to now`(seconds: Int64, text: String) {
        #expect(relativeTime(age: .seconds(seconds)) == text)
    }

    @Test(arguments: [
        (37, 100, "[###.......] 37/100"), (0, 0, "[..........] 0/0"), (99, 100, "[#########.] 99/100"),
        (100, 100, "[##########] 100/100"), (120, 100, "[##########] 120/100"), (-1, 10, "[..........] -1/10"),
        (Int.max, Int.max, "[##########] \(Int.max)/\(Int.max)"),
    ])
    func `a bar is full only at the end`(done: Int, total: Int, text: String) {
        #expect(progressBar(done: done, total: total, width: 10) == text)
    }

    @Test func `a spinner turns with time`() {
        let frames = (0..<5).map { spinner(at: .milliseconds($0 * 100 + 50), styling: .plain) }
        #expect(frames == ["|", "/", "-", "\\", "|"])
        #expect(spinner(at: .seconds(1), styling: Styling(colours: false, unicode: true)) == "⠋")
        #expect(spinner(at: .seconds(Int64.min), styling: .plain) != "")
    }

    @Test func `counts name the states that occur`() {
        let counts = [
            (state: "succeeded", count: 37), (state: "failed", count: 2), (state: "running", count: 0),
            (state: "pending", count: 61),
        ]
        #expect(countsLine(counts, styling: .plain) == "37 succeeded, 2 failed, 61 pending")
        #expect(countsLine([], styling: .plain) == "none")
        let coloured = Styling(colours: true, unicode: true)
        #expect(countsLine([("failed", 1)], styling: coloured) == "\u{1B}[31m1 failed\u{1B}[0m")
    }

    @Test func `nouns follow their number`() {
        #expect(counted(1, "run") == "1 run")
        #expect(counted(0, "run") == "0 runs")
        #expect(counted(2, "entry", plural: "entries") == "2 entries")
    }
}
