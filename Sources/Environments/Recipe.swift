/// What an environment is made of: a validated `environment.yaml`.
package struct Recipe: Sendable, Hashable {
    /// The name that jobs and commands use.
    package let name: EnvironmentName
    /// One line about it.
    package let description: String
    /// The Debian suite, such as `bookworm`.
    package let suite: String
    /// The areas of the archive that packages may come from.
    package let components: [String]
    /// Debian packages; the essential ones and apt are always there.
    package let packages: [String]
    /// Files beside the recipe that run, in this order, when the packages are there.
    package let scripts: [String]
    /// Environment variables of scripts and of everything that runs in the environment.
    package let variables: [String: String]
    /// The program for each kind of step, by language.
    package let interpreters: [String: String]
    /// Images that projects may name and that this environment stands for.
    package let replaces: [ImageName]

    /// The programs of languages that a project's set-up script may bring.
    static let programs = ["r": "Rscript", "julia": "julia", "javascript": "node"]
}

/// Debian's grammars for what a recipe names.
enum DebianName {
    /// Policy 5.6.1: lower-case letters, digits, `+`, `-`, `.`; at least two, the first a letter or digit.
    static func isPackage(_ text: String) -> Bool {
        guard (2...128).contains(text.utf8.count), let first = text.utf8.first, isLowercaseOrDigit(first) else {
            return false
        }
        return text.utf8.allSatisfy { isLowercaseOrDigit($0) || [0x2B, 0x2D, 0x2E].contains($0) }
    }

    /// A suite or a component: one component of a path in the archive.
    static func isArchiveName(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), let first = text.utf8.first, isLowercaseOrDigit(first) else {
            return false
        }
        return text.utf8.allSatisfy { isLowercaseOrDigit($0) || [0x2B, 0x2D, 0x2E].contains($0) }
    }
}

/// A name that a shell can give to a variable.
func isVariableName(_ text: String) -> Bool {
    guard (1...256).contains(text.utf8.count), let first = text.utf8.first, !(0x30...0x39).contains(first) else {
        return false
    }
    return text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x5F }
}
