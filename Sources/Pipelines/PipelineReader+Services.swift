import PlainText

/// Services, which are read from the migrated document: their form changed most between the versions.
extension PipelineReader {
    mutating func readServices(_ root: JSONNode, _ migration: PipelineMigration) -> [PipelineService] {
        guard let node = root["services"], node.kind != .null else { return [] }
        guard let members = node.members, let services = migration.pipeline["services"]?.objectValue else {
            typeMismatch("`services` of the pipeline", "an object", node)
            return []
        }
        let originals = Dictionary(members.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        var read: [PipelineService] = []
        var orders: Set<Int> = []
        for entry in services {
            let original = originals[migration.originalServiceNames[entry.key] ?? entry.key]
            guard let object = entry.value.objectValue else {
                problems.error("the service \(quoted(entry.key)) must be an object", at: original?.value.offset)
                continue
            }
            var reader = ServiceReader(name: entry.key, object: object, original: original, problems: problems)
            let service = reader.read()
            if !orders.insert(service.order).inserted {
                reader.reject("order", "is that of another service")
            }
            problems = reader.problems
            read.append(service)
        }
        let wanted = read.filter { $0.scope.contains(.noninteractive) }.map { quoted($0.name) }
        if !wanted.isEmpty {
            problems.warning(
                "no services are started for runs, and the pipeline has \(wanted.joined(separator: ", "))",
                at: node.offset,
                hint: "run it elsewhere, tell the steps where by `--env-var`, and use a policy that lets them reach it"
            )
        }
        return read
    }

    /// Whether names of environment variables may have this character.
    static func isVariableCharacter(_ scalar: Unicode.Scalar) -> Bool {
        guard let byte = UInt8(exactly: scalar.value) else { return false }
        return byte.isLetter || byte.isDigit || byte == Ascii.minus || byte == UInt8(ascii: "_")
    }
}

/// Reads one service; a member of a wrong type is noted and stands as if it were absent.
private struct ServiceReader {
    let name: String
    let object: JSONObject
    let original: JSONNode.Member?
    var problems: DiagnosticList

    mutating func read() -> PipelineService {
        checkName()
        let image = string("image", required: true) ?? ""
        if image.isEmpty, object["image"]?.stringValue != nil { reject("image", "is empty") }
        return PipelineService(
            name: name,
            image: image,
            command: string("command").flatMap { $0.isEmpty ? nil : $0 },
            arguments: string("args").flatMap { $0.isEmpty ? nil : $0 },
            scope: readScope(),
            binds: readBinds(),
            ports: readPorts(),
            environmentVariables: readVariables(),
            inheritedVariables: readInheritedVariables(),
            isExposed: bool("exposed", default: nil),
            requiresAuthentication: bool("requires_authentication", default: true),
            preservesBasePath: bool("preserve_base_path", default: false),
            order: readOrder()
        )
    }

    /// Notes that the member `key` is wrong, at its place or, where the file has none, at that of the service.
    mutating func reject(_ key: String, _ message: String, hint: String? = nil) {
        let offset = original.map { $0.value[key]?.offset ?? $0.keyNode.offset }
        problems.error("`\(key)` of the service \(quoted(name)) \(message)", at: offset, hint: hint)
    }

    private mutating func checkName() {
        let bytes = Array(name.utf8)
        let isValid =
            bytes.count <= 26 && (bytes.first.map { $0.isLetter && $0 & 0x20 != 0 } ?? false)
            && bytes.allSatisfy { ($0.isLetter && $0 & 0x20 != 0) || $0.isDigit || $0 == Ascii.minus }
        if !isValid {
            problems.error(
                "the service name \(quoted(name)) cannot be a host name",
                at: original?.keyNode.offset,
                hint: "use at most 26 lower-case letters, digits and hyphens, beginning with a letter"
            )
        } else if let given = string("name", required: true), given != name {
            reject("name", "is \(quoted(given)), but its key is \(quoted(name))", hint: "make both the same")
        }
    }

