/// Brings the document of a pipeline to the newest format, one version after the other.
///
/// Members of unexpected types are passed over; checking them is the reader's work.
struct PipelineMigration {
    /// The document.
    private(set) var pipeline: JSONObject
    /// The names that services had in the file, by their present names.
    private(set) var originalServiceNames: [String: String] = [:]

    /// The versions in order, each with the changes that lead to the next.
    private static let versions = ["1.0.0", "1.1.0", "1.2.0", "1.2.1", "1.2.2", Pipeline.latestVersion]

    /// Whether documents of this version can be read.
    static func knows(_ version: String) -> Bool { versions.contains(version) }

    init(_ pipeline: JSONObject, from version: String) {
        self.pipeline = pipeline
        for version in Self.versions.drop(while: { $0 != version }) {
            switch version {
            case "1.0.0": namePortableVariables()
            case "1.1.0": separateCommandAndArguments()
            case "1.2.0": orderServices()
            case "1.2.1": renameServices()
            default: break
            }
        }
        addDefaults()
        self.pipeline["version"] = .string(Pipeline.latestVersion)
    }

    private mutating func changeEach(_ key: String, _ change: (inout JSONObject) -> Void) {
        guard var members = pipeline[key]?.objectValue else { return }
        for entry in members {
            guard var member = entry.value.objectValue else { continue }
            change(&member)
            members[entry.key] = .object(member)
        }
        pipeline[key] = .object(members)
    }

    private mutating func namePortableVariables() {
        changeEach("services") { service in
            if let variables = service["env_variables"]?.objectValue {
                var renamed = JSONObject()
                var names = FreeNames()
                for entry in variables {
                    let name = names.free(Self.portableName(entry.key), separator: "_") { renamed[$0] != nil }
                    renamed[name] = entry.value
                }
                service["env_variables"] = .object(renamed)
            }
            if let inherited = service["env_variables_inherit"]?.arrayValue {
                var names: [JSONValue] = []
                for name in inherited {
                    names.append(name.stringValue.map { .string(Self.portableName($0)) } ?? name)
                }
                service["env_variables_inherit"] = .array(names)
            }
        }
        changeEach("steps") { step in
            guard var kernel = step["kernel"]?.objectValue, kernel["name"] == "ir" else { return }
            kernel["name"] = "r"
            step["kernel"] = .object(kernel)
        }
    }

    private static func portableName(_ name: String) -> String {
        String(String.UnicodeScalarView(name.unicodeScalars.map { PipelineReader.isVariableCharacter($0) ? $0 : "_" }))
    }

    /// The ports that images listened on before a service had to name them.
    private static let knownPorts = [
        ("redis", 6379), ("postgres", 5432), ("streamlit", 8501), ("mysql", 3306), ("rabbitmq", 5672),
        ("tensorflow", 6006), ("voila", 8866), ("mlflow", 5000), ("shiny", 8000),
    ]

    private mutating func separateCommandAndArguments() {
        changeEach("services") { service in
            if let entrypoint = service["entrypoint"] {
                if let command = service["command"] { service["args"] = command }
                service["command"] = entrypoint
                service["entrypoint"] = nil
            }
            if service["ports"]?.arrayValue?.isEmpty ?? (service["ports"] == nil) {
                let image = service["image"]?.stringValue?.lowercased() ?? ""
                let port = Self.knownPorts.first { image.contains($0.0) }?.1 ?? 8080
                service["ports"] = [.number(JSONNumber(port))]
            }
            if service["exposed"] == nil { service["exposed"] = false }
            if service["requires_authentication"] == nil { service["requires_authentication"] = true }
        }
    }

    /// Gives every service an order: the given ones first, moved up where two are the same, then the others by name.
    private mutating func orderServices() {
        guard var services = pipeline["services"]?.objectValue else { return }
        var last = -1
        let ordered = services.entries.compactMap { entry in entry.value["order"]?.intValue.map { (entry.key, $0) } }
        for (name, order) in ordered.sorted(by: { $0.1 < $1.1 }) {
            last = max(order, min(last, Int.max - services.count - 1) + 1)
            services[name] = Self.setting("order", of: services[name], to: last)
        }
        let others = services.entries.filter { $0.value.objectValue != nil && $0.value["order"] == nil }.map(\.key)
        for name in others.sorted(by: { ExactText($0) < ExactText($1) }) {
            last = min(last, Int.max - 1) + 1
            services[name] = Self.setting("order", of: services[name], to: last)
        }
        pipeline["services"] = .object(services)
    }

    private static func setting(_ key: String, of value: JSONValue?, to number: Int) -> JSONValue {
        var object = value?.objectValue ?? JSONObject()
        object[key] = .number(JSONNumber(number))
        return .object(object)
    }

    /// Makes host names of the names of services: lower case, beginning with a letter, at most 26 characters.
    private mutating func renameServices() {
        guard let services = pipeline["services"]?.objectValue else { return }
        var renamed = JSONObject()
        var names = FreeNames()
        for entry in services {
            let name = Self.hostName(entry.key)
            let free =
                name == entry.key
                ? name
                : names.free(name, separator: "-", limit: 26) { renamed[$0] != nil || services[$0] != nil }
            originalServiceNames[free] = entry.key
            guard var service = entry.value.objectValue else {
                renamed[free] = entry.value
                continue
            }
            if free != entry.key || service["name"] == nil { service["name"] = .string(free) }
            renamed[free] = .object(service)
        }
        pipeline["services"] = .object(renamed)
    }

    private static func hostName(_ name: String) -> String {
        let lower = name.prefix(200).lowercased().utf8.drop { !("a"..."z").contains(Unicode.Scalar($0)) }
        let bytes = lower.prefix(26).map { $0.isLetter || $0.isDigit ? $0 : Ascii.minus }
        return bytes.isEmpty ? "service" : String(decoding: bytes, as: UTF8.self)
    }

    private mutating func addDefaults() {
        if pipeline["parameters"] == nil { pipeline["parameters"] = [:] }
        var settings = pipeline["settings"]?.objectValue ?? JSONObject()
        if settings["max_steps_parallelism"] == nil { settings["max_steps_parallelism"] = 0 }
        if pipeline["settings"] == nil || pipeline["settings"]?.kind == .object {
            pipeline["settings"] = .object(settings)
        }
        guard var steps = pipeline["steps"]?.objectValue else { return }
        for entry in steps {
            guard var step = entry.value.objectValue else { continue }
            if step["uuid"] == nil { step["uuid"] = .string(entry.key) }
            if step["title"] == nil { step["title"] = "" }
            if step["environment"] == nil { step["environment"] = "" }
            if step["incoming_connections"] == nil { step["incoming_connections"] = [] }
            if step["parameters"] == nil { step["parameters"] = [:] }
            step["outgoing_connections"] = nil
            steps[entry.key] = .object(step)
        }
        pipeline["steps"] = .object(steps)
    }
}

/// Finds names that are not taken, without counting from the beginning each time.
private struct FreeNames {
    private var numbers: [String: Int] = [:]

    /// `name`, or the first of `name_2`, `name_3`… that is free; shortened so that it stays within `limit` bytes.
    mutating func free(_ name: String, separator: String, limit: Int = .max, isTaken: (String) -> Bool) -> String {
        var free = name
        var number = numbers[name] ?? 2
        while isTaken(free) {
            let suffix = "\(separator)\(number)"
            free = (limit == .max ? name : String(name.prefix(limit - suffix.count))) + suffix
            number += 1
        }
        numbers[name] = number
        return free
    }
}
