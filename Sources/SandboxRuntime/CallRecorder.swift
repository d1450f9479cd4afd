import Isolation
import LinuxSystem
import SeccompFilters

/// Counts the calls of a sandbox that are let through, for a policy that allows these alone.
struct CallRecorder {
    private static let mostUses = 8
    /// Calls whose arguments tell more than their name.
    private static let described: Set<String> = ["socket", "socketpair", "clone", "prctl"]

    private let table: SystemCallTable
    private let refusals: RefusalTable
    private var counts: [Int]
    /// The rules of the policy that steps have by default, by number, where they refuse anything.
    private let reference: [SeccompRule?]
    private var uses: [UInt32: [String]] = [:]
    private var dangers: [UInt32: Set<String>] = [:]

    init(_ refusals: RefusalTable) {
        self.refusals = refusals
        table = SystemCallTable.table(for: refusals.architecture)
        let usual = SeccompPolicy.steps()
        reference = (0...table.greatestNumber).map { [table] number in
            table.name(of: number).flatMap { usual.rules[$0] }.flatMap { rule in
                rule.verdicts.contains { $0 != .allow } ? rule : nil
            }
        }
        counts = Array(repeating: 0, count: reference.count)
    }

    /// Notes a call that goes on.
    mutating func note(_ call: RefusedCall) {
        guard counts.indices.contains(Int(call.number)) else { return }
        counts[Int(call.number)] += 1
        if let rule = reference[Int(call.number)], case .refuse(let refusal) = rule.verdict(for: call.arguments) {
            dangers[call.number, default: []].insert(refusal.group.rawValue)
        }
        guard let name = table.name(of: call.number), Self.described.contains(name),
            uses[call.number]?.count ?? 0 < Self.mostUses
        else { return }
        let use = refusals.describe(number: call.number, arguments: call.arguments)
        if uses[call.number]?.contains(use) != true { uses[call.number, default: []].append(use) }
    }

    /// What was let through.
    var calls: [SandboxRecording.Call] {
        counts.indices.filter { counts[$0] > 0 }.compactMap { index in
            let number = UInt32(index)
            return table.name(of: number).map {
                SandboxRecording.Call(
                    $0, count: counts[index], uses: uses[number] ?? [], dangers: (dangers[number] ?? []).sorted())
            }
        }.sorted { $0.name < $1.name }
    }
}
