import Isolation

/// What a document may name in `seccomp`, beside the system calls.
enum SeccompNames {
    /// The group of calls that documents deny.
    static let denied = SeccompGroup("policy", because: "the policy denies the call", opening: .none)

    /// The groups of refusals that some built-in policy has, sorted.
    static let groups = Set(
        (BuiltInPolicies.standard.seccomp.groups.keys.map(\.rawValue))
            + BuiltInPolicies.strict.seccomp.groups.keys.map(\.rawValue)
    ).sorted()
}
