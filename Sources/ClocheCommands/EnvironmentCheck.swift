import ArgumentParser
import Environments
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

/// `env build --check`: what is out of date, and why.
struct EnvironmentCheck {
    private let context: CommandContext
    private let store: Store
    private let provider: EnvironmentProvider

    init(_ context: CommandContext, _ store: Store, _ provider: EnvironmentProvider) {
        self.context = context
        self.store = store
        self.provider = provider
    }

    /// Prints what is found of a base or of a project's environments; ends with 1 where something is out of date.
    func run(_ what: String, json: Bool) throws {
        let checks = try checks(what)
        if json {
            let documents = checks.map { check in
                Documents.object([
                    ("name", .string(check.name)), ("build", check.build.map { .string($0) } ?? .null),
                    ("up_to_date", .bool(check.reasons.isEmpty)),
                    ("reasons", .array(check.reasons.map { .string($0.description) })),
                ])
            }
            try context.print(Documents.object([("environments", .array(documents))]))
        } else {
            for check in checks {
                let state =
                    check.reasons.isEmpty
                    ? "up to date" : "out of date: " + check.reasons.map(\.description).joined(separator: "; ")
                try context.print("\(printable(check.name)): \(printable(state))")
            }
        }
        if !checks.allSatisfy(\.reasons.isEmpty) { throw ExitCode(1) }
    }

    private func checks(_ what: String) throws -> [BuildCheck] {
        if provider.baseNames.contains(what) { return [try provider.checkBase(what)] }
        let project = FilePath(what)
        let listing = ProjectFiles(layers: [project]).listing()
        try listing.requireUsableEnvironments()
        let uuids = listing.environments.keys.sorted()
        guard !uuids.isEmpty else { throw provider.nothingToBuild(what) }
        return try uuids.compactMap { uuid in
            try provider.projectEnvironment(uuid, project: project).map { try provider.check($0, project: project) }
        }
    }
}

extension EnvironmentProvider {
    /// Why a name has no recipe and no set-up script: it was imported, or it is nothing.
    func nothingToBuild(_ what: String) -> CommandFailure {
        let name = printable(what)
        guard let record = EnvironmentName(what).flatMap({ try? current($0) }), let image = record.image else {
            return CommandFailure(
                .notFound, "build `\(name)`: it is no base, and no project with environments",
                hint: didYouMean(what, among: baseNames) ?? "bases are " + baseNames.joined(separator: ", "))
        }
        let again = "`cloche env import \(name) \(shellWord(image.source))` imports it again"
        return CommandFailure(
            .wrongState, "build `\(name)`: it was imported and has no recipe",
            hint: again + (image.pin.map { ", `cloche env import \(name) \($0)` the very same image" } ?? ""))
    }
}
