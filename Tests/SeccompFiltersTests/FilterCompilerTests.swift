import Isolation
import SeccompFilters
import SystemPackage
import Testing

@Suite struct FilterCompilerTests {
    static let combinations = SeccompPolicyTests.builtIn.flatMap { policy in
        FilterCompiler.Mode.allCases.map { (policy, $0) }
    }

    @Test(arguments: combinations, SystemCallArchitecture.allCases)
    func `a filter decides as its policy says, whatever the high bits`(
        combination: (SeccompPolicy, FilterCompiler.Mode), architecture: SystemCallArchitecture
    ) throws {
        let (policy, mode) = combination
        let program = try FilterCompiler(architecture: architecture, mode: mode).compile(policy)
        let simulator = try FilterSimulator(bytes: program.bytes)
        let meaning = PolicyMeaning(policy: policy, architecture: architecture, mode: mode)
        let beyond: [UInt32] = [0x3FFF_FFFF, 0x4000_0000, 0x4000_0027, 0x7FFF_FFFF, 0x8000_0000, .max]
        for number in Array(0...1100) + beyond {
            for arguments in meaning.arguments(near: number) {
                let call = SeccompData(architecture: architecture.auditToken, number: number, arguments: arguments)
                let outcome = try simulator.run(call)
                guard outcome.action == meaning.action(call) else {
                    Issue.record("\(number) \(arguments): \(outcome.action), not \(meaning.action(call))")
                    return
                }
            }
        }
    }

    @Test(arguments: SeccompArea.all.flatMap(\.rules).filter { !$0.cases.isEmpty }.map(\.call).sorted())
    func `a rule with conditions holds for every mixture of its values`(call: String) throws {
        let number = try #require(SystemCallTable.x86_64.number(of: call))
        let simulator = try simulator(.steps())
        let meaning = PolicyMeaning(policy: .steps(), architecture: .x86_64, mode: .notify)
        for arguments in meaning.arguments(near: number, atMost: 20_000) {
            let data = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
            let outcome = try simulator.run(data)
            guard outcome.action == meaning.action(data) else {
                Issue.record("\(arguments): \(outcome.action), not \(meaning.action(data))")
                return
            }
        }
    }

    @Test(arguments: SeccompPolicyTests.builtIn, SystemCallArchitecture.allCases)
    func `another calling convention ends the process, whatever the number`(
        policy: SeccompPolicy, architecture: SystemCallArchitecture
    ) throws {
        let simulator = try simulator(policy, architecture: architecture)
        // i386, arm, the other machine, x86_64 without its 64-bit flag, none.
        let tokens: [UInt32] = [0x4000_0003, 0x4000_0028, 0xC000_003E, 0xC000_00B7, 0x0000_003E, 0, .max]
        for token in tokens where token != architecture.auditToken {
            for number in 0...UInt32(600) {
                let outcome = try simulator.run(SeccompData(architecture: token, number: number))
                #expect(outcome.action == .killProcess)
            }
        }
    }

    @Test(arguments: SeccompPolicyTests.builtIn)
    func `built-in filters are short, and so are the paths through them`(policy: SeccompPolicy) throws {
        let program = try FilterCompiler(architecture: .x86_64).compile(policy)
        let simulator = try FilterSimulator(bytes: program.bytes)
        #expect(program.length <= 400)
        var total = 0
        var longest = 0
        for number in 0...UInt32(471) {
            let steps = try simulator.run(SeccompData(architecture: 0xC000_003E, number: number)).steps
            total += steps
            longest = max(longest, steps)
        }
        #expect(longest <= 64)
        // The kernel runs the filter once for each number when it is loaded; a list in a row would take a hundred
        // thousand steps.
        #expect(total <= 6000)
    }

    @Test func `numbers that need no arguments are decided without looking at any`() throws {
        let program = try FilterCompiler(architecture: .x86_64).compile(.steps())
        let simulator = try FilterSimulator(bytes: program.bytes)
        for name in ["read", "write", "mmap", "futex", "close", "execve"] {
            let number = try #require(SystemCallTable.x86_64.number(of: name))
            #expect(try simulator.run(SeccompData(architecture: 0xC000_003E, number: number)).steps <= 13)
        }
    }

