/// What becomes of one system call, looking at its arguments where that matters.
package struct SeccompRule: Sendable, Hashable {
    /// Conditions that must all hold, and the verdict then.
    package struct Case: Sendable, Hashable {
        /// All of these have to hold.
        package var conditions: [SeccompCondition]

        /// What becomes of the call then.
        package var verdict: SeccompVerdict

        /// Gives `verdict` where all `conditions` hold.
        package init(conditions: [SeccompCondition], verdict: SeccompVerdict) {
            self.conditions = conditions
            self.verdict = verdict
        }

        /// Allows the call where all `conditions` hold.
        package static func allow(_ conditions: SeccompCondition...) -> Case {
            Case(conditions: conditions, verdict: .allow)
        }

        /// Refuses the call where all `conditions` hold.
        package static func refuse(_ refusal: SeccompRefusal, _ conditions: SeccompCondition...) -> Case {
            Case(conditions: conditions, verdict: .refuse(refusal))
        }
    }

    /// The call's name.
    package let call: String

    /// Tried in order; the first whose conditions hold decides.
    package var cases: [Case]

    /// The verdict where none of the cases holds.
    package var otherwise: SeccompVerdict

    /// Decides over `call` by `cases`, then by `otherwise`.
    package init(_ call: String, _ cases: [Case] = [], otherwise: SeccompVerdict) {
        self.call = call
        self.cases = cases
        self.otherwise = otherwise
    }

    /// The verdict for a call with the registers `arguments`.
    package func verdict(for arguments: [UInt64]) -> SeccompVerdict {
        let decisive = cases.first { $0.conditions.allSatisfy { $0.holds(for: arguments) } }
        return decisive?.verdict ?? otherwise
    }

    /// Every verdict that the rule can give.
    package var verdicts: [SeccompVerdict] { cases.map(\.verdict) + [otherwise] }

    /// The same rule with each verdict replaced by what `change` makes of it.
    package func mapVerdicts(_ change: (SeccompVerdict) -> SeccompVerdict) -> SeccompRule {
        var changed = SeccompRule(call, otherwise: change(otherwise))
        changed.cases = cases.map { Case(conditions: $0.conditions, verdict: change($0.verdict)) }
        // A rule whose outcomes have become one needs no look at the arguments, and the kernel then caches its verdict.
        if Set(changed.verdicts).count == 1 { changed.cases = [] }
        return changed
    }
}

extension SeccompRule {
    /// Rules that allow each call in `names`, which are separated by spaces and line ends.
    package static func allow(_ names: String) -> [SeccompRule] {
        calls(names).map { SeccompRule($0, otherwise: .allow) }
    }

    /// Rules that refuse each call in `names`, which are separated by spaces and line ends.
    package static func refuse(_ names: String, _ refusal: SeccompRefusal) -> [SeccompRule] {
        calls(names).map { SeccompRule($0, otherwise: .refuse(refusal)) }
    }

    private static func calls(_ names: String) -> [String] {
        names.utf8.split { $0 == 0x20 || $0 == 0x0A }.map { String(Substring($0)) }
    }
}
