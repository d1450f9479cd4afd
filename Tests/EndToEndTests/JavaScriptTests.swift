import Foundation
import Testing

extension EndToEnd {
    /// Building the base takes a minute: whoever wants the test builds it into the tests' store.
    @Suite(
        "JavaScript",
        .enabled(
            if: Cloche.isBuilt && Cloche.hasEnvironment("base-kernel-javascript"),
            "base-kernel-javascript is not built in the tests' store"))
    struct JavaScript {
        @Test("a step in JavaScript runs in the environment that Orchest's image of that name maps to")
        func step() throws {
            let project = try TestProject([
                .init(file: "one.js", text: "console.log('node', 6 * 7, process.getuid())\n")
            ])
            let uuid = "00000000-0000-4000-8000-0000000000e1"
            try project.directory.write(
                """
                {"uuid": "\(uuid)", "name": "JavaScript", "language": "javascript",
                 "base_image": "orchest/base-kernel-javascript", "gpu_support": false}
                """, to: ".orchest/environments/\(uuid)/properties.json")
            try project.directory.write(
                try project.directory.read("main.orchest").replacingOccurrences(
                    of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\""), to: "main.orchest")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 0, "\(job.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0/one", "--raw").output == "node 42 1000\n")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

extension Cloche {
    /// Whether an environment is built in the tests' store.
    static func hasEnvironment(_ name: String) -> Bool {
        guard let home = try? home.get() else { return false }
        return FileManager.default.fileExists(atPath: "\(home)/environments/names/\(name).json")
    }
}
