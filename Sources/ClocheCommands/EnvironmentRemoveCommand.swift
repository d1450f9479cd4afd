import ArgumentParser
import Environments
import JobScheduling
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

struct EnvironmentRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove an environment with its builds, one build, or all that nobody needs.",
        discussion: """
            What a job holds is never removed.

            Examples:
              cloche env rm old-image
              cloche env rm python --forget     builds that jobs hold stay
              cloche env rm --unused --yes
              cloche env rm --packages          the next build fetches again what it needs
            """, aliases: ["remove"])
    @Argument(help: "The environment's name, or the identity of a build.", completion: Completion.environments)
    var name: String?
    @Flag(help: "Take the name out of force, and keep the builds that somebody needs.") var forget = false
    @Flag(help: "Remove every build that neither a job nor an environment needs.") var unused = false
    @Flag(help: "Remove the packages of Debian and of pip that are kept for the next build.") var packages = false
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        guard (name != nil) != (unused || packages) else {
            throw ValidationError("name an environment or a build, or --unused or --packages")
        }
        guard !forget || name != nil else { throw ValidationError("--forget needs the name of an environment") }
        // What makes room on a full disk needs no database, which cannot be opened there.
        if name == nil, !unused {
            return try tell(context, EnvironmentRemoval(), bytes: 0, packages: try Self.removePackages())
        }
        let store = try context.openStore()
        let provider = try context.environments(store)
        var removal = EnvironmentRemoval()
        if let name {
            removal = try provider.removal(of: name, forgetsOnly: forget)
        } else if unused {
            removal = try provider.unusedBuilds()
        }
        let abandoned =
            unused ? try provider.removeAbandoned() + provider.environments.removeDownloads(olderThan: 0) : 0
        // Only for the sizes: what is left of a removed build has no record.
        let records = removal.builds.compactMap { try? provider.environments.record($0) }
        var bytes = records.reduce(0) { $0 + $1.size }
        if removal.name != nil || !removal.builds.isEmpty {
            let what = removal.name.map { "the environment `\($0)`" + (removal.builds.isEmpty ? "" : " with ") } ?? ""
            let builds =
                removal.builds.isEmpty ? "" : "\(counted(removal.builds.count, "build")) (\(humanBytes(bytes)))"
            try Confirmation.standard(isGranted: yes, streams: context.streams).require(
                "remove \(what)\(builds)?", details: records.map { "\($0.id)  \($0.created)  \(humanBytes($0.size))" })
            removal.builds = try provider.carryOut(removal)
            bytes = records.filter { removal.builds.contains($0.id) }.reduce(0) { $0 + $1.size }
        }
        try tell(
            context, removal, bytes: bytes, packages: packages ? try Self.removePackages() : nil, abandoned: abandoned)
    }

    /// They can be had again, so that nobody is asked.
    static func removePackages() throws -> (count: Int, bytes: Int64) {
        let shared = try StoreOwner.sharedStore(of: try CommandContext.storePath())
        return try EnvironmentStore(directory: shared.appending("environments")).packages.removeAll()
    }

    private func tell(
        _ context: CommandContext, _ removal: EnvironmentRemoval, bytes: Int64, packages: (count: Int, bytes: Int64)?,
        abandoned: Int = 0
    ) throws {
        if output.json {
            return try context.print(
                Documents.object([
                    ("name", removal.name.map { .string($0.text) } ?? .null),
                    ("removed", .array(removal.builds.map { .string($0) })),
                    ("kept", .array(removal.kept.map { .string($0.build) })), ("bytes", Documents.value(bytes)),
                    ("packages", Documents.value(Int64(packages?.count ?? 0))),
                    ("packages_bytes", Documents.value(packages?.bytes ?? 0)),
                ]))
        }
        if let name = removal.name { context.say("`\(name)` is out of force") }
        for kept in removal.kept {
            let why =
                kept.jobs.isEmpty
                ? "other environments are built on it" : "held by " + kept.jobs.joined(separator: ", ")
            context.say("kept build \(kept.build): \(printable(why))")
        }
        if name != nil || unused {
            context.say("removed \(counted(removal.builds.count, "build")), \(humanBytes(bytes))")
        }
        if let packages {
            context.say("removed \(counted(packages.count, "package")), \(humanBytes(packages.bytes))")
        }
        if abandoned > 0 { context.say("removed what \(counted(abandoned, "build")) left that had been cut off") }
    }
}

/// The builds of an environment with those who need them, for `env show`.
struct EnvironmentHistory {
    private let builds: [(record: BuildRecord, isInForce: Bool, jobs: [String], environments: [String])]

    init(_ name: String, _ use: EnvironmentUse) throws {
        builds = try use.builds(of: name).map { record in
            (record, use.inForce[record.id] != nil, use.jobs(record.id), use.environments(on: record.id))
        }
    }

    var documents: [JSONValue] {
        builds.map { build in
            Documents.object([
                ("id", .string(build.record.id)), ("created", .string(build.record.created)),
                ("size", Documents.value(build.record.size)), ("in_force", .bool(build.isInForce)),
                ("jobs", .array(build.jobs.map { .string($0) })),
                ("environments", .array(build.environments.map { .string($0) })),
            ])
        }
    }

    var text: String {
        builds.map { build in
            let holders = build.jobs.map { "job \($0)" } + build.environments.map { "environment \($0)" }
            let names = holders.isEmpty ? "nobody" : printable(holders.prefix(20).joined(separator: ", "))
            let state = build.isInForce ? "in force" : "not in force"
            return "has build    \(build.record.id.prefix(12)) of \(build.record.created), \(state), held by \(names)"
        }.joined(separator: "\n")
    }
}
