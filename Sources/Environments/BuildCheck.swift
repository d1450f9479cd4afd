import LinuxSystem
import PlainText
package import SystemPackage

/// Whether the build in force is one of what there is to build now, and why not.
package struct BuildCheck: Sendable, Hashable {
    /// A reason to build again.
    package enum Reason: Sendable, Hashable, CustomStringConvertible {
        case neverBuilt
        /// The recipe's files that are not what they were.
        case recipe([String])
        case base(String)
        case setupScript
        /// Files that the setup script names.
        case files([String])
        case properties
        case format

        /// For people.
        package var description: String {
            switch self {
            case .neverBuilt: "it has not been built"
            case .recipe(let files):
                files.isEmpty ? "its recipe changed" : "its recipe changed: " + files.joined(separator: ", ")
            case .base(let name): "its base `\(printable(name, limit: 120))` is another build now, or is out of date"
            case .setupScript: "its setup_script.sh changed"
            case .files(let names): "files that its setup_script.sh names changed: " + names.joined(separator: ", ")
            case .properties: "its properties.json changed"
            case .format: "it was built by another version of Cloche"
            }
        }
    }

    /// The environment.
    package let name: String
    /// The build in force.
    package let build: String?
    /// Reasons, none where it is up to date.
    package let reasons: [Reason]

    /// Records what was found.
    package init(name: String, build: String?, reasons: [Reason]) {
        self.name = name
        self.build = build
        self.reasons = reasons
    }
}

extension EnvironmentBuilder {
    /// Compares a base with its build in force; builds nothing.
    package func check(_ base: Base) throws(StoreError) -> BuildCheck {
        let current = try store.current(base.recipe.name)
        return check(base.recipe.name.text, current, BuildInputs.base(base)) { parts in
            let now = partDigests(.base(base))
            let changed = Set(parts.keys).union(now.keys).filter { parts[$0] != now[$0] }
            return [.recipe(changed.map { String($0.dropFirst("file ".count)) }.sorted())]
        }
    }

    /// Compares an environment of the project in a directory with its build in force; `base` is nil where the base has no
    /// build.
    package func check(
        _ environment: ProjectEnvironment, project: FilePath, base: BuildRecord?, baseIsCurrent: Bool,
        key: EnvironmentName
    ) throws(StoreError) -> BuildCheck {
        let current = try store.current(key)
        let title = environment.title
        guard let current else { return BuildCheck(name: title, build: nil, reasons: [.neverBuilt]) }
        guard let base, baseIsCurrent else {
            return BuildCheck(name: title, build: current.id, reasons: [.base(environment.baseImage)])
        }
        let inputs = BuildInputs.project(environment, base: base, project: project)
        return check(title, current, inputs) { parts in
            let now = partDigests(inputs)
            var reasons: [BuildCheck.Reason] = []
            if parts["base"] != now["base"] { reasons.append(.base(environment.baseImage)) }
            if parts["setup_script"] != now["setup_script"] { reasons.append(.setupScript) }
            let names = Set(parts.keys).union(now.keys).filter { $0.hasPrefix("file ") && parts[$0] != now[$0] }
            if !names.isEmpty { reasons.append(.files(names.map { String($0.dropFirst(5)) }.sorted())) }
            if parts["title"] != now["title"] || parts["language"] != now["language"] { reasons.append(.properties) }
            return reasons
        }
    }

    private func check(
        _ name: String, _ current: BuildRecord?, _ inputs: BuildInputs,
        _ compare: ([String: String]) -> [BuildCheck.Reason]
    ) -> BuildCheck {
        guard let current else { return BuildCheck(name: name, build: nil, reasons: [.neverBuilt]) }
        if current.inputs == digest(inputs.bytes) { return BuildCheck(name: name, build: current.id, reasons: []) }
        // Records that were written before parts were kept tell only that something changed.
        let reasons = current.parts.map(compare) ?? []
        let isFormat = current.format != BuildRecord.currentFormat
        return BuildCheck(
            name: name, build: current.id,
            reasons: !reasons.isEmpty ? reasons : isFormat ? [.format] : [.recipe([])])
    }

    /// The digest of each input by its name, kept with a build so that a change can be named.
    func partDigests(_ inputs: BuildInputs) -> [String: String] {
        inputs.parts.mapValues(digest)
    }
}
