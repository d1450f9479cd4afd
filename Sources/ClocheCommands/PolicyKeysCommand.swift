import ArgumentParser
import PlainText
import Policies
import TerminalOutput

struct PolicyKeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "List what a policy document may say: each key, its default, and what enforces it.",
        discussion: """
            Examples:
              cloche policy keys
            """)
    @Argument(help: "Only this key, and those below it.", completion: .list(PolicyKey.all.map(\.path))) var key: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let keys = PolicyKey.all.filter { item in
            key.map { item.path == $0 || item.path.hasPrefix($0 + ".") } ?? true
        }
        if let key, keys.isEmpty {
            throw CommandFailure(
                .notFound, "find the key `\(printable(key))`: policies have none of that name",
                hint: "`cloche policy keys` lists them")
        }
        if output.json {
            struct Document: Encodable { var keys: [PolicyKey] }
            return try context.print(json: Document(keys: keys))
        }
        let styling = context.streams.output.styling
        for item in keys {
            try context.print(styling.apply(.bold, to: item.path) + "  \(item.values)")
            try context.print("    \(item.meaning); default: \(item.standard)")
            try context.print("    enforced by: \(item.enforcement); since Linux \(item.since)")
        }
    }
}

struct PolicySchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of policy documents, for editors.",
        discussion: """
            Example, for editors with the YAML language server:
              cloche policy schema > policy.schema.json
              (and in the document: # yaml-language-server: $schema=policy.schema.json)
            """)

    func run() throws { try CommandContext().print(json: PolicySchema.document) }
}
