import PlainText

extension CommandFailure {
    /// The failure as one line of JSON for a program, with its line break.
    ///
    /// `{"error":{"code":…,"message":…,"hint":…,"where":…}}`, with null for what there is not. `problems`, with the same
    /// keys but `code`, and `severity`, follows where there are several, and `omitted` where it is not 0.
    package var json: String {
        var fields = [#""code":"# + quoted(code.rawValue)] + (problems.first?.jsonFields ?? [])
        if problems.count > 1 {
            let list = problems.map { problem in
                let severity = #""severity":"# + quoted(problem.severity.rawValue)
                return "{" + (problem.jsonFields + [severity]).joined(separator: ",") + "}"
            }
            fields.append(#""problems":["# + list.joined(separator: ",") + "]")
        }
        if omitted > 0 { fields.append(#""omitted":\#(omitted)"#) }
        return #"{"error":{"# + fields.joined(separator: ",") + "}}\n"
    }
}

extension CommandFailure.Problem {
    fileprivate var jsonFields: [String] {
        [("message", message), ("hint", hint), ("where", location?.description)].map { name, value in
            quoted(name) + ":" + (value.map(quoted) ?? "null")
        }
    }
}

/// A JSON string; what a terminal might obey is written by number, so the text stays harmless when it is shown.
private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += #"\""#
        case "\\": result += #"\\"#
        case "\n": result += #"\n"#
        case "\r": result += #"\r"#
        case "\t": result += #"\t"#
        case _ where scalar.isUnprintable:
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += #"\u"# + String(repeating: "0", count: 4 - digits.count) + digits
            }
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
