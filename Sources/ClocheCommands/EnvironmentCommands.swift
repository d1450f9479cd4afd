import ArgumentParser
import Environments
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct EnvironmentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env", abstract: "Build and look at environments.",
        subcommands: [
            EnvironmentListCommand.self, EnvironmentBuildCommand.self, EnvironmentImportCommand.self,
            EnvironmentShowCommand.self, EnvironmentShellCommand.self, EnvironmentVerifyCommand.self,
            EnvironmentRemoveCommand.self,
        ])
}

struct EnvironmentListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List bases and built environments.",
        discussion: """
            Examples:
              cloche env ls
            """, aliases: ["list"])
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let provider = try context.environments(store)
        var names = provider.baseNames
        for name in try provider.environments.names() where !names.contains(name.text) { names.append(name.text) }
        if let owner = store.owner { names = names.filter { owner.mayKnow(environment: $0) } }
        let records = try names.map { name in (name, try EnvironmentName(name).flatMap { try provider.current($0) }) }
        let use = try EnvironmentUse(store, provider.environments, from: .databases)
        if output.json {
            let documents = records.map { name, record in
                Documents.object([
                    ("name", .string(name)), ("build", record.map { Documents.value($0) } ?? .null),
                    ("what", .string(what(name, record, provider))),
                    ("damaged", .bool(record.map { damage(of: $0, provider) != nil } ?? false)),
                    ("jobs", .array(record.map { use.jobs($0.id).map { .string($0) } } ?? [])),
                    ("problems", .array(problems(name, provider).map { .string($0) })),
                ])
            }
            return try context.print(Documents.object([("environments", .array(documents))]))
        }
        var table = Table([
            Table.Column("ENVIRONMENT"), Table.Column("BUILD"), Table.Column("SIZE", alignment: .trailing, minimum: 5),
            Table.Column("USED BY", priority: 1), Table.Column("WHAT", priority: 1),
        ])
        for (name, record) in records {
            table.append([
                Table.Cell(name), Table.Cell(record?.id ?? "not built"),
                Table.Cell(record.map { humanBytes($0.size) } ?? "", exact: record.map { String($0.size) }),
                Table.Cell(record.map { users(use.jobs($0.id)) } ?? ""),
                Table.Cell(what(name, record, provider)),
            ])
        }
        try context.print(table)
        for (name, record) in records {
            for problem in problems(name, provider) { context.say("warning: \(printable(problem))") }
            if let damage = record.flatMap({ damage(of: $0, provider) }) {
                context.say("warning: `\(printable(name))`: \(damage)")
            }
        }
    }

    /// What is wrong with the recipe of a base, each with its place.
    private func problems(_ name: String, _ provider: EnvironmentProvider) -> [String] {
        provider.baseProblem(name).map { "\($0)".split(separator: "\n").map(String.init) } ?? []
    }

    private func what(_ name: String, _ record: BuildRecord?, _ provider: EnvironmentProvider) -> String {
        if provider.baseProblem(name) != nil { return "cannot be built: its recipe is wrong" }
        if record.flatMap({ damage(of: $0, provider) }) != nil { return "damaged: nothing starts in it" }
        return record?.title ?? provider.baseDescription(name) ?? ""
    }

    private func users(_ jobs: [String]) -> String {
        jobs.count > 2 ? "\(jobs[0]) and \(jobs.count - 1) more" : jobs.joined(separator: ", ")
    }
}

/// What a verification has found wrong with a build, or with one that it lies on; nil where nothing is known.
private func damage(of record: BuildRecord, _ provider: EnvironmentProvider) -> String? {
    do throws(Environments.StoreError) {
        try provider.environments.requireSound(record)
        return nil
    } catch {
        return error.description
    }
}

