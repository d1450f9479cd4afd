import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A message to a server that the store's owner has named: one POST by the confined curl, whose redirections are not
/// followed.
///
/// The address may hold a key: it goes to curl by its standard input, and is in no message.
package struct WebMessage {
    /// What the server said.
    package struct Answer: Sendable {
        /// The status, such as 200.
        package let status: Int
        /// The first bytes of what came with it.
        package let text: [UInt8]
        /// How long the server asks to be left alone, in seconds.
        package let retryAfter: Double?
    }

    /// Why there is no answer.
    package struct Failure: Error, Sendable, CustomStringConvertible {
        /// A lower-case fragment, safe to show.
        package let description: String
        /// Whether the same message may be taken later.
        package let isPassing: Bool
    }

    /// So many bytes of an answer are read.
    private static let answerLimit = 16 << 10
    /// So many bytes of a body fit, with all that the address and the fields need.
    package static let bodyLimit = 40 << 10

    private let address: WebAddress

    /// Reads an address strictly: HTTP or HTTPS, a host, a port, a path, and no names of users; nil for any other.
    package init?(address text: String) {
        guard let address = WebAddress(text) else { return nil }
        self.address = address
    }

    /// Whether it goes by HTTPS.
    package var isSecure: Bool { address.origin.isSecure }

    /// The server without the rest of the address, which may be a key.
    package var server: String { WebAddress(origin: address.origin).text + (address.path == "/" ? "" : "…") }

    /// What is missing on this host for it.
    package static func check() throws(ImportError) { try WebTransfer.check() }

    /// From where the addresses of its host can be reached now, in words; empty where it has none, or only a proxy knows.
    package func reaches(isCancelled: () -> Bool = { false }) throws -> Set<String> {
        var resolver = HostResolver()
        return Set(try resolver.addresses(of: address.origin.host, isCancelled: isCancelled).map(\.reach.rawValue))
    }

    /// The word for addresses of this machine.
    package static let thisMachine = NetworkAddress.Reach.machine.rawValue
    /// The word for addresses that everybody can reach.
    package static let everywhere = NetworkAddress.Reach.everywhere.rawValue

    /// Sends a body of printable ASCII with fields as `Name: value`, within `seconds`.
    ///
    /// It is not sent to addresses that are reached from elsewhere than `reaches`: a name that once led to a public
    /// server does not lead into the owner's network later. Plain HTTP stays on this machine unless it is allowed.
    package func send(
        _ body: [UInt8], fields: [String], seconds: Int, reaches: Set<String>, isPlainAllowed: Bool,
        variables: [String: String]
    ) throws -> Answer {
        let transfer = WebTransfer(variables: variables)
        let deadline = Syscall.monotonicSeconds() + Double(seconds) + 2
        let isLate = { Syscall.monotonicSeconds() > deadline }
        var resolver = HostResolver()
        let addresses: [NetworkAddress]
        do { addresses = try resolver.addresses(of: address.origin.host, isCancelled: isLate) } catch is ChildProgram
            .Stopped
        {
            throw Failure(description: "the name server did not answer within \(seconds) s", isPassing: true)
        }
        let isHere = !addresses.isEmpty && addresses.allSatisfy { $0.reach == .machine }
        guard !addresses.isEmpty || transfer.hasProxy else {
            throw Failure(description: "the host `\(address.origin.host)` has no address", isPassing: true)
        }
        if let other = addresses.first(where: { !reaches.contains($0.reach.rawValue) }) {
            throw Failure(
                description:
                    "the host `\(address.origin.host)` now leads to \(other.reach.rawValue), and did not when it "
                    + "was added: add it anew if that is meant",
                isPassing: true)
        }
        guard address.origin.isSecure || isHere || isPlainAllowed else {
            throw Failure(description: "the host is not this machine, and the address is not HTTPS", isPassing: false)
        }
        var request = WebRequest(address: address, limit: Int64(Self.answerLimit))
        request.fields = fields
        request.body = body
        request.pinned = addresses
        request.usesProxy = transfer.hasProxy && !isHere
        request.timeLimit = seconds
        return try send(request, by: transfer, isLate: isLate)
    }

    private func send(_ request: WebRequest, by transfer: WebTransfer, isLate: () -> Bool) throws -> Answer {
        struct Enough: Error { let head: ResponseHead }
        var text: [UInt8] = []
        let head: ResponseHead
        do {
            var unlimited = request
            // The rest of a long answer is nobody's affair, and no reason to send the message again.
            unlimited.limit = .max
            head = try transfer.send(unlimited, isCancelled: isLate) { head, part in
                text += part
                if text.count >= Self.answerLimit { throw Enough(head: head) }
            }
        } catch let enough as Enough {
            head = enough.head
        } catch is ChildProgram.Stopped {
            throw Failure(description: "no answer within the time", isPassing: true)
        } catch let failure as WebFailure {
            throw Self.failure(failure)
        }
        return Answer(
            status: head.status, text: Array(text.prefix(Self.answerLimit)),
            retryAfter: head["retry-after"].flatMap { $0.utf8.count <= 9 ? Double($0) : nil })
    }

    private static func failure(_ failure: WebFailure) -> Failure {
        switch failure.cause {
        case .unsayable: Failure(description: "the message is too long, or holds what cannot be sent", isPassing: false)
        case .malformed: Failure(description: "what answers there does not speak HTTP", isPassing: true)
        case .tooLong: Failure(description: "the answer is too long", isPassing: true)
        case .program(28): Failure(description: "no answer within the time", isPassing: true)
        case .program(let status):
            Failure(
                description: failure.said.isEmpty ? "curl ended with \(status)" : failure.said, isPassing: true)
        }
    }
}
