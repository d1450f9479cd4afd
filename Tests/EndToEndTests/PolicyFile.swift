import Foundation

/// A policy document in the store, removed when this ends.
final class PolicyFile {
    let name = "own-\(UUID().uuidString.prefix(8).lowercased())"
    let path: String

    init(_ text: String) throws {
        let directory = try Cloche.home.get() + "/policies"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        path = "\(directory)/\(name).yaml"
        try Data(text.utf8).write(to: URL(filePath: path))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func exec(_ arguments: String...) throws -> CommandResult {
        try Cloche.start(["exec", "--policy", name] + arguments, environment: [:]).wait()
    }
}
