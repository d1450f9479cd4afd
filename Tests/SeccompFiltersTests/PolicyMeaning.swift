import Isolation
import SeccompFilters
import SystemPackage

/// What a policy means for one call, worked out without the code under test: numbers to verdicts by hand.
struct PolicyMeaning {
    let policy: SeccompPolicy
    let architecture: SystemCallArchitecture
    let mode: FilterCompiler.Mode

    func action(_ call: SeccompData) -> FilterAction {
        if call.architecture != architecture.auditToken { return .killProcess }
        if architecture == .x86_64, call.number >= 0x4000_0000 { return .errno(.init(rawValue: 38)) }
        let name = SystemCallTable.table(for: architecture).name(of: call.number)
        guard let name, let rule = policy.rules[name] else { return carriedOut(.refuse(policy.unlisted)) }
        for element in rule.cases where element.conditions.allSatisfy({ passes($0, call.arguments) }) {
            return carriedOut(element.verdict, name)
        }
        return carriedOut(rule.otherwise, name)
    }

    /// What a learning filter does not tell of.
    private static let everyPrograms = """
        execve exit exit_group read write close openat fstat newfstatat pread64 mmap munmap mprotect brk arch_prctl \
        set_tid_address futex rt_sigaction rt_sigprocmask rt_sigreturn restart_syscall
        """.split(separator: " ").map(String.init)

    private func passes(_ condition: SeccompCondition, _ arguments: [UInt64]) -> Bool {
        let register = arguments[condition.argument]
        switch condition.test {
        case .low(let mask, let values):
            // What a C function with an `int` parameter gets to see.
            let seen = register % (1 << 32)
            return values.contains { UInt64($0) == seen & UInt64(mask) }
        case .whole(let values):
            return values.contains { $0 == register }
        }
    }

    private func carriedOut(_ verdict: SeccompVerdict, _ call: String = "") -> FilterAction {
        switch verdict {
        case .allow:
            switch mode {
            case .notify: call == "sysinfo" && !canStopInFaults ? .notify : .allow
            case .silent: .allow
            case .learn: Self.everyPrograms.contains(call) ? .allow : .notify
            }
        case .refuse(let refusal):
            mode != .silent && refusal.reporting == .notify ? .notify : .errno(refusal.errno)
        }
    }

    private var canStopInFaults: Bool {
        guard let rule = policy.rules["userfaultfd"] else { return false }
        return rule.otherwise == .allow || rule.cases.contains { $0.verdict == .allow }
    }

    /// Registers that come near every condition of the rule for `number`: each value, plain, with high bits, and off by one.
    func arguments(near number: UInt32, atMost limit: Int = 250) -> [[UInt64]] {
        let plain: [[UInt64]] = [Array(repeating: 0, count: 6), Array(repeating: .max, count: 6)]
        let name = SystemCallTable.table(for: architecture).name(of: number)
        guard let rule = name.flatMap({ policy.rules[$0] }) else { return plain }
        var interesting: [Int: Set<UInt64>] = [:]
        for condition in rule.cases.flatMap(\.conditions) {
            interesting[condition.argument, default: [0, .max]].formUnion(values(near: condition.test))
        }
        var grid = plain
        for (place, values) in interesting.sorted(by: { $0.key < $1.key }) {
            var next: [[UInt64]] = []
            for row in grid {
                for value in values.sorted() {
                    var changed = row
                    changed[place] = value
                    next.append(changed)
                }
            }
            // All mixtures of three arguments can be too many: then every n-th is taken.
            grid = stride(from: 0, to: next.count, by: next.count / limit + 1).map { next[$0] }
        }
        return grid
    }

    private func values(near test: SeccompCondition.Test) -> [UInt64] {
        let base: [UInt64]
        switch test {
        case .low(_, let values): base = values.map(UInt64.init)
        case .whole(let values): base = values
        }
        return base.flatMap { value -> [UInt64] in
            let signExtended = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value)))
            return [value, value | 1 << 32, value | 0xFFFF_FFFF << 32, signExtended, value ^ 1, value | 0o4000]
        }
    }
}
