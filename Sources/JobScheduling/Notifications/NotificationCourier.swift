import Environments
import Isolation
import JobStorage
package import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Delivers what waits in the store's outbox for one notifier; a process of its own, so that neither whoever makes runs
/// nor any other notifier waits for a server.
package struct NotificationCourier {
    /// What came of one delivery.
    package struct Outcome: Sendable {
        /// Whether it was taken.
        package var isDelivered: Bool
        /// Whether it may be taken later.
        package var isPassing: Bool
        /// What was answered, safe to show.
        package var answer: String
        /// How long the other side asks to be left alone, in seconds.
        package var retryAfter: Double?
    }

    private static let logLimit: Int64 = 1 << 20
    /// How long it stays for what is due soon, in seconds.
    private static let patience = 3.0

    private let store: Store
    private let variables: [String: String]

    /// Delivers for a store; `variables` is the environment, for proxies.
    package init(_ store: Store, variables: [String: String]) {
        self.store = store
        self.variables = variables
    }

    /// Delivers to a notifier until nothing is due now or soon; another one that does so already is left to it.
    package func run(for notifier: String) throws {
        guard let lock = try store.notifiers.lock(notifier) else { return try giveUp(notifier) }
        guard (try? Syscall.flock(lock.number, LOCK_EX | LOCK_NB)) != nil else { return }
        defer { withExtendedLifetime(lock) {} }
        while true {
            let now = JobEngine.now()
            if let next = try store.database.nextNotification(of: notifier, at: now) {
                try deliver(next)
                continue
            }
            guard let due = try store.database.nextNotificationTime(of: notifier),
                due.seconds - now.seconds < Self.patience
            else { break }
            _ = try Syscall.poll([], milliseconds: CInt(max(10, min(500, (due.seconds - now.seconds) * 1000))))
        }
        try store.database.forgetOldNotifications()
    }

    /// Gives up what is due for a notifier whose file has gone without the database's knowledge.
    private func giveUp(_ notifier: String) throws {
        let now = JobEngine.now()
        while let next = try store.database.nextNotification(of: notifier, at: now) { try giveUp(next) }
    }

    private func giveUp(_ record: NotificationRecord) throws {
        let now = JobEngine.now()
        try store.database.endDelivery(
            of: record, as: .givenUp, answer: "whom it was for cannot be read", retryAt: now, at: now)
    }

    private func deliver(_ waiting: NotificationRecord) throws {
        var record = waiting
        record.attempts += 1
        func later(_ seconds: Double) -> Timestamp { Timestamp(seconds: JobEngine.now().seconds + seconds) }
        guard let notifier = try? store.notifiers.notifier(record.notifier) else { return try giveUp(record) }
        // Should this process be killed, somebody tries again, but not at once for ever.
        let backoff = NotificationBackoff.wait(afterAttempts: record.attempts)
        try store.database.beginDelivery(of: record.sequence, retryAt: later(notifier.timeLimit + (backoff ?? 2)))
        let outcome = tell(notifier, of: record)
        let wait = NotificationBackoff.wait(afterAttempts: record.attempts, asked: outcome.retryAfter)
        let state: NotificationRecord.State =
            outcome.isDelivered ? .delivered : outcome.isPassing && wait != nil ? .waiting : .givenUp
        try store.database.endDelivery(
            of: record, as: state, answer: outcome.answer, retryAt: later(wait ?? 0), at: JobEngine.now())
    }

    /// Tells a notifier once, and gives what came of it.
    package func tell(_ notifier: Notifier, of record: NotificationRecord) -> Outcome {
        let body = NotificationBody.bytes(of: record)
        do {
            switch notifier.means {
            case .webhook(let webhook): return try post(body, to: webhook, notifier, record)
            case .command(let command): return try run(command, notifier, record, body)
            }
        } catch let failure as WebMessage.Failure {
            return Outcome(isDelivered: false, isPassing: failure.isPassing, answer: printable(failure.description))
        } catch {
            // What the host lacks now it may have later: a secret, a program, room.
            return Outcome(isDelivered: false, isPassing: true, answer: printable("\(error)", limit: 300))
        }
    }

    private func post(
        _ body: [UInt8], to webhook: Notifier.Webhook, _ notifier: Notifier, _ record: NotificationRecord
    ) throws -> Outcome {
        guard let message = WebMessage(address: webhook.url) else {
            return Outcome(isDelivered: false, isPassing: false, answer: "its address is none")
        }
        try WebMessage.check()
        let secret = try webhook.secret.map { name in try store.secrets.value(name) }
        let fields =
            ["Content-Type: application/json", "Accept: */*", "Expect:"]
            + WebhookSignature.fields(
                id: record.id, time: Int64(Syscall.wallClockSeconds()), body: body, secret: secret)
        let answer = try message.send(
            body, fields: fields, seconds: Int(notifier.timeLimit.rounded(.up)), reaches: Set(webhook.reaches),
            isPlainAllowed: webhook.isPlainAllowed, variables: variables)
        let text = printable(String(decoding: answer.text.prefix(1000), as: UTF8.self), limit: 200)
        let said = "answered \(answer.status)" + (text.isEmpty ? "" : ": \(text)")
        switch answer.status {
        case 200..<300: return Outcome(isDelivered: true, isPassing: false, answer: said)
        case 300..<400:
            return Outcome(
                isDelivered: false, isPassing: false,
                answer: "answered \(answer.status), and redirections are not followed")
        case 408, 425, 429, 500...:
            return Outcome(isDelivered: false, isPassing: true, answer: said, retryAfter: answer.retryAfter)
        default: return Outcome(isDelivered: false, isPassing: false, answer: said)
        }
    }

    private func run(
        _ command: Notifier.Command, _ notifier: Notifier, _ record: NotificationRecord, _ body: [UInt8]
    ) throws -> Outcome {
        let hook = try CommandHook(command.path)
        let log = try openLog(of: notifier.name)
        let head = "== \(JobEngine.now()) \(record.event) \(record.id)\n"
        try Syscall.writeAll(log.number, Array(head.utf8))
        let number = log.number
        let ending = try hook.run(
            body + [0x0A],
            variables: [
                "CLOCHE_EVENT=\(record.event)", "CLOCHE_NOTIFICATION=\(record.id)", "CLOCHE_NOTIFIER=\(notifier.name)",
            ], seconds: notifier.timeLimit
        ) { part in
            // A full disk keeps no output, and is no reason not to tell.
            try? Syscall.writeAll(number, part)
        }
        withExtendedLifetime(log) {}
        switch ending {
        case .exited(0): return Outcome(isDelivered: true, isPassing: false, answer: "ended with 0")
        case .exited(let status): return Outcome(isDelivered: false, isPassing: true, answer: "ended with \(status)")
        case .signalled(let signal):
            return Outcome(isDelivered: false, isPassing: true, answer: "ended by \(SignalName.of(signal))")
        case .outOfTime:
            return Outcome(
                isDelivered: false, isPassing: true,
                answer: "ended after \(TimeLimit.text(notifier.timeLimit)), the longest it may take")
        }
    }

    private func openLog(of name: String) throws(SyscallError) -> OpenedLog {
        let directory = try store.notifiers.open()
        let file = FilePath(NotifierStore.log(of: name))
        if let size = (try? Syscall.lstat(file, at: directory.number))?.size, size > Self.logLimit {
            try Syscall.rename(
                store.notifiers.directory.appending(file.string),
                to: store.notifiers.directory.appending(file.string + ".old"))
        }
        return OpenedLog(
            try Syscall.open(file, at: directory.number, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600))
    }
}

/// A log that is open as long as this lives.
private final class OpenedLog {
    private let descriptor: OwnedFileDescriptor

    init(_ descriptor: consuming OwnedFileDescriptor) { self.descriptor = descriptor }

    var number: CInt { descriptor.number }
}
