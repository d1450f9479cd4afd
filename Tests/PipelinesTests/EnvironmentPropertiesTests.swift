import Testing

@testable import Pipelines

struct EnvironmentPropertiesTests {
    private func read(_ text: String, directory: String? = Samples.environment) throws -> EnvironmentProperties {
        try EnvironmentProperties(contentsOf: Array(text.utf8), file: "properties.json", directory: directory)
    }

    private let text = """
        {"name": "Python 3", "uuid": "\(Samples.environment)", "language": "python",
         "base_image": "orchest/base-kernel-py", "gpu_support": false}
        """

    @Test func `the five members are read`() throws {
        let environment = try read(text)
        #expect(environment.uuid == Samples.environment && environment.name == "Python 3")
        #expect(environment.language == "python" && environment.baseImage == "orchest/base-kernel-py")
        #expect(!environment.gpuSupport && environment.warnings.isEmpty)
    }

    @Test func `unknown members are warned about and nothing more`() throws {
        let environment = try read(text.replacing("\"gpu_support\"", with: "\"setup_script\": \"x\", \"gpu_support\""))
        #expect(environment.warnings.map(\.severity) == [.warning])
        #expect(environment.warnings.map(\.line) == [2])
    }

    @Test func `a member that is probably a known one misspelt is refused`() throws {
        let error = #expect(throws: InvalidDocument.self) {
            try read(text.replacing("\"gpu_support\"", with: "\"setup_script\": \"x\", \"gpu_suport\""))
        }
        #expect(error?.diagnostics.map(\.severity) == [.warning, .error])
        #expect(error?.diagnostics.last?.hint == "did you mean `gpu_support`?")
    }

    @Test(arguments: [
        ("[]", ["the description of an environment must be an object, not a list"]),
        (
            "{}",
            [
                "the environment has no `uuid`", "the environment has no `name`", "the environment has no `base_image`",
            ]
        ),
        (
            "{\"uuid\": \"\(Samples.environment)\", \"name\": \"x\", \"base_image\": \"y\", \"language\": \"cobol\"}",
            ["the `language` of the environment is `cobol`, which is not known"]
        ),
        (
            #"{"uuid": "X", "name": "", "base_image": 1, "language": null, "gpu_support": "no"}"#,
            [
                "the `uuid` of the environment is `X`, which is not a UUID in lower case",
                "`name` of the environment is empty", "`base_image` of the environment must be a string, not `1`",
                "`language` of the environment must be a string, not null",
                "`gpu_support` of the environment must be true or false, not a string",
            ]
        ),
    ])
    func `wrong members are all told`(text: String, messages: [String]) {
        do {
            _ = try read(text)
            Issue.record("it was read")
        } catch let error as InvalidDocument {
            #expect(error.diagnostics.map(\.message) == messages)
        } catch {
            Issue.record(error)
        }
    }

    @Test func `the identifier must be the name of the directory`() throws {
        #expect(throws: InvalidDocument.self) { try read(text, directory: Samples.uuid(1)) }
        _ = try read(text, directory: nil)
    }
}
