import ArgumentParser
import Isolation
import LinuxSystem
import Pipelines
import PlainText
import Policies
import TerminalOutput

struct PolicyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a policy: its document, or every value that it has in the end.",
        discussion: """
            A built-in policy has no document: its values are shown.

            Examples:
              cloche policy show lab                the document, as it was written
              cloche policy show lab --origin       each value, and which line says so
            """)
    @Argument(help: "Its name.", completion: Completion.policies) var name: String
    @Flag(help: "Every value, also those that it inherits.") var effective = false
    @Flag(help: "Every value, and where it comes from.") var origin = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        let resolved = try catalogue.resolve(name)
        let document = try catalogue.document(name)
        if output.json {
            return try context.print(json: Document(resolved: resolved, document: document))
        }
        if let document, !effective, !origin {
            try context.print(printableDocument(document.bytes))
            return context.sayClips(of: resolved.policy)
        }
        if let purpose = PolicyPurpose.of(name) { try context.print(purpose.text + "\n") }
        try context.print(table(resolved.values))
        var lines = ["runs as  \(resolved.policy.identity.rawValue)"]
        for group in resolved.policy.seccomp.groups.values.sorted(by: { $0.id.rawValue < $1.id.rawValue }) {
            let calls = resolved.policy.seccomp.calls(refusedBy: group.id)
            if !calls.isEmpty { lines.append("refuses  \(group.id.rawValue): \(counted(calls.count, "call"))") }
        }
        lines += (resolved.policy.clipped ?? []).map { "clipped  \(printable($0))" }
        try context.print(lines.joined(separator: "\n"))
    }

    private func table(_ values: [PolicyValue]) -> Table {
        guard origin else {
            var table = Table([Table.Column("KEY"), Table.Column("VALUE")])
            for value in values { table.append([Table.Cell(value.key), Table.Cell(value.value)]) }
            return table
        }
        var table = Table([
            Table.Column("KEY"), Table.Column("VALUE"), Table.Column("LAYER"), Table.Column("FROM", priority: 1),
        ])
        for value in values {
            table.append([
                Table.Cell(value.key), Table.Cell(value.value), Table.Cell(value.layer.rawValue),
                Table.Cell(value.place?.description ?? value.policy),
            ])
        }
        return table
    }

    /// The text line by line, with nothing in it that a terminal would obey.
    private func printableDocument(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            .map { printable(String($0), limit: PolicyDocument.sizeLimit) }.joined(separator: "\n")
    }

    private struct Document: Encodable {
        struct Source: Encodable {
            var file: String, layer: PolicyLayer, text: String
        }

        /// System calls by what becomes of them; those that no list has are refused as unknown.
        struct Calls: Encodable {
            struct Refused: Encodable {
                var group: String, errno: String, calls: [String]
            }

            var allow: [String]
            var refuse: [Refused]
            /// Those whose arguments decide.
            var conditional: [String]

            init(_ policy: SeccompPolicy) {
                let rules = policy.rules.values.sorted { $0.call < $1.call }
                allow = rules.filter { $0.cases.isEmpty && $0.otherwise == .allow }.map(\.call)
                conditional = rules.filter { !$0.cases.isEmpty && $0.verdicts.contains(.allow) }.map(\.call)
                refuse = []
                for rule in rules where rule.cases.isEmpty || !rule.verdicts.contains(.allow) {
                    guard case .refuse(let refusal) = rule.otherwise else { continue }
                    let (group, errno) = (refusal.group.rawValue, SystemCallErrno.symbol(of: refusal.errno))
                    if let index = refuse.firstIndex(where: { $0.group == group && $0.errno == errno }) {
                        refuse[index].calls.append(rule.call)
                    } else {
                        refuse.append(Refused(group: group, errno: errno, calls: [rule.call]))
                    }
                }
            }
        }

        var policy: SandboxPolicy
        var calls: Calls
        /// Its own name, that of what it extends, and so on.
        var lineage: [String]
        var values: [PolicyValue]
        /// For whom a built-in policy is.
        var purpose: PolicyPurpose?
        /// What was written; nil for a built-in policy.
        var document: Source?

        init(resolved: ResolvedPolicy, document: (bytes: [UInt8], file: String, layer: PolicyLayer)?) {
            policy = resolved.policy
            calls = Calls(resolved.policy.seccomp)
            lineage = resolved.lineage
            values = resolved.values
            purpose = PolicyPurpose.of(resolved.policy.name)
            self.document = document.map {
                Source(file: $0.file, layer: $0.layer, text: String(decoding: $0.bytes, as: UTF8.self))
            }
        }
    }
}
