import Isolation
import SystemPackage

/// Neighbouring call numbers that share their fate, up to the first number of the next range.
struct CallRange: Hashable {
    /// The part of a rule that is compiled; calls with equal bodies share one block of code.
    struct Body: Hashable {
        let cases: [SeccompRule.Case]
        let otherwise: SeccompVerdict
        /// The action for uses that are allowed.
        let allowed: FilterAction
    }

    enum Fate: Hashable {
        case fixed(FilterAction)
        case conditional(Body)
    }

    let first: UInt32
    let fate: Fate
}

extension FilterCompiler {
    /// The ranges of all numbers from 0 to the greatest, neighbours with equal fate merged.
    func ranges(_ policy: SeccompPolicy, _ table: SystemCallTable) -> [CallRange] {
        let unlisted = CallRange.Fate.fixed(action(.refuse(policy.unlisted), allowed: .allow))
        var ranges: [CallRange] = []
        func append(_ first: UInt32, _ fate: CallRange.Fate) {
            if ranges.last?.fate != fate { ranges.append(CallRange(first: first, fate: fate)) }
        }
        for number in 0...table.greatestNumber {
            let rule = table.name(of: number).flatMap { policy.rules[$0] }
            append(number, rule.map { fate($0, policy) } ?? unlisted)
        }
        append(table.greatestNumber + 1, unlisted)
        if let second = table.architecture.secondTableStart { append(second, .fixed(.errno(.noFunction))) }
        return ranges
    }

    private func fate(_ rule: SeccompRule, _ policy: SeccompPolicy) -> CallRange.Fate {
        let allowed = allowed(rule.call, policy)
        let actions = Set(rule.verdicts.map { action($0, allowed: allowed) })
        if actions.count == 1, let only = actions.first { return .fixed(only) }
        return .conditional(
            CallRange.Body(cases: rule.cases, otherwise: rule.otherwise, allowed: allowed))
    }
}
