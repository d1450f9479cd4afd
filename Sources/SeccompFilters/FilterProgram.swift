package import Isolation

/// A compiled filter: bytes to load, and what to tell about the calls that it hands to its listener.
package struct FilterProgram: Sendable, Hashable {
    /// The most instructions that the kernel takes in one filter (BPF_MAXINSNS).
    package static let greatestLength = 4096

    /// The machine that it is for; calls by another convention end the process.
    package let architecture: SystemCallArchitecture

    /// An array of `struct sock_filter`, as seccomp(2) takes it; equal policies give equal bytes.
    package let bytes: [UInt8]

    /// Whether it asks a listener, so that it must be loaded with one.
    package let needsListener: Bool

    /// The answers for that listener.
    package let answers: RefusalTable

    /// What is loaded of it.
    package var code: FilterCode {
        FilterCode(bytes: bytes, needsListener: needsListener, answered: needsListener ? answers.answered : nil)
    }

    /// The number of instructions, for `struct sock_fprog`.
    package var length: Int { bytes.count / FilterInstruction.size }
}

/// A filter without what is to be told of it.
package struct FilterCode: Sendable, Hashable {
    /// An array of `struct sock_filter`.
    package let bytes: [UInt8]
    /// Whether it must be loaded with a listener.
    package let needsListener: Bool
    /// The number of the native call that is allowed, and to be answered by the listener all the same; nil for none.
    package let answered: UInt32?

    /// Takes what a compiler made.
    package init(bytes: [UInt8], needsListener: Bool, answered: UInt32?) {
        self.bytes = bytes
        self.needsListener = needsListener
        self.answered = answered
    }
}
