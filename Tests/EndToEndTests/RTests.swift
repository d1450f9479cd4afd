import Foundation
import Testing

extension EndToEndBeside {
    /// Building the base takes minutes: whoever wants the test builds it into the tests' store.
    @Suite(
        "R",
        .enabled(
            if: Cloche.isBuilt && Cloche.hasEnvironment("base-kernel-r"),
            "base-kernel-r is not built in the tests' store"))
    struct R {
        @Test("a step in R runs in the environment that Orchest's image of that name maps to, with its packages")
        func step() throws {
            let project = try TestProject([
                .init(
                    file: "one.R",
                    text: """
                        library(jsonlite)
                        stopifnot(all(c("IRkernel", "reticulate") %in% rownames(installed.packages())))
                        cat("R", 6 * 7, toJSON(list(a = 1)), system("id -u", intern = TRUE), "\\n")

                        """)
            ])
            let uuid = "00000000-0000-4000-8000-0000000000e2"
            try project.directory.write(
                """
                {"uuid": "\(uuid)", "name": "R", "language": "r", "base_image": "orchest/base-kernel-r",
                 "gpu_support": false}
                """, to: ".orchest/environments/\(uuid)/properties.json")
            try project.directory.write(
                try project.directory.read("main.orchest").replacingOccurrences(
                    of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\""), to: "main.orchest")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 0, "\(job.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0/one", "--raw").output == "R 42 {\"a\":[1]} 1000 \n")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}
