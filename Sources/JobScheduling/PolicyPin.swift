package import Isolation
import Runs

/// The digest by which a job names its policy.
package enum PolicyPin {
    /// The digest of a policy with everything that it inherits, as a job made now would pin it.
    package static func digest(of policy: SandboxPolicy) -> String? {
        JSONFile.encode(policy).map(Digest.hexadecimal)
    }
}
