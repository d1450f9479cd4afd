package import Isolation
import PlainText

/// All policies that there are: the built-in ones, the system's and the store's.
package struct PolicyCatalogue: Sendable {
    /// A directory of policy documents.
    package struct Layer: Sendable {
        /// What its documents are, among everything that makes a policy.
        let kind: PolicyLayer
        /// The directory, for messages.
        let directory: String
        let fileNames: @Sendable () -> [String]
        let read: @Sendable (String) throws -> [UInt8]?

        /// Describes a directory.
        ///
        /// - Parameters:
        ///   - kind: Whose documents it has.
        ///   - directory: Its path, for messages.
        ///   - fileNames: Lists what is in it; nothing, where it is not there.
        ///   - read: Reads the file of that name, at least the first `PolicyDocument.sizeLimit` + 1 bytes; nil where
        ///     there is none. The name never has a slash.
        package init(
            _ kind: PolicyLayer = .store, directory: String, fileNames: @escaping @Sendable () -> [String],
            read: @escaping @Sendable (String) throws -> [UInt8]?
        ) {
            self.kind = kind
            self.directory = directory
            self.fileNames = fileNames
            self.read = read
        }

        func path(of name: String) -> String { "\(directory)/\(name)\(PolicyName.suffix)" }
    }

    /// How many documents may extend each other in a row.
    package static let depthLimit = 8

    private let layers: [Layer]
    /// What no policy may exceed; nil is without a ceiling.
    package let ceiling: PolicyCeiling?

    /// The policies of these layers; documents of a later one may not change what an earlier one has.
    package init(layers: [Layer] = [], ceiling: PolicyCeiling? = nil) {
        self.layers = layers
        self.ceiling = ceiling
    }

    /// The names of all policies: the built-in ones in their order, then those of documents, sorted.
    ///
    /// Documents are not read for that, so one of them may turn out to be invalid.
    package var names: [String] {
        let documents = layers.flatMap { $0.fileNames() }.compactMap(Self.policyName)
            .filter { PolicyName.fault(of: $0) == nil }
        return BuiltInPolicies.names + Set(documents).sorted()
    }

    /// What is wrong with the names of files in the layers, each of which is no policy for that.
    package var strayFiles: [PolicyProblem] {
        layers.flatMap { layer in
            layer.fileNames().sorted().compactMap { file in
                Self.fault(ofFile: file).map { PolicyProblem($0, file: "\(layer.directory)/\(file)") }
            }
        }
    }

    /// The policy of that name, with all that it inherits.
    package func policy(named name: String) throws(PolicyError) -> SandboxPolicy { try resolve(name).policy }

    /// The policy of that name, with all that it inherits, and the origin of its values.
    package func resolve(_ name: String) throws(PolicyError) -> ResolvedPolicy {
        var chain = PolicyChain()
        guard let source = try find(name, &chain) else {
            throw .notFound(name, nearest: EditDistance.nearest(to: name, in: names))
        }
        return try resolve(source, &chain)
    }

    /// The policy that a document would be, wherever it lies; what it extends is looked for here.
    package func resolve(reading bytes: [UInt8], name: String, file: String) throws(PolicyError) -> ResolvedPolicy {
        var chain = PolicyChain()
        return try resolve(.document(bytes, name: name, file: file, .file), &chain)
    }

    /// The same policies, but that one layer has another document of that name, or none where `bytes` is nil.
    package func replacing(_ name: String, with bytes: [UInt8]?, in kind: PolicyLayer) -> PolicyCatalogue {
        let file = name + PolicyName.suffix
        let changed = layers.map { layer in
            guard layer.kind == kind else { return layer }
            return Layer(
                kind, directory: layer.directory,
                fileNames: { layer.fileNames().filter { $0 != file } + (bytes == nil ? [] : [file]) },
                read: { try $0 == file ? bytes : layer.read($0) })
        }
        return PolicyCatalogue(layers: changed, ceiling: ceiling)
    }

    /// The document of that name as it stands in its file, and where that is; nil for a built-in policy.
    package func document(_ name: String) throws(PolicyError) -> (bytes: [UInt8], file: String, layer: PolicyLayer)? {
        var chain = PolicyChain()
        switch try find(name, &chain) {
        case .document(let bytes, _, let file, let layer): return (bytes, file, layer)
        case .builtIn: return nil
        case nil: throw .notFound(name, nearest: EditDistance.nearest(to: name, in: names))
        }
    }

    /// Where a policy comes from.
    private enum Source {
        case builtIn(SandboxPolicy)
        case document([UInt8], name: String, file: String, PolicyLayer)
    }

    private func resolve(_ first: Source, _ chain: inout PolicyChain) throws(PolicyError) -> ResolvedPolicy {
        var source = first
        while true {
            switch source {
            case .builtIn(let policy):
                var resolved = try chain.resolved(on: policy)
                if let ceiling { resolved.clip(by: ceiling) }
                return resolved
            case .document(let bytes, let name, let file, let layer):
                let isReadable = chain.add(bytes, name: name, file: file, layer)
                guard isReadable, let base = try base(of: &chain) else { throw chain.error }
                source = base
            }
        }
    }

    /// What the last document of the chain extends, or nil where nothing can be extended.
    private func base(of chain: inout PolicyChain) throws(PolicyError) -> Source? {
        guard let document = chain.documents.last, let name = document.base else { return nil }
        let fault: String
        if name == BuiltInPolicies.build.name {
            fault = "`\(name)` is for builds of environments alone and cannot be extended"
        } else if !BuiltInPolicies.names.contains(name), chain.documents.contains(where: { $0.name == name }) {
            let circle = (chain.documents.map(\.name) + [name]).joined(separator: "` -> `")
            fault = "policies cannot extend each other in a circle: `\(circle)`"
        } else if let source = try find(name, &chain) {
            guard case .document = source, chain.documents.count >= Self.depthLimit else { return source }
            fault = "more than \(Self.depthLimit) documents extend each other"
        } else {
            fault = "there is no policy `\(name)`" + didYouMean(EditDistance.nearest(to: name, in: names))
        }
        chain.report(fault, in: document, at: document.extends?.place)
        return nil
    }

    /// Looks for a policy in all layers, also where the first that has it is to be taken.
    private func find(_ name: String, _ chain: inout PolicyChain) throws(PolicyError) -> Source? {
        guard PolicyName.isWellFormed(name) else { return nil }
        var found: (bytes: [UInt8], file: String, layer: PolicyLayer)?
        let builtIn = BuiltInPolicies.named(name)
        for layer in layers {
            let file = layer.path(of: name)
            guard let bytes = try layer.content(of: name) else { continue }
            if builtIn != nil {
                // Passed over in silence it would look as if it held.
                chain.report(
                    PolicyProblem("`\(name)` is a built-in policy, and no document may redefine it", file: file))
            } else if let first = found {
                guard first.bytes != bytes else { continue }
                let other = printable(first.file, limit: 4096)
                chain.report(PolicyProblem("\(other) has this name already, with another content", file: file))
            } else {
                found = (bytes, file, layer.kind)
            }
        }
        if let builtIn { return .builtIn(builtIn) }
        return found.map { .document($0.bytes, name: name, file: $0.file, $0.layer) }
    }

    private static func policyName(ofFile file: String) -> String? {
        file.hasSuffix(PolicyName.suffix) ? String(file.dropLast(PolicyName.suffix.count)) : nil
    }

    private static func fault(ofFile file: String) -> String? {
        if file.hasPrefix(".") { return nil }
        if let name = policyName(ofFile: file) { return PolicyName.fault(of: name) }
        return file.hasSuffix(".yml") ? "the file of a policy ends with `\(PolicyName.suffix)`" : nil
    }
}

extension PolicyCatalogue.Layer {
    fileprivate func content(of name: String) throws(PolicyError) -> [UInt8]? {
        do {
            return try read(name + PolicyName.suffix)
        } catch {
            throw .unreadable(file: path(of: name), reason: "\(error)")
        }
    }
}
