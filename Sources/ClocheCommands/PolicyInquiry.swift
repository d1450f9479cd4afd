import Isolation
import LinuxSystem
import Policies
import SandboxRuntime
import SystemPackage
import TerminalOutput

/// Questions to a policy, answered from the plan of a sandbox, and by doing in one.
struct PolicyInquiry {
    enum Word: String, Encodable {
        case allowed, refused, unknown

        init(_ isAllowed: Bool?) { self = isAllowed.map { $0 ? .allowed : .refused } ?? .unknown }
    }

    struct Answer: Encodable {
        var question: String
        /// What the plan says.
        var answer: Word
        var reason: String
        /// The key, or the group of refusals, that decides.
        var rule: String
        /// What doing it shows; nil where it was not done.
        var proof: Word?
        /// What came of doing it.
        var outcome: String?

        /// Whether doing it shows something else than the plan says.
        var isContradicted: Bool {
            guard let proof, proof != .unknown, answer != .unknown else { return false }
            return proof != answer
        }
    }

    let policy: SandboxPolicy
    private(set) var answers: [Answer]
    private let questions: [PolicyQuestion]
    private let request: OneSandbox

    /// Answers questions of a sandbox from its plan.
    init(_ questions: [PolicyQuestion], of request: OneSandbox) {
        self.questions = questions
        self.request = request
        policy = request.sandbox.policy
        let files = PlannedFiles(request)
        let (policy, search) = (policy, request.sandbox.variables["PATH"] ?? "")
        answers = questions.map { question in
            let answer = Self.answer(question, policy, files, search)
            return Answer(
                question: question.description, answer: Word(answer.isAllowed), reason: answer.reason, rule: answer.rule
            )
        }
    }

    /// Whether all that is asked for is allowed: by doing it, where that was done.
    var allAllowed: Bool {
        answers.allSatisfy { answer in
            guard let proof = answer.proof, proof != .unknown else { return answer.answer == .allowed }
            return proof == .allowed
        }
    }

    private static func answer(
        _ question: PolicyQuestion, _ policy: SandboxPolicy, _ files: PlannedFiles, _ search: String
    ) -> PolicyAnswer {
        switch question {
        case .connect(let address, let port): return policy.answer(connectTo: address, port: port)
        case .call(let name, let arguments): return policy.answer(call: name, arguments: arguments)
        case .read(let path): return file(files.answer(.read, path), path, policy)
        case .write(let path): return file(files.answer(.write, path), path, policy)
        case .open(let path): return file(files.answer(.open, path), path, policy)
        case .execute(let path):
            let candidates = path.contains("/") ? [path] : search.split(separator: ":").map { "\($0)/\(path)" }
            let answers = candidates.map { (path: $0, answer: files.answer(.execute, $0)) }
            let best = answers.first { $0.answer.isAllowed == true } ?? answers.first
            guard let best else { return PolicyAnswer(false, "PATH is empty", rule: "root") }
            return file(best.answer, best.path, policy)
        }
    }

    private static func file(_ answer: PlannedFiles.Answer, _ path: String, _ policy: SandboxPolicy) -> PolicyAnswer {
        let isData = path == "/data" || path.hasPrefix("/data/")
        let rule =
            isData && policy.data != .none
            ? "data" : path.hasPrefix("/project-dir") ? "project" : path.hasPrefix("/dev/") ? "devices" : "root"
        return PolicyAnswer(answer.isAllowed, answer.reason, rule: rule)
    }
}

extension PolicyInquiry {
    private static let program: FilePath = "/.cloche-prove"

