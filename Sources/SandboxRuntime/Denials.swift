import Isolation
import LinuxSystem
import SeccompFilters
import SystemPackage

/// One kind of refused call of a sandbox, and how often it was made.
package struct Denial: Sendable, Hashable, Codable {
    /// Name of the program, as it calls itself, and its number in the sandbox.
    package var program: String
    package var process: UInt32
    /// The call with its arguments in words, such as `socket(AF_NETLINK, SOCK_RAW, 12)`.
    package var attempt: String
    /// The name of the errno that it got.
    package var answer: String
    /// The rule that refused it, and why.
    package var rule: String, reason: String
    /// What would allow it, where a policy can.
    package var opensWith: String?
    /// Why nothing would, or what else it would allow.
    package var remark: String?
    /// How often at least.
    package var count: Int

    /// One sentence, without full stop; `policy` is whose rule it was, where that is not told otherwise.
    package func summary(policy: String? = nil) -> String {
        "\(program) (pid \(process) inside) called \(attempt): refused with \(answer) by \(rule)"
            + (policy.map { " of policy `\($0)`" } ?? "") + (count > 1 ? "; \(count) times" : "")
    }

    /// Whether the kernel would refuse it also where the policy allowed it.
    package var isFinal: Bool { opensWith == nil && remark != nil }

    private enum CodingKeys: String, CodingKey {
        case program, process, attempt, answer, rule, reason
        case opensWith = "opens_with"
        case remark, count
    }
}

/// Answers refused calls and remembers them, up to a bound; beyond it they are only counted.
struct DenialRecorder {
    private static let mostKinds = 64

    /// What became of a call that waited.
    enum Answer {
        /// None did.
        case none
        /// It was refused, or got its answer here and not from the kernel.
        case given
        /// It is allowed, and recorded.
        case carriedOut
    }

    private lazy var table = makeTable()
    private let makeTable: () -> RefusalTable
    /// The number of the native call that is answered with the memory that there is.
    private let answered: UInt32?
    private let memory: Int64?
    /// Counts what is let through; nil where that is not asked for, and every call that arrives is refused.
    private(set) var calls: CallRecorder?
    private var order: [String] = []
    private var kinds: [String: Denial] = [:]
    private(set) var unrecorded = 0

    /// A recorder by a table, which is not made before it is needed: most programs are refused nothing.
    ///
    /// `answered` is the number of sysinfo(2), where the filter asks about it although it is allowed, and `memory` what it is
    /// to tell; nil for the host's.
    init(_ table: @escaping () -> RefusalTable, answered: UInt32?, memory: Int64?, recordsCalls: Bool = false) {
        makeTable = table
        self.answered = answered
        self.memory = memory
        calls = recordsCalls ? CallRecorder(table()) : nil
    }

    /// What was refused, in the order of its first time.
    var denials: [Denial] { order.compactMap { kinds[$0] } }

    /// Answers one waiting call.
    ///
    /// Whatever goes wrong, a call that the policy refuses is not carried out.
    mutating func answerNext(_ listener: CInt) throws(SyscallError) -> Answer {
        guard let call = try Syscall.receiveRefusedCall(listener) else { return .none }
        if call.number == answered, call.architecture == SystemCallArchitecture.native.auditToken {
            // Many programs begin with it: the table of refusals is not made for that.
            calls?.note(call)
            let path = FilePath("\(StagePath.hostProcesses)/\(call.process)/mem")
            if try !Syscall.answerSystemInformation(call, at: listener, memory: path, bytes: memory) {
                try Syscall.letContinue(call, at: listener)
            }
            return .given
        }
        let refusal = table.answer(
            number: call.number, arguments: call.arguments, architecture: call.architecture)
        if refusal == nil, calls != nil {
            try Syscall.letContinue(call, at: listener)
            calls?.note(call)
            return .carriedOut
        }
        let key = refusal.map { "\($0.attempt) \($0.group.rawValue)" } ?? ""
        let isNew = refusal != nil && kinds[key] == nil && order.count < Self.mostKinds
        // Once it has its answer, the caller may end and be gone.
        let (program, process) = isNew ? (Self.programName(call.process), Self.innerNumber(call.process)) : ("", 0)
        try Syscall.refuse(call, at: listener, refusal?.errno ?? .noFunction)
        guard let refusal else { return .given }
        if kinds[key] != nil {
            kinds[key]?.count += 1
        } else if isNew {
            order.append(key)
            kinds[key] = Denial(
                program: program, process: process, attempt: refusal.attempt,
                answer: SystemCallErrno.symbol(of: refusal.errno), rule: refusal.group.rawValue,
                reason: refusal.reason, opensWith: refusal.opensWith, remark: refusal.remark, count: 1)
        } else {
            unrecorded += 1
        }
        return .given
    }

    /// The number that a process has for itself: the last one, of its own namespace (proc(5), NStgid).
    private static func innerNumber(_ process: UInt32) -> UInt32 {
        let status = try? Syscall.readFile(FilePath("\(StagePath.hostProcesses)/\(process)/status"), limit: 65536)
        return status.flatMap { innerNumber(status: String(decoding: $0, as: UTF8.self)) } ?? process
    }

    static func innerNumber(status: String) -> UInt32? {
        status.split(separator: "\n").first { $0.hasPrefix("NStgid:") }?
            .split { $0 == "\t" || $0 == " " }.last.flatMap { UInt32($0) }
    }

    /// The program's own name for itself (proc(5), comm): hostile text of at most 15 bytes.
    private static func programName(_ process: UInt32) -> String {
        let path = FilePath("\(StagePath.hostProcesses)/\(process)/comm")
        guard let file = try? Syscall.open(path, 0), let bytes = try? Syscall.read(file.number, upTo: 64) else {
            return "a program"
        }
        let name = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        return String(
            name.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "?" : Character($0) })
    }
}
