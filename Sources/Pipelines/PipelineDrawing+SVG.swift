import PlainText

extension PipelineDrawing {
    /// The picture as SVG, by itself and without scripts: each level is a column, and steps are coloured by their states.
    ///
    /// It is safe to show wherever a picture is: what a pipeline calls its steps is text in it, and nothing else.
    package func svg() -> String {
        let (width, height, gap) = (200, 52, 80)
        let levels = graph.levels
        let tallest = levels.map(\.count).max() ?? 0
        let size = (
            width: max(1, levels.count) * (width + gap) - gap + 40, height: max(1, tallest) * (height + 28) - 28 + 80
        )
        var places: [String: (x: Int, y: Int)] = [:]
        for (column, level) in levels.enumerated() {
            let top = 60 + (tallest - level.count) * (height + 28) / 2
            for (row, uuid) in level.enumerated() {
                places[uuid] = (20 + column * (width + gap), top + row * (height + 28))
            }
        }
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(size.width)\" height=\"\(size.height)\" viewBox=\"0 0 \(size.width) \(size.height)\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">",
            "<title>\(Self.xml(pipeline.name))</title>",
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#777\"/></marker></defs>",
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
            "<text x=\"20\" y=\"30\" font-size=\"16\" font-weight=\"bold\">\(Self.xml(Self.cut(pipeline.name, to: size.width / 10)))</text>",
        ]
        for step in pipeline.steps {
            guard let to = places[step.uuid] else { continue }
            for parent in graph.parents(of: step.uuid) {
                guard let from = places[parent] else { continue }
                let (startX, startY) = (from.x + width, from.y + height / 2)
                let (endX, endY) = (to.x, to.y + height / 2)
                let bend = max(30, (endX - startX) / 2)
                lines.append(
                    "<path d=\"M\(startX) \(startY)C\(startX + bend) \(startY) \(endX - bend) \(endY) \(endX) \(endY)\" fill=\"none\" stroke=\"#777\" marker-end=\"url(#arrow)\"/>"
                )
            }
        }
        for step in pipeline.steps {
            guard let place = places[step.uuid] else { continue }
            let name = names[step.uuid] ?? step.uuid
            let file = printable(step.resolvedFile.path, limit: 120)
            let state = states[step.uuid]
            let (fill, stroke) = Self.colours(state)
            let detail = state.map { "\($0) \u{B7} \(file)" } ?? file
            lines.append("<g><title>\(Self.xml(state.map { "\(name): \($0)" } ?? name))</title>")
            lines.append(
                "<rect x=\"\(place.x)\" y=\"\(place.y)\" width=\"\(width)\" height=\"\(height)\" rx=\"6\" fill=\"\(fill)\" stroke=\"\(stroke)\" stroke-width=\"1.5\"/>"
            )
            lines.append(
                "<text x=\"\(place.x + 10)\" y=\"\(place.y + 22)\" font-weight=\"bold\">\(Self.xml(Self.cut(name, to: 24)))</text>"
            )
            lines.append(
                "<text x=\"\(place.x + 10)\" y=\"\(place.y + 41)\" font-size=\"11\" fill=\"#444\">\(Self.xml(Self.cut(detail, to: 31)))</text></g>"
            )
        }
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private static func colours(_ state: String?) -> (fill: String, stroke: String) {
        switch state {
        case "succeeded": ("#e3f4e1", "#2e7d32")
        case "failed": ("#fbe2e0", "#c62828")
        case "running": ("#dff0fb", "#0277bd")
        case "cancelled": ("#fff3d6", "#b26a00")
        default: ("#f5f5f5", "#888888")
        }
    }

    /// At most so many characters, the last of which tells that there were more.
    private static func cut(_ text: String, to most: Int) -> String {
        text.unicodeScalars.count <= most ? text : String(text.unicodeScalars.prefix(most - 1)) + "\u{2026}"
    }

    /// Text of XML: what would be markup is named, and what XML cannot hold is shown as an escape.
    private static func xml(_ text: String) -> String {
        var result = ""
        for scalar in printable(text).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\u{FFFE}", "\u{FFFF}": result += "?"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