    /// Does what was asked for in a sandbox, each in a process of its own, and notes what came of it.
    mutating func prove() throws {
        var request = request
        let programs = FilePath(bytes: try Syscall.readLink("/proc/self/exe")).removingLastComponent()
        request.sandbox.mounts.append(.init(.bind(request.stage.binds.count), at: Self.program.string))
        request.stage.binds.append(
            .init(source: programs.appending("cloche-prove").string, readOnly: true))
        // What a limit does to the program that asks says nothing of the questions.
        let tried = questions.indices.compactMap { number in
            order(questions[number], answers[number]).map { (number: number, order: $0) }
        }
        request.sandbox.arguments = [Self.program.string, "ask"] + tried.map(\.order.text)
        let outcome = try ProbeSandbox.execute(request, programs.appending("cloche-supervisor"))
        let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ") }
        guard outcome.code == 0, lines.count == tried.count else {
            let reason = outcome.complaint.isEmpty ? "it ended with \(outcome.code)" : outcome.complaint
            throw CommandFailure(.sandboxSetup, "try what was asked for in a sandbox: \(reason)", hint: outcome.hint)
        }
        for (line, (number, order)) in zip(lines, tried) {
            guard line.count == 2, let value = Int32(line[1]) ?? (Int64(line[1]).map { Int32(truncatingIfNeeded: $0) })
            else { continue }
            note(String(line[0]), value, of: order, at: number)
        }
    }

    /// One thing that the program in the sandbox does.
    private struct Order {
        var text: String
        var registers: [UInt64] = []
    }

    private func order(_ question: PolicyQuestion, _ answer: Answer) -> Order? {
        switch question {
        case .read(let path): return Order(text: "read \(path)")
        case .write(let path): return Order(text: "write \(path)")
        case .open(let path): return Order(text: "open \(path)")
        case .execute(let path): return path.contains("/") ? Order(text: "execute \(path)") : nil
        case .connect(.ipv4, let port), .connect(.ipv6, let port):
            guard case .connect(let address, _) = question else { return nil }
            if case .ipv6(let text, _) = address { return Order(text: "connect 6 \(text) \(port)") }
            return Order(text: "connect 4 \(address.text) \(port)")
        case .connect: return nil
        case .call(let name, let arguments):
            guard let number = SystemCallTable.native.number(of: name) else { return nil }
            let registers =
                arguments.isEmpty ? CallProbe.registers(for: name, under: policy) : CallProbe.registers(arguments)
            return Order(
                text: "call \(number) " + registers.map { String($0) }.joined(separator: " "), registers: registers)
        }
    }

    private mutating func note(_ word: String, _ value: Int32, of order: Order, at number: Int) {
        let errno = word == "failed" ? Errno(rawValue: value) : nil
        answers[number].outcome = errno.map { "it failed with \(SystemCallErrno.symbol(of: $0))" } ?? Self.text(word)
        let hasNoDriver = errno == .noSuchAddressOrDevice || errno == .operationNotSupportedByDevice
        switch questions[number] {
        case .call(let name, _):
            let outcome: CallProbe.Outcome =
                errno.map { .failed($0) } ?? (word == "ended" ? .ended : word == "waiting" ? .waiting : .returned)
            answers[number].proof = Word(CallProbe.isAllowed(name, order.registers, outcome, under: policy))
        case .connect:
            // Somebody has answered, or nobody has; what the sandbox does not let out fails at once.
            let refusals: [Errno] = [
                .permissionDenied, .notPermitted, .networkUnreachable, .noRouteToHost, .addressFamilyNotSupported,
            ]
            // EINVAL is for addresses that mean nothing without an interface.
            answers[number].proof =
                word == "waiting" || errno == .invalidArgument
                ? .unknown : errno.map { refusals.contains($0) ? .refused : .allowed } ?? .allowed
        case .open where hasNoDriver, .write where hasNoDriver:
            // The node is there and may be opened; its driver finds no device behind it.
            answers[number].proof = .unknown
        case .read, .write, .open, .execute:
            answers[number].proof = word == "returned" ? .allowed : .refused
        }
    }

    private static func text(_ word: String) -> String {
        switch word {
        case "returned": "it succeeded"
        case "ended": "it did not come back"
        case "waiting": "there was no answer in time"
        default: "something else lies over it"
        }
    }
}