    @Test func `equal policies give equal bytes`() throws {
        let first = try FilterCompiler().compile(.steps())
        #expect(try FilterCompiler().compile(.steps()).bytes == first.bytes)
        #expect(try FilterCompiler().compile(.build()).bytes != first.bytes)
    }

    @Test func `jumps over more than 255 instructions arrive`() throws {
        var policy = SeccompPolicy.steps()
        let refusal = SeccompRefusal(.init(rawValue: 13), .silent, group: "unknown")
        // One case whose failure leads over 300 instructions, and calls whose blocks lie far behind the tree.
        for call in ["read", "write", "close"] {
            let values = (0..<64).map { UInt64($0) << 33 | UInt64($0) }
            let wide = SeccompCondition(argument: call.count - 4, test: .whole(oneOf: values))
            let second = SeccompCondition(argument: 2, test: .whole(oneOf: values))
            policy.set([
                SeccompRule(
                    call,
                    [
                        .refuse(refusal, wide, second),
                        .refuse(SeccompRefusal(.init(rawValue: 5), .silent, group: "unknown"), .int(3, 7)),
                    ], otherwise: .allow)
            ])
        }
        let program = try FilterCompiler(architecture: .x86_64).compile(policy)
        #expect(program.length > 1000)
        let simulator = try FilterSimulator(bytes: program.bytes)
        let meaning = PolicyMeaning(policy: policy, architecture: .x86_64, mode: .notify)
        for number in 0...UInt32(471) {
            for arguments in meaning.arguments(near: number) {
                let call = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
                #expect(try simulator.run(call).action == meaning.action(call))
            }
        }
    }

    @Test func `a policy that needs too many instructions is an error`() throws {
        var policy = SeccompPolicy.steps()
        let refusal = SeccompRefusal(.init(rawValue: 1), .silent, group: "unknown")
        for (index, call) in ["read", "write"].enumerated() {
            let cases = (0..<32).map { (element: Int) -> SeccompRule.Case in
                let first = element * 1000 + index
                let values = (first..<first + 64).map { UInt64($0) << 32 }
                let condition = SeccompCondition(argument: 0, test: .whole(oneOf: values))
                return SeccompRule.Case(conditions: [condition], verdict: .refuse(refusal))
            }
            policy.set([SeccompRule(call, cases, otherwise: .allow)])
        }
        let error = try #require(throws: FilterCompilerError.self) { try FilterCompiler().compile(policy) }
        guard case .tooLong = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.hint != nil)
    }

    @Test func `only a filter that asks a listener needs one`() throws {
        #expect(try FilterCompiler(mode: .notify).compile(.steps()).needsListener)
        #expect(try FilterCompiler(mode: .learn).compile(.steps()).needsListener)
        #expect(try !FilterCompiler(mode: .silent).compile(.steps()).needsListener)
        #expect(try !FilterCompiler(mode: .notify).compile(.initProcess()).needsListener)
    }

    @Test(arguments: FilterCompiler.Mode.allCases)
    func `the supervisor answers sysinfo where it is allowed, and userfaultfd is not`(_ mode: FilterCompiler.Mode)
        throws
    {
        let sysinfo = try #require(SystemCallTable.table(for: .x86_64).number(of: "sysinfo"))
        func action(_ policy: SeccompPolicy) throws -> FilterAction {
            let program = try FilterCompiler(architecture: .x86_64, mode: mode).compile(policy)
            return try FilterSimulator(bytes: program.bytes).run(
                SeccompData(
                    architecture: SystemCallArchitecture.x86_64.auditToken, number: sysinfo,
                    arguments: [0, 0, 0, 0, 0, 0])
            ).action
        }
        var policy = SeccompPolicy.steps()
        #expect(try action(policy) == (mode == .silent ? .allow : .notify))
        #expect(RefusalTable(policy: policy, architecture: .x86_64).answered == sysinfo)
        try policy.allow(call: "userfaultfd")
        #expect(try action(policy) == (mode == .learn ? .notify : .allow))
        #expect(RefusalTable(policy: policy, architecture: .x86_64).answered == nil)
    }

    private func simulator(
        _ policy: SeccompPolicy, architecture: SystemCallArchitecture = .x86_64
    ) throws -> FilterSimulator {
        try FilterSimulator(bytes: FilterCompiler(architecture: architecture).compile(policy).bytes)
    }
}
