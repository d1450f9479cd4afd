import Foundation
import Isolation
import SeccompFilters
import SystemPackage
import Testing

/// Policies that nobody would write, and what the compiler makes of them.
///
/// `CLOCHE_TEST_SWEEP=full` tries many more.
@Suite struct FilterFuzzTests {
    static let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"
    private static let rounds = isFull ? 600 : 24

    @Test(arguments: FilterCompiler.Mode.allCases)
    func `a filter of rules made at random decides as they say, for each number and calling convention`(
        mode: FilterCompiler.Mode
    ) throws {
        var random = FuzzNumbers(seed: 0xF117E5 + UInt64(FilterCompiler.Mode.allCases.firstIndex(of: mode) ?? 0))
        var compiled = 0
        for round in 0..<Self.rounds {
            let policy = Self.policy(&random)
            let architecture = SystemCallArchitecture.allCases[round % SystemCallArchitecture.allCases.count]
            let program: FilterProgram
            do throws(FilterCompilerError) {
                program = try FilterCompiler(architecture: architecture, mode: mode).compile(policy)
            } catch {
                // What is refused is not loaded; that there is a reason is all there is to see.
                #expect(!"\(error)".isEmpty)
                continue
            }
            compiled += 1
            if let fault = try FilterCheck(policy, architecture, mode).fault(in: program, mixtures: 24) {
                Issue.record("round \(round): \(fault)")
                return
            }
        }
        #expect(compiled > Self.rounds / 3, "\(compiled)")
    }

    @Test func `no bytes make the reader of filters fail otherwise than by an error`() throws {
        var random = FuzzNumbers(seed: 0xB17E5)
        let good = try FilterCompiler(architecture: .x86_64).compile(.strict()).bytes
        for _ in 0..<(Self.isFull ? 20_000 : 800) {
            var bytes = good
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
            guard let simulator = try? FilterSimulator(bytes: bytes) else { continue }
            for number: UInt32 in [0, 41, 56, 157, 471, .max] {
                _ = try? simulator.run(
                    SeccompData(architecture: 0xC000_003E, number: number, arguments: [.max, 0, 3]))
            }
        }
    }

