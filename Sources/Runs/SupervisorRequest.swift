package import LinuxSystem
package import SystemPackage

/// What an engine asks of the process from which its supervisors are forked: one packet, with four descriptors.
package struct SupervisorRequest: Sendable, Hashable {
    /// The run's directory.
    package var directory: FilePath
    /// The number of the attempt, which the engine has claimed.
    package var attempt: Int
    /// Whether the end of the engine says nothing to the run.
    package var outlivesEngine: Bool

    /// Asks for a supervisor.
    package init(_ directory: FilePath, attempt: Int, outlivesEngine: Bool) {
        self.directory = directory
        self.attempt = attempt
        self.outlivesEngine = outlivesEngine
    }

    /// The words behind the program's name where it is executed for this request.
    package var words: [String] {
        ["run", directory.string, String(attempt), outlivesEngine ? "outlive" : "end"]
    }

    /// Paths are at most 4096 bytes long.
    package static let limit = 8192
    /// What a supervisor finds at its descriptors 3 to 6 goes with a request, in that order.
    package static let descriptors: [CInt] = [3, 4, 5, SecretValues.descriptor]
    /// What the engine says on descriptor 3 once it knows the supervisor; one that hears nothing has no engine, and ends.
    package static let begin = UInt8(ascii: "b")

    /// The packet.
    package var bytes: [UInt8] { Array("\(attempt)\0\(outlivesEngine ? 1 : 0)\0".utf8) + directory.bytes }

    /// Reads a packet; nil for what is none.
    package init?(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let attempt = Int(String(decoding: parts[0], as: UTF8.self)), !parts[2].isEmpty else {
            return nil
        }
        self.init(FilePath(bytes: Array(parts[2])), attempt: attempt, outlivesEngine: parts[1].elementsEqual([0x31]))
    }
}

/// An answer to a request: the number of the process, or the errno of what failed, negative.
package struct SupervisorAnswer: Sendable, Hashable {
    /// The number of the supervisor's process, as its engine sees it.
    package let result: Result<Int32, SyscallError>

    /// Answers.
    package init(_ result: Result<Int32, SyscallError>) { self.result = result }

    /// The packet.
    package var bytes: [UInt8] {
        switch result {
        case .success(let process): Array("\(process)".utf8)
        case .failure(let error): Array("\(-error.errno.rawValue)".utf8)
        }
    }

    /// Reads a packet; nil for what is none.
    package init?(_ bytes: [UInt8]) {
        guard let number = Int32(String(decoding: bytes, as: UTF8.self)), number != 0 else { return nil }
        result = number > 0 ? .success(number) : .failure(SyscallError("clone", errno: Errno(rawValue: -number)))
    }
}
