import Isolation
import Policies

/// A catalogue of documents that are given as texts.
func catalogue(_ store: [String: String] = [:], system: [String: String] = [:]) -> PolicyCatalogue {
    PolicyCatalogue(layers: [layer("/etc/cloche/policies", system), layer("policies", store)])
}

private func layer(_ directory: String, _ documents: [String: String]) -> PolicyCatalogue.Layer {
    PolicyCatalogue.Layer(
        directory: directory, fileNames: { documents.keys.map { $0.contains(".") ? $0 : $0 + ".yaml" } },
        read: { file in documents[String(file.dropLast(".yaml".count))].map { Array($0.utf8) } })
}

/// The policy `lab` with this text.
func lab(_ text: String, others: [String: String] = [:]) throws(PolicyError) -> SandboxPolicy {
    try catalogue(others.merging(["lab": text]) { _, last in last }).policy(named: "lab")
}

/// What is wrong with the policy `lab` with this text, one problem an entry, with `file:` left out.
func problems(of text: String, others: [String: String] = [:]) -> [String] {
    do throws(PolicyError) {
        _ = try lab(text, others: others)
        return []
    } catch {
        return error.description.split(separator: "\n").map {
            $0.hasPrefix("policies/lab.yaml:") ? String($0.dropFirst(18)) : String($0)
        }
    }
}
