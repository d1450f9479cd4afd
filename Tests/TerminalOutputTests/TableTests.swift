import PlainText
import Testing

@testable import TerminalOutput

@Suite struct TableTests {
    private static let columns: [Table.Column] = [
        .init("JOB"), .init("STATE", minimum: 11), .init("RUNS", alignment: .trailing),
        .init("PIPELINE", priority: 1, minimum: 10), .init("STARTED", priority: 3),
        .init("SIZE", alignment: .trailing, priority: 2),
    ]

    private static var table: Table {
        var table = Table(columns)
        table.append([
            "grid", .state("succeeded"), "100/100", "pipelines/train-and-evaluate.orchest",
            .init("2 minutes ago", exact: "2026-01-02T03:04:05Z"), .init("1.5 GiB", exact: "1610612736"),
        ])
        table.append([
            "a-job-with-quite-a-long-name", .state("failed"), "7/12", "p.orchest",
            .init("3 weeks ago", exact: "2025-12-12T00:00:00Z"), .init("12 MiB", exact: "12582912"),
        ])
        table.append(["夜間バッチ", .state("running"), "0/1", "データ処理パイプライン.orchest", "", .init("0 B", exact: "0")])
        return table
    }

    private func aligned(_ width: Int, unicode: Bool = true) -> String {
        Self.table.aligned(width: width, styling: Styling(colours: false, unicode: unicode))
    }

    @Test func `at 200 cells everything is shown`() {
        #expect(
            aligned(200) == """
                JOB                           STATE           RUNS  PIPELINE                              STARTED           SIZE
                grid                          ✓ succeeded  100/100  pipelines/train-and-evaluate.orchest  2 minutes ago  1.5 GiB
                a-job-with-quite-a-long-name  ✗ failed        7/12  p.orchest                             3 weeks ago     12 MiB
                夜間バッチ                    ● running        0/1  データ処理パイプライン.orchest        -                  0 B

                """)
    }

    @Test func `at 80 cells the less important columns are narrowed first`() {
        #expect(
            aligned(80) == """
                JOB                          STATE           RUNS  PIPELINE    STARTED      SIZE
                grid                         ✓ succeeded  100/100  pipelines…  2 minut…  1.5 GiB
                a-job-with-quite-a-long-na…  ✗ failed        7/12  p.orchest   3 weeks…   12 MiB
                夜間バッチ                   ● running        0/1  データ処…   -             0 B

                """)
    }

    @Test func `at 40 cells the less important columns are left out`() {
        #expect(
            aligned(40) == """
                JOB                 STATE           RUNS
                grid                ✓ succeeded  100/100
                a-job-with-quite-…  ✗ failed        7/12
                夜間バッチ          ● running        0/1

                """)
    }

    @Test(
        arguments: [
            (40, ["PIPELINE", "STARTED", "SIZE"]), (60, ["STARTED"]), (80, []), (200, []),
        ] as [(Int, [String])])
    func `columns without room can be named`(width: Int, titles: [String]) {
        #expect(Self.table.leftOut(for: FakeTerminal(columns: width).channel()) == titles)
        #expect(Self.table.leftOut(for: FakeTerminal(columns: width, isTerminal: false).channel()) == [])
    }

    @Test func `without UTF-8 our own glyphs are ASCII`() {
        let text = aligned(40, unicode: false)
        #expect(text.contains("+ succeeded"))
        #expect(text.contains("a-job-with-quit...  x failed"))
    }

    @Test func `a pipe gets tab-separated, complete and exact fields`() {
        let pipe = FakeTerminal(columns: 20, isTerminal: false)
        #expect(
            Self.table.rendered(for: pipe.channel()) == """
                JOB\tSTATE\tRUNS\tPIPELINE\tSTARTED\tSIZE
                grid\tsucceeded\t100/100\tpipelines/train-and-evaluate.orchest\t2026-01-02T03:04:05Z\t1610612736
                a-job-with-quite-a-long-name\tfailed\t7/12\tp.orchest\t2025-12-12T00:00:00Z\t12582912
                夜間バッチ\trunning\t0/1\tデータ処理パイプライン.orchest\t-\t0

                """)
    }

    @Test func `titles can be left out`() {
        let pipe = FakeTerminal(isTerminal: false)
        #expect(Self.table.rendered(for: pipe.channel(), titles: false).hasPrefix("grid\t"))
        #expect(Self.table.rendered(for: FakeTerminal().channel(), titles: false).hasPrefix("grid "))
    }

    @Test func `colours surround the words and not the padding`() {
        var table = Table([.init("A"), .init("B")])
        table.append([.state("failed"), .init("x", style: [.bold, .cyan])])
        #expect(
            table.aligned(width: 80, styling: Styling(colours: true, unicode: true)) == """
                \u{1B}[1mA\u{1B}[0m         \u{1B}[1mB\u{1B}[0m
                \u{1B}[31m✗ failed\u{1B}[0m  \u{1B}[1;36mx\u{1B}[0m

                """)
    }

    @Test(arguments: [true, false])
    func `hostile cells stay one harmless field`(onTerminal: Bool) {
        var table = Table([.init("NAME"), .init("STATE")])
        table.append([.init("a\u{1B}[2J\tb\nc\u{202E}d\u{9B}1m\u{7F}"), .state("\u{1B}]0;x\u{7}")])
        let text = table.rendered(for: FakeTerminal(columns: 200, isTerminal: onTerminal).channel())
        #expect(text.contains(#"a\u{1b}[2J\tb\nc\u{202e}d\u{9b}1m\u{7f}"#))
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0 == "\t" || !$0.isUnprintable })
        #expect(text.split(separator: "\n").allSatisfy { onTerminal || $0.count(where: { $0 == "\t" }) == 1 })
    }

    @Test(arguments: 1...130)
    func `no line is wider than the terminal`(width: Int) {
        var table = Table(Self.columns.map { Table.Column($0.title, priority: 1, minimum: $0.minimum) } + Self.columns)
        table.append(["日本語の名前がここにあります", "👩‍👩‍👧‍👦👍🏽🇩🇪 emoji", "e\u{301}\u{301}", "plain", "x", "y", "夜", "12"])
        for styling in [Styling.plain, Styling(colours: false, unicode: true)] {
            let lines = table.aligned(width: max(width, 14), styling: styling).split(separator: "\n")
            #expect(lines.allSatisfy { displayWidth(String($0)) <= max(width, 14) })
        }
    }

    @Test func `numbers are never cut`() {
        var table = Table([.init("NAME", minimum: 3), .init("N", alignment: .trailing)])
        table.append(["a-long-name", "1234567890"])
        #expect(table.aligned(width: 16, styling: .plain) == "NAME           N\na...  1234567890\n")
    }
}
