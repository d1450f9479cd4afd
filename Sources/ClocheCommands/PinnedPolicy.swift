import Isolation
import JobScheduling
import Jobs
import PlainText
import Policies
import TerminalOutput

/// The policy that a job was made with, beside the one that has its name now.
struct PinnedPolicy: Encodable {
    enum State: String, Encodable {
        /// A job that is made now gets the same.
        case current
        /// A job that is made now gets another one.
        case movedOn = "moved_on"
        /// There is none of that name any more.
        case gone
        /// The documents that it is made of are wrong, or cannot be read.
        case invalid
    }

    var name: String
    /// SHA-256 of the policy with all that it inherits.
    var digest: String
    var state: State

    init(of document: JobDocument) {
        name = document.policy.name
        digest = document.policy.digest
        do {
            let policy = try CommandContext.policies().policy(named: document.policy.name)
            state = PolicyPin.digest(of: policy) == digest ? .current : .movedOn
        } catch PolicyError.notFound {
            state = .gone
        } catch {
            state = .invalid
        }
    }

    /// The name, and what has become of it since.
    var text: String {
        let since =
            switch state {
            case .current: ""
            case .movedOn: " (has moved on since: the job keeps \(digest.prefix(12)); see `cloche policy log \(name)`)"
            case .gone: " (has been removed since: the job keeps \(digest.prefix(12)))"
            case .invalid: " (cannot be read any more: see `cloche policy show \(name)`; the job keeps what it has)"
            }
        return printable(name) + since
    }
}
