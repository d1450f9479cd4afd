/// Whether a path is left out of a snapshot, and what decided it.
package struct IgnoreDecision: Sendable, Hashable, CustomStringConvertible {
    /// What decided about a path.
    package enum Reason: Sendable, Hashable {
        /// A pattern that the program brings along.
        case builtIn(String)
        /// A line of an ignore file.
        case rule(IgnoreRule)
        /// git tracks the file, or files below the directory; the rule would have left it out.
        case tracked(instead: IgnoreRule)
    }

    /// Whether the path is left out.
    package let ignored: Bool
    /// The reason; nil when no rule matches and the path is therefore taken.
    package let reason: Reason?

    /// One line for `snapshot create --explain`.
    package var description: String {
        let verdict = ignored ? "left out" : "taken"
        switch reason {
        case nil: return "\(verdict): no rule matches"
        case .builtIn(let pattern): return "\(verdict): built-in rule `\(pattern)`"
        case .rule(let rule): return "\(verdict): \(rule)"
        case .tracked(let rule): return "\(verdict): tracked by git, in spite of \(rule)"
        }
    }
}
