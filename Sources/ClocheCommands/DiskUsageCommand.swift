import ArgumentParser
import Environments
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct DiskUsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "df", abstract: "Tell what uses the disk: jobs, environments and snapshots.",
        discussion: """
            OWN is what removing the one thing frees; SHARED is used by others as well. Together with what others share it \
            counts once in the total. `cloche env rm --unused` frees what is left of pulls, of builds that were cut off, \
            and builds that nobody needs; `cloche env rm --packages` frees the packages that are kept for the next build; \
            `cloche snapshot prune` frees snapshots without a job.

            Examples:
              cloche system df
              cloche system df --json
            """)
    @OptionGroup var output: OutputOptions

    /// Something that takes space.
    private struct Item {
        let kind: String
        let name: String
        let identity: String
        /// Whether a person gave the name: a pipe gets it too, and else the identity.
        let isNamed: Bool
        let places: [FilePath]
        let usage: DiskUsage
        var note = ""

        init(
            kind: String, name: String, identity: String, isNamed: Bool = false, places: [FilePath], note: String = ""
        ) throws {
            self.kind = kind
            self.isNamed = isNamed
            self.name = name
            self.identity = identity
            self.places = places
            usage = try DiskUsage.measure(places)
            self.note = note
        }
    }

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let items = try jobs(store) + environments(store) + snapshots(store) + remains(store) + owners(store)
        let elsewhere = store.owner == nil ? [] : items.filter { $0.kind == "environment" }.flatMap(\.places)
        let total = try DiskUsage.measure([store.path] + elsewhere)
        let location = try Syscall.openLocation(store.path)
        let room = try Syscall.fileSystem(of: location.number)
        let other = total.allocated - (try DiskUsage.measure(items.flatMap(\.places))).allocated
        if output.json { return try context.print(document(store, items, total: total, other: other, room: room)) }
        var table = Table([
            Table.Column("KIND"), Table.Column("NAME", priority: 1),
            Table.Column("OWN", alignment: .trailing, minimum: 5),
            Table.Column("SHARED", alignment: .trailing, minimum: 6), Table.Column("NOTE", priority: 2),
        ])
        for item in items.sorted(by: { ($0.kind, $1.usage.exclusive) < ($1.kind, $0.usage.exclusive) }) {
            table.append([
                Table.Cell(item.kind), Table.Cell(item.name, exact: item.isNamed ? nil : item.identity),
                size(item.usage.exclusive), size(item.usage.shared), Table.Cell(item.note),
            ])
        }
        table.append([
            Table.Cell("other"), Table.Cell("database, data, policies"), size(other), size(0), Table.Cell(""),
        ])
        try context.print(table)
        context.say(
            "\(humanBytes(total.allocated)) in all, \(humanBytes(room.freeBytes)) free on the file system of the store")
        if let limit = limit(of: store.path) {
            context.say("the service lets you keep \(humanBytes(limit))")
        }
        if items.contains(where: { $0.kind == "user" }) {
            context.say("what a user's store holds: `CLOCHE_OWNER=NAME cloche system df`")
        }
    }

    private func limit(of store: FilePath) -> Int64? { StoreSize.stored(in: store)?.limit }

    private func size(_ bytes: Int64) -> Table.Cell { Table.Cell(humanBytes(bytes), exact: String(bytes)) }

    private func jobs(_ store: Store) throws -> [Item] {
        try store.database.jobs(limit: .max).map { job in
            try Item(
                kind: "job", name: job.name.description, identity: job.uuid.description, isNamed: true,
                places: [
                    store.jobDirectory(job.uuid), store.runsDirectory(job.uuid),
                    store.path.appending("data").appending("jobs").appending(job.uuid.description),
                ], note: counted(job.counts.total, "run"))
        }
    }

    /// The stores of a shared service's users; what is in one `CLOCHE_OWNER=NAME cloche system df` tells.
    private func owners(_ store: Store) throws -> [Item] {
        try StoreOwner.all(in: store.path).map { owner, place in
            let jobs = try Store.open(place).database.jobs(limit: .max).count
            return try Item(
                kind: "user", name: owner.text, identity: String(owner.user), places: [place],
                note: counted(jobs, "job") + (limit(of: place).map { ", of at most \(humanBytes($0))" } ?? ""))
        }
    }

    private func environments(_ store: Store) throws -> [Item] {
        let environments = try EnvironmentStore(directory: store.environments)
        // Those of a service are in its own store, and a user's are among them.
        let ids = try store.owner.map { try environments.builds(of: $0).map(\.id) } ?? environments.builds()
        var inForce: [String: [String]] = [:]
        for name in try environments.names() {
            if let build = try environments.current(name) { inForce[build.id, default: []].append(name.text) }
        }
        return try ids.map { build in
            let names = inForce[build] ?? []
            return try Item(
                kind: "environment", name: names.isEmpty ? String(build.prefix(12)) : names.joined(separator: ", "),
                identity: build, isNamed: !names.isEmpty, places: [environments.path(of: build)],
                note: names.isEmpty ? "not in force" : "")
        }
    }

    private func snapshots(_ store: Store) throws -> [Item] {
        let references = try SnapshotReferences(store)
        return try store.snapshots.identities().map { identity in
            let jobs = (references.jobs[identity] ?? []).sorted()
            return try Item(
                kind: "snapshot", name: SnapshotTarget.short(identity), identity: identity.description,
                places: [store.snapshots.directory.appending(identity.description)],
                note: jobs.isEmpty
                    ? references.all.contains(identity) ? "of runs" : "no job" : jobs.joined(separator: ", "))
        }
    }

    /// What pulls, builds and captures keep or have left beside what they made.
    private func remains(_ store: Store) throws -> [Item] {
        let environments = store.path.appending("environments")
        let snapshots = store.snapshots.directory
        return try [
            ("packages", environments.appending("packages"), "kept for the next build"),
            ("parts of images", environments.appending("downloads"), "kept for the next pull"),
            ("unfinished builds", environments.appending("staging"), "running, or cut off"),
            ("logs of failed builds", environments.appending("failed"), ""),
            ("caches of projects", snapshots.appending("caches"), "what need not be read again"),
            ("unfinished snapshots", snapshots.appending("staging"), "running, or cut off"),
        ].map { name, place, note in
            try Item(
                kind: "remains", name: name, identity: place.components.suffix(2).map(\.string).joined(separator: "/"),
                places: [place], note: note)
        }.filter { $0.usage.files > 0 }
    }

    private func document(
        _ store: Store, _ items: [Item], total: DiskUsage, other: Int64, room: FileSystemRoom
    ) -> JSONValue {
        func list(_ kind: String) -> JSONValue {
            .array(
                items.filter { $0.kind == kind }.map { item in
                    Documents.object([
                        ("name", .string(item.name)), ("identity", .string(item.identity)),
                        ("own_bytes", Documents.value(item.usage.exclusive)),
                        ("shared_bytes", Documents.value(item.usage.shared)),
                    ])
                })
        }
        return Documents.object([
            ("jobs", list("job")), ("environments", list("environment")), ("snapshots", list("snapshot")),
            ("remains", list("remains")), ("users", list("user")),
            ("other_bytes", Documents.value(other)), ("total_bytes", Documents.value(total.allocated)),
            ("free_bytes", Documents.value(room.freeBytes)), ("limit_bytes", Documents.value(limit(of: store.path))),
        ])
    }
}
