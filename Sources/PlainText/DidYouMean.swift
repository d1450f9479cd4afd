/// The hint for a name that does not exist, `did you mean …?`; nil where nothing is close.
package func didYouMean(_ name: String, among candidates: some Sequence<String>) -> String? {
    EditDistance.nearest(to: name, in: candidates).map { "did you mean \(quoted($0))?" }
}

/// The question at the end of a message about an unknown name, `; did you mean … or …?`; empty where nothing was found.
package func didYouMean(_ candidates: String?...) -> String {
    let found = candidates.compactMap { $0.map(quoted) }
    return found.isEmpty ? "" : "; did you mean \(found.joined(separator: " or "))?"
}
