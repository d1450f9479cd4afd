import Testing

@testable import Pipelines

@Suite("The picture of a pipeline") struct PipelinePictureTests {
    private func picture(_ title: String, states: [String: String] = [:]) throws -> String {
        let pipeline = try Samples.pipeline([
            Samples.step(1, title: title, file: "a.py"), Samples.step(2, title: "train", file: "b.py", from: [1]),
        ])
        return PipelineDrawing(pipeline, states: states).svg()
    }

    @Test func `it has a box for each step and a line for each connection, in the colours of the states`() throws {
        let svg = try picture("load", states: [Samples.uuid(1): "succeeded", Samples.uuid(2): "failed"])
        #expect(svg.hasPrefix("<svg xmlns=") && svg.hasSuffix("</svg>\n"))
        #expect(svg.components(of: "<rect ") == 3 && svg.components(of: "marker-end=") == 1)
        #expect(svg.contains("#2e7d32") && svg.contains("#c62828") && svg.contains(">failed \u{B7} b.py<"))
        #expect(try !picture("load").contains("#c62828"))
    }

    @Test func `names are text in it and nothing else`() throws {
        let svg = try picture(#"</text><script>alert("1")</script>&amp;"#)
        #expect(!svg.contains("<script") && svg.contains("&lt;script&gt;") && svg.contains("&amp;amp;"))
        let control = try picture("a\u{1b}[31mb\u{0}c\u{FFFE}")
        #expect(!control.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0 == "\u{FFFE}" })
    }
}

extension String {
    fileprivate func components(of text: String) -> Int {
        var count = 0, rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
