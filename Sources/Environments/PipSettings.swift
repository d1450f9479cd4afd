/// How the host's pip reaches its index, from its configuration files and variables.
package struct PipSettings: Sendable, Hashable {
    /// Values by option, such as `index-url`; they may hold credentials.
    package private(set) var values: [String: String] = [:]

    /// The options that are passed on; paths and policies of the host are not.
    static let passedOn = [
        "index-url", "extra-index-url", "trusted-host", "proxy", "cert", "client-cert", "timeout", "retries",
    ]

    /// No settings.
    package init() {}

    /// Adds what a configuration file says under `[global]` and `[install]`; later files win.
    package mutating func parse(_ text: String) {
        var section = ""
        var key: String?
        var found: [String: [String: String]] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let content = trimmed(line)
            if content.isEmpty || content.hasPrefix("#") || content.hasPrefix(";") { continue }
            if line.first?.isWhitespace == true, let key {
                found[section, default: [:]][key, default: ""] += " " + content
            } else if content.hasPrefix("["), content.hasSuffix("]") {
                section = trimmed(content.dropFirst().dropLast()).lowercased()
                key = nil
            } else if let mark = content.firstIndex(where: { $0 == "=" || $0 == ":" }) {
                let name = PipSettings.option(trimmed(content[..<mark]))
                key = name
                found[section, default: [:]][name] = trimmed(content[content.index(after: mark)...])
            }
        }
        for section in ["global", "install"] {
            for (name, value) in found[section] ?? [:] where PipSettings.passedOn.contains(name) {
                values[name] = trimmed(value)
            }
        }
    }

    /// Adds the `PIP_…` variables, which win over files.
    package mutating func apply(variables: [String: String]) {
        for (name, value) in variables where name.hasPrefix("PIP_") {
            var option = PipSettings.option(String(name.dropFirst(4)))
            if option == "default-timeout" { option = "timeout" }
            if PipSettings.passedOn.contains(option) { values[option] = value }
        }
    }

    /// Sets or removes one option.
    package subscript(option: String) -> String? {
        get { values[option] }
        set { values[option] = newValue }
    }

    /// A configuration file with these values.
    package var text: String {
        "[global]\n"
            + values.sorted { $0.key < $1.key }
            .map { "\($0.key) = \(words($0.value).joined(separator: "\n    "))\n" }.joined()
    }

    private static func option(_ text: String) -> String {
        text.lowercased().replacing("_", with: "-")
    }
}
