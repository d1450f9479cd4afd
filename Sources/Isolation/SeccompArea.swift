/// One topic of the built-in policies: its rules, and the reasons for what they refuse.
package struct SeccompArea: Sendable {
    /// The reasons that the rules refer to.
    package let groups: [SeccompGroup]

    /// At most one rule for a call; no call is in two areas.
    package let rules: [SeccompRule]

    /// Every area; together they have a rule for each call of each machine.
    package static let all: [SeccompArea] = [
        .files, .fileModes, .memory, .processes, .signalsAndTime, .communication, .network, .terminal,
        .mounts, .namespaces, .kernel, .kernelInterfaces, .debugging, .pageCache, .numa, .obsolete,
    ]

    init(groups: [SeccompGroup] = [], rules: [[SeccompRule]]) {
        self.groups = groups
        self.rules = rules.flatMap { $0 }
    }
}