    private mutating func string(_ key: String, required: Bool = false) -> String? {
        guard let value = object[key] else {
            if required { reject(key, "is missing") }
            return nil
        }
        if let text = value.stringValue { return text }
        reject(key, "must be a string, not \(value.kind.phrase)")
        return nil
    }

    private mutating func bool(_ key: String, default fallback: Bool?) -> Bool {
        guard let value = object[key] else {
            if fallback == nil { reject(key, "is missing") }
            return fallback ?? false
        }
        if let flag = value.boolValue { return flag }
        reject(key, "must be true or false, not \(value.kind.phrase)")
        return fallback ?? false
    }

    private mutating func list(_ key: String, required: Bool = false) -> [JSONValue] {
        guard let value = object[key] else {
            if required { reject(key, "is missing") }
            return []
        }
        if let elements = value.arrayValue { return elements }
        reject(key, "must be a list, not \(value.kind.phrase)")
        return []
    }

    private mutating func texts(_ key: String) -> [String: String] {
        guard let value = object[key] else { return [:] }
        guard let members = value.objectValue else {
            reject(key, "must be an object, not \(value.kind.phrase)")
            return [:]
        }
        var texts: [String: String] = [:]
        for entry in members {
            if let text = entry.value.stringValue {
                texts[entry.key] = text
            } else {
                reject(key, "gives \(quoted(entry.key)) as \(entry.value.kind.phrase); it must be a string")
            }
        }
        return texts
    }

    private mutating func readScope() -> Set<PipelineService.Scope> {
        var scope: Set<PipelineService.Scope> = []
        for element in list("scope", required: true) {
            if let known = element.stringValue.flatMap({ PipelineService.Scope(rawValue: $0) }) {
                scope.insert(known)
            } else {
                reject("scope", "may only hold \"interactive\" and \"noninteractive\"")
            }
        }
        return scope
    }

    private mutating func readBinds() -> [String: String] {
        let binds = texts("binds")
        let known = ["/data", "/project-dir"]
        for source in binds.keys.sorted() where !known.contains(source) {
            reject("binds", "names \(quoted(source)); only `/data` and `/project-dir` can be bound")
        }
        if binds.values.contains("") { reject("binds", "has an empty path") }
        return binds.filter { known.contains($0.key) && !$0.value.isEmpty }
    }

    private mutating func readPorts() -> [Int] {
        let elements = list("ports", required: true)
        let ports = elements.compactMap(\.intValue).filter { 1...65_535 ~= $0 }
        if ports.count < elements.count {
            reject("ports", "may only hold numbers from 1 to 65535")
        } else if elements.isEmpty, object["ports"]?.arrayValue != nil {
            reject("ports", "has no port")
        }
        return ports
    }

    private mutating func readVariables() -> [String: String] {
        let variables = texts("env_variables")
        for name in variables.keys.sorted() { checkVariable(name, of: "env_variables") }
        return variables
    }

    private mutating func readInheritedVariables() -> [String] {
        let elements = list("env_variables_inherit")
        let names = elements.compactMap(\.stringValue)
        if names.count < elements.count { reject("env_variables_inherit", "may only hold strings") }
        for name in names { checkVariable(name, of: "env_variables_inherit") }
        return names
    }

    private mutating func checkVariable(_ name: String, of key: String) {
        guard name.isEmpty || !name.unicodeScalars.allSatisfy(PipelineReader.isVariableCharacter) else { return }
        reject(
            key,
            "holds \(quoted(name)), which cannot be the name of a variable",
            hint: "names have letters, digits, `_` and `-`"
        )
    }

    private mutating func readOrder() -> Int {
        guard let value = object["order"] else {
            reject("order", "is missing")
            return 0
        }
        if let number = value.intValue { return number }
        reject("order", "must be a whole number, not \(value.kind.phrase)")
        return 0
    }
}
