import PlainText
import Testing

@testable import Pipelines

struct PipelineDrawingTests {
    @Test func `levels, files and parents are drawn`() throws {
        let drawing = PipelineDrawing(try Samples.parameterised())
        #expect(
            drawing.text() == """
                Main: 3 steps, 3 levels

                level 1
                  ● Load  (load.py)

                level 2
                  ● Train  (train.py)  ← Load

                level 3
                  ● Report  (report.ipynb)  ← Train

                """
        )
        #expect(drawing.text(style: .ascii).allSatisfy { $0.isASCII })
    }

    @Test func `steps of one title are told apart and untitled ones named by their file`() throws {
        let pipeline = try Samples.pipeline([
            Samples.step(1, title: "A", file: "a.py"), Samples.step(0x1000_0000_0000 - 1, title: "A", file: "b.py"),
            Samples.step(2, title: " ", file: "c.py", from: [1]),
        ])
        let text = PipelineDrawing(pipeline).text(style: .ascii)
        #expect(text.contains("  * A [00000000]  (a.py)\n"))
        #expect(text.contains("  * c.py  <- A [00000000]\n"))
    }

    @Test func `the graph is written for Graphviz`() throws {
        #expect(
            PipelineDrawing(try Samples.parameterised()).dot() == #"""
                digraph "Main" {
                    rankdir=LR;
                    node [shape=box];
                    s0 [label="Load\nload.py"];
                    s1 [label="Train\ntrain.py"];
                    s2 [label="Report\nreport.ipynb"];
                    s0 -> s1;
                    s1 -> s2;
                }

                """#
        )
    }

    @Test func `hostile titles stay inside their quotes`() throws {
        let title = "\"]; evil [label=\"\\\u{1b}[2J\n\u{202e}"
        let pipeline = try Samples.pipeline(
            Samples.document(name: title, [Samples.step(1, title: title, file: "a.py")]))
        let drawing = PipelineDrawing(pipeline)
        let label = #""\"]; evil [label=\"\\\\u{1b}[2J\\n\\u{202e}\na.py""#
        #expect(drawing.dot().contains("    s0 [label=\(label)];\n"))
        for text in [drawing.dot(), drawing.text()] {
            #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || !$0.isUnprintable })
        }
    }

    @Test func `many parents are counted`() throws {
        let steps = (0..<20).map { Samples.step($0, title: "S\($0)", file: "a.py") }
        let pipeline = try Samples.pipeline(steps + [Samples.step(20, title: "All", file: "b.py", from: Array(0..<20))])
        #expect(PipelineDrawing(pipeline).text().hasSuffix("S6, S7 and 12 more\n"))
    }
}
