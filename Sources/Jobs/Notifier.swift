/// Who is told of what: the content of a file in `notifications/` of the store.
package struct Notifier: Sendable, Hashable, Codable {
    /// How it is told.
    package enum Means: Sendable, Hashable, Codable {
        /// By a request to a server.
        case webhook(Webhook)
        /// By a program of the store's owner.
        case command(Command)
    }

    /// A server that is told by a POST.
    package struct Webhook: Sendable, Hashable, Codable {
        /// Its address, which may hold a key: not to be shown.
        package var url: String
        /// The name of the secret that requests are signed with; nil for none.
        package var secret: String?
        /// Whether it may be asked by plain HTTP, also when it is not this machine.
        package var isPlainAllowed: Bool
        /// From where the addresses of its host could be reached when it was added: to others it is not sent.
        package var reaches: [String]

        /// Describes a server.
        package init(url: String, secret: String?, isPlainAllowed: Bool, reaches: [String]) {
            self.url = url
            self.secret = secret
            self.isPlainAllowed = isPlainAllowed
            self.reaches = reaches
        }

        private enum CodingKeys: String, CodingKey {
            case url, secret, reaches
            case isPlainAllowed = "plain_allowed"
        }
    }

    /// A program that gets the event as JSON on standard input.
    package struct Command: Sendable, Hashable, Codable {
        /// Its absolute path.
        package var path: String

        /// Describes a program.
        package init(path: String) { self.path = path }
    }

    /// The only format there is.
    package static let format = 1
    /// The longest time that one delivery may take, in seconds.
    package static let longestTime: Double = 300

    package private(set) var format = Notifier.format
    /// What it is called.
    package var name: String
    /// What it is told of.
    package var events: [NotificationEvent]
    /// Names of the jobs that it is told of, `*` and `?` in them standing for any text and any character; none is all.
    package var jobs: [String]
    /// How it is told.
    package var means: Means
    /// How long one delivery may take, in seconds.
    package var timeLimit: Double

    /// Describes who is told of what.
    package init(name: String, events: [NotificationEvent], jobs: [String], means: Means, timeLimit: Double) {
        self.name = name
        self.events = events
        self.jobs = jobs
        self.means = means
        self.timeLimit = timeLimit
    }

    /// The name of the secret that it uses.
    package var secret: String? {
        if case .webhook(let webhook) = means { webhook.secret } else { nil }
    }

    /// The jobs as patterns of SQLite's GLOB, in which brackets mean something too.
    package var jobPatterns: [String] {
        jobs.map { $0.split(separator: "[", omittingEmptySubsequences: false).joined(separator: "[[]") }
    }

    /// Whether a text can be its name: letters, digits, `_`, `-` and `.`, the first one a letter or digit, at most 64.
    package static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        func isPlain(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        guard let first = bytes.first, isPlain(first), bytes.count <= 64 else { return false }
        return bytes.allSatisfy { isPlain($0) || "_-.".utf8.contains($0) }
    }

    private enum CodingKeys: String, CodingKey {
        case format, name, events, jobs, means
        case timeLimit = "timeout_seconds"
    }
}

/// When a delivery that failed is tried again.
package enum NotificationBackoff {
    /// How long to wait after the first failure, the second, and so on, in seconds: 16 hours in all.
    private static let waits: [Double] = [2, 10, 60, 300, 1800, 3600, 7200, 14400, 28800]

    /// How often a delivery is tried at most.
    package static var mostAttempts: Int { waits.count + 1 }

    /// How long to wait after so many attempts, in seconds; nil gives up.
    ///
    /// A server may ask for more, for an hour at most.
    package static func wait(afterAttempts attempts: Int, asked: Double? = nil) -> Double? {
        guard attempts > 0, attempts <= waits.count else { return nil }
        return max(waits[attempts - 1], min(max(asked ?? 0, 0), 3600))
    }
}
