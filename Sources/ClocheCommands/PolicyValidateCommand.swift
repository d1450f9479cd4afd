import ArgumentParser
import LinuxSystem
import Pipelines
import PlainText
import Policies
import SystemPackage
import TerminalOutput

struct PolicyValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Read policy documents, and tell everything that is wrong with them.",
        discussion: """
            Exit code 78: one of them is wrong. Rules without effect are warnings.

            Examples:
              cloche policy validate lab.yaml
              cloche policy validate policies/*.yaml
            """)
    @Argument(
        help: "Files; what they extend is looked for among the policies that there are.",
        completion: Completion.documents) var files: [String]
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        struct Problem: Encodable {
            var file: String
            var line: Int?, column: Int?
            var severity: String, message: String
        }

        var file: String
        var valid = true
        var problems: [Problem] = []

        mutating func add(_ problems: [PolicyProblem], severity: String) {
            self.problems += problems.map {
                Problem(
                    file: $0.file, line: $0.place?.line, column: $0.place?.column, severity: severity,
                    message: $0.message)
            }
        }
    }

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        var code: Int32 = 0
        var results: [Result] = []
        for file in files {
            var result = Result(file: file)
            do {
                let warnings = try read(file, catalogue)
                result.add(warnings, severity: "warning")
                if !output.json {
                    for warning in warnings { context.say("warning: \(warning)") }
                    context.say("\(printable(file)): valid")
                }
            } catch {
                guard let failure = Failures.failure(error) else { throw error }
                result.valid = false
                if case PolicyError.invalid(let problems, _) = error {
                    result.add(problems, severity: "error")
                } else {
                    result.problems.append(.init(file: file, severity: "error", message: "\(error)"))
                }
                if !output.json { context.say(failure) }
                code = failure.exitCode
            }
            results.append(result)
        }
        if output.json {
            struct Document: Encodable { var files: [Result] }
            try context.print(json: Document(files: results))
        }
        if code != 0 { throw ExitCode(code) }
    }

    private func read(_ file: String, _ catalogue: PolicyCatalogue) throws -> [PolicyProblem] {
        let path = FilePath(file)
        // What is not there, or cannot be looked at, the reading tells.
        if (try? Syscall.lstat(path))?.isDirectory == true {
            throw ParameterError(
                "read the policy \(quoted(file)): it is a directory",
                hint: "name its documents, as in `\(shellWord(path.string))/*.yaml`")
        }
        let bytes = try Syscall.readFile(path, limit: PolicyDocument.sizeLimit + 1)
        guard path.lastComponent?.string == PolicyCeiling.fileName else {
            return try catalogue.resolve(reading: bytes, name: path.lastComponent?.stem ?? "", file: file).warnings
        }
        _ = try PolicyCeiling(reading: bytes, file: file)
        return []
    }
}
