import SystemPackage
import Testing

@testable import Environments

@Suite struct BuildPlanTests {
    static let paths = BuildPaths(staging: "/store/staging/1")

    static func recipe() throws -> Recipe {
        try Recipe(reading: Array(RecipeTests.good.utf8), file: "e.yaml")
    }

    static func sandbox(_ step: BuildPlan.Step?) throws -> SandboxCommand {
        guard case .sandbox(let command) = try #require(step).command else { throw NotASandbox() }
        return command
    }

    static func namespace(_ step: BuildPlan.Step?) throws -> NamespaceCommand {
        guard case .namespace(let command) = try #require(step).command else { throw NotASandbox() }
        return command
    }

    struct NotASandbox: Error {}

    @Test func `a base is fetched, configured, scripted, cleaned and listed`() throws {
        let plan = BuildPlan.base(
            try Self.recipe(), configuration: BuildConfigurationTests.configuration(), paths: Self.paths)
        #expect(plan.stages == [.fetch, .configure, .script("setup.sh"), .clean, .inspect])
    }

    @Test func `fetching unpacks without running package scripts and shows no credentials in its arguments`() throws {
        let configuration = BuildConfigurationTests.configuration()
        let plan = BuildPlan.base(try Self.recipe(), configuration: configuration, paths: Self.paths)
        let fetch = try Self.namespace(plan.steps.first)
        #expect(fetch.arguments.first == "mmdebstrap")
        #expect(fetch.arguments.contains("--variant=extract"))
        #expect(fetch.arguments.suffix(3) == ["bookworm", "/mnt", "/media/fetch.sources"])
        #expect(fetch.directory == "/store/staging/1/tree")
        #expect(fetch.binds == [BuildMount("/store/staging/1/configuration", at: "/media")])
        for secret in configuration.secrets {
            #expect(!fetch.arguments.joined(separator: " ").contains(secret))
            #expect(!fetch.arguments.joined().contains("example"))
        }
    }

    @Test func `package scripts run in the sandbox and reach no network`() throws {
        let plan = BuildPlan.base(
            try Self.recipe(), configuration: BuildConfigurationTests.configuration(), paths: Self.paths)
        let configure = try Self.sandbox(plan.steps.first { $0.stage == .configure })
        #expect(configure.root == .tree("/store/staging/1/tree"))
        #expect(configure.network == .none)
        #expect(configure.arguments.suffix(5) == ["configure", "apt", "python3", "g++", "libc6-dev"])
        #expect(configure.variables["DEBIAN_FRONTEND"] == "noninteractive")
    }

    @Test func `a recipe's script finds its folder and may reach the configured mirrors`() throws {
        let plan = BuildPlan.base(
            try Self.recipe(), configuration: BuildConfigurationTests.configuration(), paths: Self.paths)
        let script = try Self.sandbox(plan.steps.first { $0.stage == .script("setup.sh") })
        #expect(script.arguments.last == "/environment/setup.sh")
        #expect(script.binds.contains(BuildMount("/store/staging/1/recipe", at: "/environment")))
        #expect(script.network == .outbound(reachable: ["m.example", "proxy.example", "pypi.example"]))
        #expect(script.variables["LANG"] == "C.UTF-8")
    }

    @Test func `a set-up script runs on the base's layers and what it writes to the project is thrown away`() throws {
        let plan = BuildPlan.project(
            variables: ["BASH_ENV": "/home/jovyan/.orchestrc", "HOME": "/home/jovyan"], layers: ["/b/2", "/b/1"],
            project: "/snapshots/p", configuration: BuildConfigurationTests.configuration(), paths: Self.paths)
        let setup = try Self.sandbox(plan.steps.first)
        #expect(plan.stages == [.setup, .clean, .inspect])
        #expect(
            setup.root
                == .layers(["/b/2", "/b/1"], upper: "/store/staging/1/tree", work: "/store/staging/1/work"))
        #expect(setup.workingDirectory == "/project-dir")
        #expect(setup.scratch == [BuildMount("/snapshots/p", at: "/project-dir")])
        #expect(setup.binds.allSatisfy { $0.target == "/run/cloche" })
        #expect(setup.variables["BASH_ENV"] == "/run/cloche/prolog.bash")
        #expect(setup.variables["HOME"] == "/home/jovyan")
    }

    @Test func `cleaning follows no link, stays on one mount and spares the whiteouts of a layer`() throws {
        for isBase in [true, false] {
            let steps = BuildPlan.cleaning(Self.paths, isBase: isBase)
            let clean = try Self.namespace(steps.first)
            #expect(clean.arguments.starts(with: ["find", "-P", "/mnt", "-xdev", "-depth"]))
            #expect(clean.arguments.contains("c") == !isBase)
            #expect(clean.arguments.contains("/mnt/etc/apt/sources.list.d/*") == isBase)
        }
    }
}