    @Test func `no damage to a policy that is written down is read as one that allows more`() throws {
        var random = FuzzNumbers(seed: 0xDA3A6E)
        let good = try JSONEncoder().encode(SeccompPolicy.strict(.withoutFileLocks))
        var read = 0
        for _ in 0..<(Self.isFull ? 5000 : 300) {
            var data = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                data[Int.random(in: 0..<data.count, using: &random)] = UInt8.random(in: 0x20...0x7E, using: &random)
            }
            guard let policy = try? JSONDecoder().decode(SeccompPolicy.self, from: data),
                let program = try? FilterCompiler(architecture: .x86_64, mode: .silent).compile(policy)
            else { continue }
            read += 1
            // What is read is carried out as it is read.
            #expect(
                try FilterCheck(policy, .x86_64, .silent).fault(in: program, mixtures: 2, numbers: 0...471) == nil)
        }
        #expect(read < (Self.isFull ? 5000 : 300))
    }

    // MARK: - Policies

    private static func policy(_ random: inout FuzzNumbers) -> SeccompPolicy {
        let groups = ["one", "two"].map {
            SeccompGroup(SeccompGroup.ID(rawValue: $0), because: "it is tried", opening: .call)
        }
        var policy = SeccompPolicy(name: "made", unlisted: refusal(&random), groups: groups)
        let names = SystemCallTable.x86_64.names.shuffled(using: &random)
        for name in names.prefix(Int.random(in: 0...120, using: &random)) {
            let count = Bool.random(using: &random) ? 0 : Int.random(in: 1...6, using: &random)
            let cases = (0..<count).map { _ in
                SeccompRule.Case(
                    conditions: (0..<Int.random(in: 1...3, using: &random)).map { _ in condition(&random) },
                    verdict: verdict(&random))
            }
            policy.set([SeccompRule(name, cases, otherwise: verdict(&random))])
        }
        return policy
    }

    private static func refusal(_ random: inout FuzzNumbers) -> SeccompRefusal {
        let errno: CInt =
            [1, 2, 22, 38, 4095, CInt.random(in: 1...4095, using: &random)].randomElement(using: &random) ?? 1
        return SeccompRefusal(
            Errno(rawValue: errno), Bool.random(using: &random) ? .notify : .silent,
            group: Bool.random(using: &random) ? "one" : "two")
    }

    private static func verdict(_ random: inout FuzzNumbers) -> SeccompVerdict {
        Bool.random(using: &random) ? .allow : .refuse(refusal(&random))
    }

    private static func condition(_ random: inout FuzzNumbers) -> SeccompCondition {
        let argument = Int.random(in: 0...(Int.random(in: 0...2000, using: &random) == 0 ? 6 : 5), using: &random)
        let count = Int.random(in: 1...(Int.random(in: 0...2000, using: &random) == 0 ? 65 : 6), using: &random)
        let edges: [UInt64] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, .max]
        func value() -> UInt64 {
            Bool.random(using: &random) ? edges.randomElement(using: &random) ?? 0 : random.next()
        }
        if Bool.random(using: &random) {
            return SeccompCondition(argument: argument, test: .whole(oneOf: (0..<count).map { _ in value() }))
        }
        let mask = Bool.random(using: &random) ? UInt32.max : UInt32(truncatingIfNeeded: value())
        // Beside values that a mask can let through, some that it cannot, which the policy refuses to be.
        let kept = Int.random(in: 0...2000, using: &random) == 0 ? UInt32.max : mask
        return SeccompCondition(
            argument: argument,
            test: .low(mask: mask, oneOf: (0..<count).map { _ in UInt32(truncatingIfNeeded: value()) & kept }))
    }
}

/// Whether a filter does what its policy means: for each number, some arguments, and each calling convention.
struct FilterCheck {
    private let meaning: PolicyMeaning
    private let architecture: SystemCallArchitecture

    init(_ policy: SeccompPolicy, _ architecture: SystemCallArchitecture, _ mode: FilterCompiler.Mode) {
        meaning = PolicyMeaning(policy: policy, architecture: architecture, mode: mode)
        self.architecture = architecture
    }

    /// The first call that the filter treats otherwise, with at most so many `mixtures` of arguments for each number.
    func fault(
        in program: FilterProgram, mixtures: Int, numbers: ClosedRange<UInt32> = 0...520
    ) throws -> String? {
        let simulator = try FilterSimulator(bytes: program.bytes)
        let beyond: [UInt32] = [1100, 0x3FFF_FFFF, 0x4000_0000, 0x4000_0027, 0x7FFF_FFFF, 0x8000_0000, .max]
        for number in Array(numbers) + beyond {
            for arguments in meaning.arguments(near: number, atMost: mixtures) {
                let call = SeccompData(architecture: architecture.auditToken, number: number, arguments: arguments)
                let action = try simulator.run(call).action
                guard action == meaning.action(call) else {
                    return "\(number) \(arguments): \(action), not \(meaning.action(call))"
                }
            }
        }
        // i386, arm, the other machine, x86_64 without its 64-bit flag, none.
        let tokens: [UInt32] = [0x4000_0003, 0x4000_0028, 0xC000_003E, 0xC000_00B7, 0x0000_003E, 0, .max]
        for token in tokens where token != architecture.auditToken {
            for number: UInt32 in [0, 1, 11, 59, 102, 221, 0x4000_0000, .max] {
                let action = try simulator.run(SeccompData(architecture: token, number: number)).action
                guard action == .killProcess else { return "\(number) by \(token): \(action)" }
            }
        }
        return nil
    }
}

/// Random numbers that are the same in each run: SplitMix64.
struct FuzzNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
