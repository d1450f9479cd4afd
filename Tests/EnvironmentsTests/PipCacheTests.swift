import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct PipCacheTests {
    /// A cache, an index, and the tree of a build.
    struct Setting {
        let index: TestIndex
        let store: EnvironmentStore
        let tree: FilePath, view: FilePath

        init(_ directory: FilePath) throws {
            index = try TestIndex(in: directory)
            store = try EnvironmentStore(directory: directory.appending("environments"))
            tree = directory.appending("tree")
            view = directory.appending("view")
        }

        func take() throws -> Int {
            try store.packages.take(
                PipTaking(tree: tree, command: PipCacheTests.command), settings: index.settings,
                scratch: tree.removingLastComponent(), now: 1000, isCancelled: { false }
            ).count
        }

        /// What a build with this project would say, with what is kept now.
        func install(_ project: String) throws -> String {
            try? empty(view)
            _ = try store.packages.show(in: view)
            try? empty(tree)
            try? empty(view.removingLastComponent().appending("got"))
            return try index.install(project, view: view, tree: tree)
        }

        /// Writes a log such as a hostile build leaves.
        func forge(_ project: String, link: String? = nil) throws {
            let name = "\(project)-1.0-py3-none-any.whl"
            let time = "2026-01-01T00:00:00,000 "
            try? empty(tree)
            try write(
                "var/log/cloche-pip.log",
                """
                \(time)Using pip 23.0.1 from /x (python 3.11)
                \(time)  Found link \(link ?? index.file(name)) (from \(index.address)/\(project)/), version: 1.0
                \(time)  Downloading \(name) (1 kB)

                """, tree)
        }

        var kept: [String] { get throws { try entries(store.packages.archives) } }
        /// Requests for files.
        var fetches: Int { get throws { try index.requests.count { $0.hasPrefix("/files/") } } }
    }

    static let command = SandboxCommand(
        root: .tree("/t"), arguments: [], variables: [:], workingDirectory: "/", binds: [], scratch: [],
        network: .outbound(reachable: []), timeLimit: .seconds(1))

    private static func with(_ body: (Setting) throws -> Void) throws {
        try withScratch { try body(try Setting($0)) }
    }

    @Test func `names are SHA-224 of addresses`() {
        #expect(SHA224.hexadecimal([]) == "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f")
        #expect(SHA224.hexadecimal(Array("abc".utf8)) == "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7")
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
        #expect(SHA224.hexadecimal(Array(long.utf8)) == "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525")
    }

    @Test func `paths are those of pip's forms, and nothing else is one`() throws {
        #expect(PipForm(release: "23.2.1") == .joined && PipForm(release: "20.0") == .joined)
        #expect(PipForm(release: "23.3") == .divided && PipForm(release: "26.3.1") == .divided)
        for form in [PipForm.joined, .divided] {
            let path = form.path(of: "https://a.example/x.whl")
            #expect(KeptPackage(digest: PackageCacheTests.digest("")[...], size: "1", used: 0, path: path[...]) != nil)
            for bad in [
                path + "/x", "x" + path, path.replacing("pip/", with: "../"), path.uppercased(),
                String(path.dropLast()),
                path.replacing(form.rawValue, with: "wheels"), "pip/http/../../../../../x",
            ] {
                #expect(!PipForm.isPath(bad[...]), "\(bad)")
            }
        }
    }

    @Test func `a log tells which files were used, of which page, by which pip`() {
        let log = PipLog(
            Array(
                """
                2026-11-28T20:49:21,205 Using pip 23.0.1 from /x/pip (python 3.11)
                2026-11-28T20:49:21,205   Found link https://f.example/a%2B1-1.0-py3-none-any.whl#sha256=00 (from https://u:****@i.example/simple/a/), version: 1
                2026-11-28T20:49:21,205   Found link https://f.example/a-0.9.tar.gz (from https://i.example/simple/a/), version: 0.9
                2026-11-28T20:49:21,205   Downloading https://f.example/a%2B1-1.0-py3-none-any.whl (1 kB)
                2026-11-28T20:49:21,205 Using pip 26.3 from /x/pip (python 3.11)
                2026-11-28T20:49:21,205   Found link https://f.example/b-2.whl (from https://i.example/simple/b/), version: 2
                2026-11-28T20:49:21,205   Using cached b-2.whl.metadata (2 kB)
                2026-11-28T20:49:21,205   Using cached b-2.whl (1 kB)
                Downloading
                """.utf8))
        let page = "https://i.example/simple/"
        #expect(
            log.uses == [
                .init(address: "https://f.example/a%2B1-1.0-py3-none-any.whl", page: page + "a/", form: .joined),
                .init(address: "https://f.example/b-2.whl", page: page + "b/", form: .divided),
                .init(address: "https://f.example/b-2.whl.metadata", page: page + "b/", form: .divided),
            ])
    }

    @Test func `pages promise digests in both of their forms`() {
        let digest = PackageCacheTests.digest("x")
        let json = """
            {"files": [{"url": "https://f.example/a%2B1.whl", "hashes": {"sha256": "\(digest)"},
            "core-metadata": {"sha256": "\(digest)"}}, {"url": "/b.whl", "hashes": {"md5": "0"}, "core-metadata": true}]}
            """
        let first = IndexPage(Array(json.utf8), type: "application/json", address: "https://i.example/simple/a/")
        #expect(first["https://f.example/a+1.whl"] == digest && first["https://f.example/a%2B1.whl.metadata"] == digest)
        #expect(first.digests.count == 2)
        let html = """
            <a data-core-metadata="sha256=\(digest)" href="../../files/a.whl?x=1&amp;y=2#sha256=\(digest)">a</a>
            <a href='b.whl#md5=00'>b</a><a href=>c</a><a>
            """
        let second = IndexPage(Array(html.utf8), type: "text/html", address: "https://i.example/simple/a/")
        #expect(second["https://i.example/files/a.whl?x=1&y=2"] == digest && second.digests.count == 2)
        #expect(IndexPage.resolve("../../../../x", at: "https://i.example/a/") == "https://i.example/x")
        #expect(IndexPage.resolve("//o.example/x", at: "https://i.example/a/") == "https://o.example/x")
        #expect(
            IndexPage(Array("{\"files\": 1}".utf8), type: "application/json", address: "https://i/").digests.isEmpty)
    }

    @Test(.enabled(if: TestIndex.isPossible, "needs python3, curl and pip"))
    func `what pip fetched serves the next build, which fetches the page alone`() throws {
        try Self.with { setting in
            try setting.index.offer("alpha", "value = 1")
            #expect(try setting.install("alpha").contains("Downloading"))
            #expect(try setting.take() == 1)
            let fetches = try setting.fetches
            #expect(fetches == 2)
            let said = try setting.install("alpha")
            #expect(
                said.contains("Using cached \(setting.index.file("alpha-1.0-py3-none-any.whl"))")
                    && said.contains("Saved"), "\(said)")
            #expect(try setting.take() == 0)
            #expect(try setting.fetches == fetches)
            #expect(try setting.store.packages.removeAll().count == 1)
        }
    }

    @Test(.enabled(if: TestIndex.isPossible, "needs python3, curl and pip"))
    func `pip itself refuses what is not what its index promises, wherever it comes from`() throws {
        try Self.with { setting in
            try setting.index.offer("alpha", "value = 1")
            _ = try setting.install("alpha")
            #expect(try setting.take() == 1)
            // The index offers another file under the same address now.
            try setting.index.offer("alpha", "value = 2")
            let said = try setting.install("alpha")
            #expect(said.contains("DO NOT MATCH THE HASHES") && !said.contains("Saved"), "\(said)")
        }
    }

    @Test(.enabled(if: TestIndex.isPossible, "needs python3 and curl"))
    func `no build can have anything kept that its index does not promise`() throws {
        try Self.with { setting in
            // The bytes are not those that are promised.
            try setting.index.offer("alpha", "value = 1", digest: PackageCacheTests.digest("other"))
            try setting.forge("alpha")
            #expect(try setting.take() == 0)
            #expect(try setting.kept.isEmpty)

            // The page does not name the file that the log does: it is not even asked for.
            try setting.index.offer("beta", "value = 1")
            let fetches = try setting.fetches
            for link in [
                setting.index.file("gamma-1.0-py3-none-any.whl"), "https://evil.example/beta-1.0-py3-none-any.whl",
                "file:///etc/passwd/beta-1.0-py3-none-any.whl",
            ] {
                try setting.forge("beta", link: link)
                #expect(try setting.take() == 0, "\(link)")
            }
            #expect(try setting.fetches == fetches)

            // Another index than that of the host's pip promises nothing.
            try setting.forge("beta")
            let count = try setting.index.requests.count
            let taking = PipTaking(tree: setting.tree, command: Self.command)
            var settings = setting.index.settings
            settings.pip["index-url"] = "https://127.0.0.1:9/simple"
            let other = try setting.store.packages.take(
                taking, settings: settings, scratch: setting.tree.removingLastComponent(), now: 1,
                isCancelled: { false })
            #expect(try other.count == 0 && setting.index.requests.count == count)
            #expect(try setting.take() == 1)
        }
    }

    @Test(.enabled(if: TestIndex.isPossible, "needs python3 and curl"))
    func `links, pipes and directories in the place of the log are passed over`() throws {
        try Self.with { setting in
            try setting.index.offer("alpha", "value = 1")
            try setting.forge("alpha")
            let log = setting.tree.pushing("var/log/cloche-pip.log")
            let outside = setting.tree.removingLastComponent().appending("outside")
            try Syscall.rename(log, to: outside)
            try Syscall.symlink(outside, log)
            #expect(try setting.take() == 0)
            try Syscall.unlink(log)
            try Syscall.makeFIFO(log, mode: 0o644)
            #expect(try setting.take() == 0)
            try Syscall.unlink(log)
            try Syscall.makeDirectory(log, mode: 0o755)
            #expect(try setting.take() == 0)
            #expect(try setting.index.requests.isEmpty)
        }
    }

    @Test(.enabled(if: TestIndex.isPossible, "needs python3 and curl"), arguments: [true, false])
    func `where builds have no network, nobody asks an index for them`(isOnline: Bool) throws {
        try Self.with { setting in
            try setting.index.offer("alpha", "value = 1")
            try setting.forge("alpha")
            let log = try Syscall.readFile(setting.tree.pushing("var/log/cloche-pip.log"), limit: 1 << 20)
            let executor = FakeExecutor { command, _ in
                guard case .layers(_, let upper, _) = command.root else { return CommandOutcome(status: 0) }
                try write("var/log/cloche-pip.log", String(decoding: log, as: UTF8.self), upper)
                return CommandOutcome(status: 0)
            }
            executor.isOnline = isOnline
            let host = fakeHost(BuildConfigurationTests.files)
            let builder = EnvironmentBuilder(
                store: setting.store, executor: executor, host: host,
                settings: HostSettings(host: host, variables: ["PIP_INDEX_URL": setting.index.address]),
                digest: { "\($0.count)" }, now: { 1_700_000_000 })
            let tests = try EnvironmentBuilderTests()
            let record = try builder.build(tests.base, isCancelled: { false }, report: { _ in })
            _ = try builder.build(
                try EnvironmentBuilderTests.project("pip install alpha"), on: record, recipe: tests.base.recipe,
                key: try #require(EnvironmentName("p-u-1")), project: nil, isCancelled: { false }, report: { _ in })
            #expect(try setting.index.requests.isEmpty == !isOnline)
            #expect(try setting.kept.count == (isOnline ? 1 : 0))
        }
    }
}
