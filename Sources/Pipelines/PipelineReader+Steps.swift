import PlainText

/// Steps and their connections.
extension PipelineReader {
    /// A step before its connections are checked.
    private struct Draft {
        let step: Step
        let node: JSONNode
    }

    mutating func readSteps(_ root: JSONNode) -> [Step] {
        guard let node = root["steps"] else {
            problems.error("the pipeline has no `steps`", at: root.offset)
            return []
        }
        guard let members = node.members else {
            typeMismatch("`steps` of the pipeline", "an object", node, hint: "its keys are the uuids of the steps")
            return []
        }
        let drafts = members.compactMap { readStep($0) }
        let steps = drafts.map(\.step)
        let known = Dictionary(steps.enumerated().map { ($1.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        // With a step left out, every connection to it would be reported as well.
        guard drafts.count == members.count else { return steps }
        var isConnected = true
        for draft in drafts {
            isConnected = checkConnections(of: draft, steps: steps, known: known) && isConnected
        }
        if isConnected { checkCycle(drafts, known: known) }
        return steps
    }

    private mutating func readStep(_ member: JSONNode.Member) -> Draft? {
        let node = member.value
        let key = member.key
        guard node.kind == .object else {
            typeMismatch("the step \(quoted(key))", "an object", node)
            return nil
        }
        let title = node["title"]?.string ?? ""
        let owner = "the step \(quoted(title.isEmpty ? key : title))"
        refuseMisspelling(in: node, known: Self.stepKeys, of: owner)
        _ = string("title", in: node, of: owner)
        let isIdentified = checkIdentity(member, owner: owner)
        let kernel = readKernel(node, owner: owner)
        let environment = string("environment", in: node, of: owner)
        let parameters = readParameters(node, of: owner)
        let connections = readConnections(node, owner: owner)
        guard let (filePath, file) = readFile(node, owner: owner), isIdentified, let connections else { return nil }
        let step = Step(
            uuid: key,
            title: title,
            filePath: filePath,
            resolvedFile: file,
            environment: environment.flatMap { $0.isEmpty ? nil : $0 },
            kernelLanguage: kernel,
            incomingConnections: connections,
            parameters: parameters,
            offsets: Step.Offsets(
                key: member.keyNode.offset,
                filePath: node["file_path"]?.offset ?? node.offset,
                environment: node["environment"]?.offset ?? node.offset
            )
        )
        return Draft(step: step, node: node)
    }

    private static let stepKeys = [
        "uuid", "title", "file_path", "environment", "incoming_connections", "outgoing_connections", "kernel",
        "parameters", "meta_data",
    ]

    private mutating func checkIdentity(_ member: JSONNode.Member, owner: String) -> Bool {
        guard uuid(member.keyNode, what: "the key of \(owner)") != nil else { return false }
        guard let node = member.value["uuid"] else { return true }
        guard let uuid = uuid(node, what: "the `uuid` of \(owner)") else { return false }
        guard uuid == member.key else {
            problems.error(
                "\(owner) has the `uuid` \(quoted(uuid)), but its key is \(quoted(member.key))",
                at: node.offset,
                hint: "make both the same"
            )
            return false
        }
        return true
    }

    private mutating func readFile(_ node: JSONNode, owner: String) -> (String, StepFile)? {
        guard let member = node["file_path"] else {
            problems.error("\(owner) has no `file_path`", at: node.offset)
            return nil
        }
        guard let path = string("file_path", in: node, of: owner) else { return nil }
        do throws(StepFile.Problem) {
            return (path, try StepFile.resolve(path, in: directory))
        } catch {
            let shown = path.isEmpty ? "" : ": \(quoted(path))"
            problems.error("\(owner) \(error.message)\(shown)", at: member.offset, hint: error.hint)
            return nil
        }
    }

    private mutating func readKernel(_ node: JSONNode, owner: String) -> String? {
        guard let kernel = node["kernel"], kernel.kind != .null else { return nil }
        guard kernel.kind == .object else {
            typeMismatch("`kernel` of \(owner)", "an object", kernel)
            return nil
        }
        guard let name = string("name", in: kernel, of: "the kernel of \(owner)"), !name.isEmpty else { return nil }
        let languages = ["python", "r", "julia", "javascript"]
        let language = name == "ir" ? "r" : name
        guard languages.contains(language) else {
            problems.warning(
                "\(owner) has a kernel of the language \(quoted(name)), which is not known",
                at: kernel["name"]?.offset,
                hint: "known are \(languages.joined(separator: ", "))"
            )
            return nil
        }
        return language
    }

    private mutating func readConnections(_ node: JSONNode, owner: String) -> [String]? {
        guard let list = node["incoming_connections"] else { return [] }
        guard let elements = list.elements else {
            typeMismatch("`incoming_connections` of \(owner)", "a list", list)
            return nil
        }
        var uuids: [String] = []
        for element in elements {
            guard let uuid = element.string else {
                typeMismatch("a connection of \(owner)", "the uuid of a step", element)
                return nil
            }
            uuids.append(uuid)
        }
        return uuids
    }

    private mutating func checkConnections(of draft: Draft, steps: [Step], known: [String: Int]) -> Bool {
        var isValid = true
        var seen: Set<String> = []
        let step = draft.step
        let nodes = draft.node["incoming_connections"]?.elements ?? []
        for (uuid, node) in zip(step.incomingConnections, nodes) {
            if uuid == step.uuid {
                problems.error("the step \(step.reference) is connected to itself", at: node.offset)
                isValid = false
            } else if let parent = known[uuid] {
                guard !seen.insert(uuid).inserted else { continue }
                problems.error(
                    "the step \(step.reference) is connected to \(steps[parent].reference) twice",
                    at: node.offset,
                    hint: "remove one of the connections"
                )
                isValid = false
            } else {
                problems.error(
                    "the step \(step.reference) is connected to \(quoted(uuid)), which is no step",
                    at: node.offset,
                    hint: StepNames.suggestion(for: uuid, among: steps)
                )
                isValid = false
            }
        }
        return isValid
    }

    private mutating func checkCycle(_ drafts: [Draft], known: [String: Int]) {
        let parents = drafts.map { $0.step.incomingConnections.compactMap { known[$0] } }
        guard let cycle = StepCycle.find(parents: parents), let last = cycle.last, let first = cycle.first else {
            return
        }
        // The cycle goes with the data; the connection that closes it is an incoming one of its first step.
        let closing = drafts[first].step.incomingConnections.firstIndex(of: drafts[last].step.uuid)
        let node = closing.flatMap { drafts[first].node["incoming_connections"]?.elements?[$0] }
        var names = cycle.map { quoted(drafts[$0].step.displayName) }
        let omitted = names.count - 20
        if omitted > 0 { names.replaceSubrange(10..<10 + omitted, with: ["… \(omitted) more …"]) }
        names.append(quoted(drafts[first].step.displayName))
        problems.error(
            "the connections form a cycle: " + names.joined(separator: " -> "),
            at: node?.offset ?? drafts[first].step.offsets.key,
            hint: "remove one of these connections"
        )
    }
}

/// Finding a cycle among steps that are given by their numbers.
enum StepCycle {
    /// The steps of one cycle in the direction of the data; nil when there is none.
    static func find(parents: [[Int]]) -> [Int]? {
        enum Mark {
            case new
            case open
            case done
        }
        var marks = [Mark](repeating: .new, count: parents.count)
        for root in parents.indices where marks[root] == .new {
            var path = [(step: root, next: 0)]
            marks[root] = .open
            while let (step, next) = path.last {
                guard next < parents[step].count else {
                    marks[step] = .done
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let parent = parents[step][next]
                switch marks[parent] {
                case .done: break
                case .open:
                    let start = path.firstIndex { $0.step == parent } ?? 0
                    return path[start...].map(\.step).reversed()
                case .new:
                    marks[parent] = .open
                    path.append((parent, 0))
                }
            }
        }
        return nil
    }
}
