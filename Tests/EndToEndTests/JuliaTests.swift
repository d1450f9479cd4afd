import Foundation
import Testing

extension EndToEndBeside {
    /// Building the base takes minutes: whoever wants the test builds it into the tests' store.
    @Suite(
        "Julia",
        .enabled(
            if: Cloche.isBuilt && Cloche.hasEnvironment("base-kernel-julia"),
            "base-kernel-julia is not built in the tests' store"))
    struct Julia {
        @Test(
            "a step in Julia runs in the environment that Orchest's image of that name maps to, and a failing one fails"
        )
        func step() throws {
            let project = try TestProject([
                .init(
                    file: "one.jl",
                    text: """
                        using LinearAlgebra, Dates, Random
                        parallel = sum(fetch.([Threads.@spawn i for i in 1:3]))
                        user = readchomp(`id -u`)
                        println("julia ", Int(det([6 0; 0 7])) , " ", parallel, " ", user, " ", basename(pwd()))

                        """),
                .init(file: "two.jl", text: "error(\"on purpose\")\n", after: [0]),
            ])
            let uuid = "00000000-0000-4000-8000-0000000000e3"
            try project.directory.write(
                """
                {"uuid": "\(uuid)", "name": "Julia", "language": "julia", "base_image": "orchest/base-kernel-julia",
                 "gpu_support": false}
                """, to: ".orchest/environments/\(uuid)/properties.json")
            try project.directory.write(
                try project.directory.read("main.orchest").replacingOccurrences(
                    of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\""), to: "main.orchest")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 1, "\(job.errors)")
            #expect(
                try Cloche.run("logs", "\(project.name)/0/one", "--raw").output == "julia 42 6 1000 project-dir\n")
            let failed = try Cloche.run("logs", "\(project.name)/0/two", "--raw").output
            #expect(failed.contains("ERROR: LoadError: on purpose"), "\(failed)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}
