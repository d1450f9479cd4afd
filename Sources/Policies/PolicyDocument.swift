import Isolation

/// What one policy document says, before what it extends is known; everything with its place.
package struct PolicyDocument: Sendable, Hashable {
    /// A value and where it stands.
    struct Placed<Value: Sendable & Hashable>: Sendable, Hashable {
        let value: Value
        let place: PolicyPlace
    }

    /// What a document wants of one limit.
    enum LimitSetting: Sendable, Hashable {
        /// No limit.
        case unlimited
        /// This value in place of the inherited one.
        case value(LimitValue)
    }

    /// The policy's name, which is that of the file.
    package let name: String
    /// The file, as the user knows it.
    package let file: String

    /// The name of the policy that this one changes; nil where what stands there is no name.
    package internal(set) var base: String? = BuiltInPolicies.standard.name

    var extends: Placed<String>?
    /// Who may use it.
    var users: Placed<PolicyUsers>?
    var network: Placed<SandboxPolicy.Network>?
    /// What a filtered network leads to.
    var egress: Placed<EgressRules>?
    var data: Placed<SandboxPolicy.DataAccess>?
    var dataScope: Placed<SandboxPolicy.DataScope>?
    var needsRange: Placed<Bool>?
    /// Kinds of devices; empty for none.
    var devices: Placed<[DeviceAccess.Family]>?
    var deviceNeed: Placed<DeviceAccess.Need>?
    var limits: [LimitName: Placed<LimitSetting>] = [:]
    /// Whether nothing may run where the kernel does not hold the limit.
    var hardLimits: [LimitName: Placed<Bool>] = [:]
    /// Calls and groups of refusals.
    var allowed: [Placed<String>] = []
    /// Calls.
    var denied: [Placed<String>] = []
    /// The only calls that may be made, of those that are allowed; nil for all of them.
    var only: Placed<[Placed<String>]>?

    init(name: String, file: String) {
        self.name = name
        self.file = file
    }
}

extension PolicyDocument {
    /// The largest document that is read, in bytes.
    package static let sizeLimit = PolicyText.sizeLimit

    /// Reads a document and reports everything that is wrong with it by itself.
    ///
    /// - Parameters:
    ///   - bytes: The content of the file.
    ///   - name: The name of the policy, which is that of the file without `.yaml`.
    ///   - file: The file, for messages.
    package init(reading bytes: [UInt8], name: String, file: String) throws(PolicyError) {
        var reader = PolicyReader(name: name, file: file)
        guard reader.read(bytes), reader.problems.isEmpty else {
            throw .invalid(reader.problems.inOrder(of: [file]), hint: reader.hint)
        }
        self = reader.document
    }
}
