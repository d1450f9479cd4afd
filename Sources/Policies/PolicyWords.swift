package import Isolation
import PlainText

extension SandboxPolicy {
    /// What a sandbox under the policy may do, in sentences without full stop, in the order of a document.
    package var sentences: [String] {
        [networkSentence, dataSentence, identitySentence, deviceSentence] + limitSentences + callSentences
            + (clipped ?? []).map { "the administrator's ceiling took \(printable($0, limit: 400))" }
    }

    private var dataSentence: String {
        let access = data == .readOnly ? "it reads /data and cannot change it" : "it reads and writes /data"
        let owner =
            switch dataScope {
            case .shared: "every sandbox of the store sees the same"
            case .project: "runs of the same project see the same"
            case .job: "runs of the same job see the same"
            }
        return data == .none ? "it has no /data" : "\(access); \(owner)"
    }

    private var identitySentence: String {
        let user =
            switch identity {
            case .user: "its commands run as user 1000 without a capability"
            case .namespaceRoot: "its commands run as root of the sandbox, with what package managers need"
            }
        return user
            + (needsRange
                ? "; it runs only where supervisor and commands have ids of their own"
                : "; where the host gives a single id, supervisor and commands share it")
    }

    private var limitSentences: [String] {
        let set = LimitName.allCases.compactMap { name in
            limits.value(of: name).map {
                "\(name.rawValue) \(name.text(of: $0))"
                    + (hardLimits.contains(name) ? " (held by the kernel, or nothing runs)" : "")
            }
        }
        let open = LimitName.allCases.filter { limits.value(of: $0) == nil }.map(\.rawValue)
        return (set.isEmpty ? [] : ["it may use at most " + set.joined(separator: ", ")])
            + (open.isEmpty ? [] : ["it has no limit of " + open.joined(separator: ", ")])
            + (data == .readWrite ? ["nothing limits what it writes to /data, but for the disk"] : [])
    }

    private var callSentences: [String] {
        let rules = seccomp.rules.values
        let allowed = rules.count { !$0.verdicts.contains { $0 != .allow } }
        let refused = rules.count { !$0.verdicts.contains(.allow) }
        let reasons = seccomp.groups.values.map(\.id).filter { !seccomp.calls(refusedBy: $0).isEmpty }
        return [
            "of \(rules.count) system calls it may make \(allowed), \(rules.count - allowed - refused) by their "
                + "arguments, and \(refused) not, for \(reasons.count) reasons"
        ]
    }
}