struct EnvironmentBuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Build a base, or the environments of a project.",
        discussion: """
            Examples:
              cloche env build python
              cloche env build .             every environment of this project
            """)
    @Argument(help: "The name of a base, or a project's directory.", completion: Completion.bases) var what: String
    @Flag(help: "Build even where nothing has changed.") var refresh = false
    @Flag(help: "Build nothing: tell what is out of date and why; ends with 1 where something is.") var check = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let provider = try context.environments(store)
        if check {
            guard !refresh else { throw ValidationError("--check builds nothing, and --refresh builds always") }
            return try EnvironmentCheck(context, store, provider).run(what, json: output.json)
        }
        let build = EnvironmentBuild(context)
        var records: [BuildRecord] = []
        if provider.baseNames.contains(what) {
            records.append(
                try build.run(what) { try provider.buildBase(what, refresh: refresh, isCancelled: $0, report: $1) })
        } else {
            let project = FilePath(what)
            let listing = ProjectFiles(layers: [project]).listing()
            try listing.requireUsableEnvironments()
            for name in ignored(below: project) {
                context.say("warning: `.orchest/environments/\(printable(name))` is ignored: its name is no UUID")
            }
            guard !listing.environments.isEmpty else { throw provider.nothingToBuild(what) }
            // As for a job: what the setup script sees belongs to the ids inside, whoever owns the project.
            let (snapshot, lease) = try JobMaking(context, store).capture(project)
            defer { lease.end() }
            let whole = try store.snapshots.wholeTree(of: snapshot)
            defer { whole.end() }
            for uuid in listing.environments.keys.sorted() {
                guard let environment = try provider.projectEnvironment(uuid, project: whole.path) else { continue }
                records.append(
                    try build.run(environment.title) {
                        try provider.build(
                            environment, project: whole.path, refresh: refresh, isCancelled: $0, report: $1)
                    })
            }
        }
        if output.json {
            return try context.print(Documents.object([("environments", .array(records.map { Documents.value($0) }))]))
        }
        // By the name `env show` and `exec` know it.
        for record in records {
            try context.print(
                "\(printable(record.title)) (\(record.name)): build \(record.id), \(humanBytes(record.size))")
        }
    }
}

extension EnvironmentBuildCommand {
    /// Directories among a project's environments that are none, for their names.
    private func ignored(below project: FilePath) -> [String] {
        let directory = project.appending(".orchest/environments")
        // A warning: a directory that cannot be listed is refused by whoever reads the environments in it.
        guard let opened = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let entries = try? Syscall.directoryEntries(opened.number)
        else { return [] }
        return entries.map { String(decoding: $0.name, as: UTF8.self) }.filter { name in
            !EnvironmentProperties.isIdentifier(name)
                && Syscall.exists(directory.appending(name).appending("properties.json"))
        }.sorted().prefix(20).map { $0 }
    }
}

struct EnvironmentShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a built environment.",
        discussion: """
            A name, and the identity of a build, can be given by their beginning, of four characters or more.

            Examples:
              cloche env show python
              cloche env show python --log
            """)
    @Argument(help: "Its name, or the identity of a build.", completion: Completion.environments) var name: String
    @Flag(help: "Print the log of the build instead.") var log = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let provider = try context.environments(store)
        guard EnvironmentName(name) != nil else {
            throw ValidationError("`\(printable(name))` is no name of an environment")
        }
        let record = try provider.record(of: name)
        if log {
            let bytes = try Syscall.readFile(provider.environments.log(of: record), limit: 256 << 20)
            var sanitizer = LogSanitizer(colours: false)
            return try context.print(sanitizer.feed(bytes) + sanitizer.finish())
        }
        let use = try EnvironmentUse(store, provider.environments, from: .databases)
        if output.json {
            return try context.print(
                Documents.object([
                    ("environment", Documents.value(record)),
                    ("damaged", .bool(damage(of: record, provider) != nil)),
                    ("builds", .array(try EnvironmentHistory(record.name, use).documents)),
                ]))
        }
        try context.print(
            """
            environment  \(printable(record.title))
            build        \(record.id)
            created      \(record.created)
            size         \(humanBytes(record.size)) in its own layer, \(counted(record.layers.count, "layer"))
            packages     \(record.packages.count) of Debian
            log          \(provider.environments.log(of: record))
            """)
        if !record.interpreters.isEmpty { try context.print("programs     \(printable(programs(record)))") }
        if let damage = damage(of: record, provider) { try context.print("damaged      \(damage)") }
        if let image = record.image { try context.print(text(of: image)) }
        try context.print(try EnvironmentHistory(record.name, use).text)
    }

    private func text(of image: ImageOrigin) -> String {
        var lines = ["image        \(image.kind) \(image.digest)", "source       \(printable(image.source))"]
        if let pin = image.pin { lines.append("pinned       \(pin)") }
        if let user = image.user { lines.append("user         \(printable(user)) in the image; steps run as 1000") }
        if let directory = image.workingDirectory { lines.append("directory    \(printable(directory))") }
        let command = (image.entrypoint + image.command).joined(separator: " ")
        if !command.isEmpty {
            lines.append("entrypoint   \(printable(command)) in the image; steps run their own files")
        }
        if !image.replaces.isEmpty { lines.append("replaces     " + image.replaces.joined(separator: ", ")) }
        return lines.joined(separator: "\n")
    }
}
