import SystemPackage

/// A part of a seccomp policy that cannot mean what its author wanted.
package enum SeccompPolicyError: Error, Sendable, Hashable {
    /// The call of a rule does not exist on any machine.
    case unknownCall(UnknownSystemCall)
    /// A condition names an argument place beyond the six that exist.
    case noSuchArgument(call: String, argument: Int)
    /// A condition compares with nothing, or with values that its mask cannot let through.
    case neverHolds(call: String, argument: Int)
    /// A case comes after one that always holds.
    case unreachableCase(call: String)
    /// A refusal's error number is not one that a call can return.
    case errnoOutOfRange(call: String, errno: Int32)
    /// A refusal refers to a group that the policy does not have.
    case unknownGroup(call: String, group: String)
    /// No group has the name that was to be allowed.
    case noSuchGroup(String)
    /// The call or group that was to be allowed is refused whatever a policy says.
    case neverOpens(String)
    /// A rule has more cases or values than a filter should hold.
    case tooLarge(call: String)
}

extension SeccompPolicy {
    /// Bounds that no sensible rule comes near: they keep a filter below the kernel's 4,096 instructions.
    private enum Bound {
        static let cases = 32
        static let values = 64
        /// The greatest error number that the kernel returns (MAX_ERRNO); zero would fake success.
        static let errno: ClosedRange<Int32> = 1...4095
    }

    /// Checks that every rule can be compiled and can take effect.
    ///
    /// - Throws: the first thing that is wrong, in the order of the calls' names.
    package func validate() throws(SeccompPolicyError) {
        try check(unlisted, call: "*")
        for rule in rules.values.sorted(by: { $0.call < $1.call }) { try check(rule) }
    }

    func checkName(_ call: String) throws(SeccompPolicyError) {
        do {
            try SystemCallTable.check(call)
        } catch {
            throw .unknownCall(error)
        }
    }

    private func check(_ rule: SeccompRule) throws(SeccompPolicyError) {
        try checkName(rule.call)
        guard rule.cases.count <= Bound.cases else { throw .tooLarge(call: rule.call) }
        for element in rule.cases {
            guard !element.conditions.isEmpty else { throw .unreachableCase(call: rule.call) }
            for condition in element.conditions { try check(condition, call: rule.call) }
        }
        for case .refuse(let refusal) in rule.verdicts { try check(refusal, call: rule.call) }
    }

    private func check(_ condition: SeccompCondition, call: String) throws(SeccompPolicyError) {
        guard (0...5).contains(condition.argument) else {
            throw .noSuchArgument(call: call, argument: condition.argument)
        }
        let count: Int
        let possible: Bool
        switch condition.test {
        case .low(let mask, let values):
            count = values.count
            possible = values.allSatisfy { $0 & mask == $0 }
        case .whole(let values):
            count = values.count
            possible = true
        }
        guard count > 0, possible else { throw .neverHolds(call: call, argument: condition.argument) }
        guard count <= Bound.values else { throw .tooLarge(call: call) }
    }

    private func check(_ refusal: SeccompRefusal, call: String) throws(SeccompPolicyError) {
        guard Bound.errno.contains(refusal.errno.rawValue) else {
            throw .errnoOutOfRange(call: call, errno: refusal.errno.rawValue)
        }
        guard groups[refusal.group] != nil else {
            throw .unknownGroup(call: call, group: refusal.group.rawValue)
        }
    }
}

extension SeccompPolicyError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownCall(let error): error.description
        case .noSuchArgument(let call, let argument):
            "compile rule for `\(call)`: argument \(argument) does not exist"
        case .neverHolds(let call, let argument):
            "compile rule for `\(call)`: the condition on argument \(argument) can never hold"
        case .unreachableCase(let call): "compile rule for `\(call)`: a case without conditions hides what follows it"
        case .errnoOutOfRange(let call, let errno): "compile rule for `\(call)`: \(errno) is no error number"
        case .unknownGroup(let call, let group): "compile rule for `\(call)`: no group `\(group)` explains its refusal"
        case .noSuchGroup(let group): "allow group `\(group)`: no such group"
        case .neverOpens(let name): "allow `\(name)`: it is refused whatever a policy says"
        case .tooLarge(let call): "compile rule for `\(call)`: too many cases or values"
        }
    }

    /// What to change.
    package var hint: String? {
        switch self {
        case .unknownCall(let error): error.hint
        case .noSuchArgument: "a system call has the arguments 0 to 5"
        case .neverHolds: "give at least one value, and only bits that the mask has"
        case .unreachableCase: "make it the verdict that holds otherwise"
        case .errnoOutOfRange: "use a number from 1 to 4095"
        case .unknownGroup: "add the group to the policy"
        case .noSuchGroup: "`policy explain` lists the groups"
        case .neverOpens: "leave it out"
        case .tooLarge: "a rule has at most 32 cases, a condition at most 64 values"
        }
    }
}
