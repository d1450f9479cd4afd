import Isolation

/// Documents that extend each other, from the one that is asked for, and what is wrong with them.
struct PolicyChain {
    private(set) var documents: [PolicyDocument] = []
    private var files: [String] = []
    private var layers: [String: PolicyLayer] = [:]
    private var problems: [PolicyProblem] = []
    private var hint: String?

    /// Adds the document that the last one extends.
    ///
    /// - Returns: Whether it could be read at all.
    mutating func add(_ bytes: [UInt8], name: String, file: String, _ layer: PolicyLayer) -> Bool {
        var reader = PolicyReader(name: name, file: file)
        let isReadable = reader.read(bytes)
        files.append(file)
        layers[file] = layer
        documents.append(reader.document)
        problems += reader.problems
        if hint == nil { hint = reader.hint }
        return isReadable
    }

    mutating func report(_ problem: PolicyProblem) { problems.append(problem) }

    mutating func report(_ message: String, in document: PolicyDocument, at place: PolicyPlace?) {
        report(place.map { PolicyProblem(message, at: $0) } ?? PolicyProblem(message, file: document.file))
    }

    /// Everything that is wrong, in the order of the documents.
    var error: PolicyError { .invalid(problems.inOrder(of: files), hint: hint) }

    /// What the documents make of `policy`, the one that the last of them extends.
    mutating func resolved(on policy: SandboxPolicy) throws(PolicyError) -> ResolvedPolicy {
        var resolved = ResolvedPolicy(builtIn: policy, layers: layers)
        for document in documents.reversed() { problems += resolved.apply(document) }
        guard problems.isEmpty else { throw error }
        return resolved
    }
}
