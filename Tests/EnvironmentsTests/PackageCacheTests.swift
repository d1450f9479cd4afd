import LinuxSystem
import Snapshots
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct PackageCacheTests {
    static let path = "pool/main/h/hello/hello_1_amd64.deb"

    /// A cache, and the tree of a build.
    struct Setting {
        let store: EnvironmentStore
        let tree: FilePath
        var cache: PackageCache { store.packages }

        init(_ directory: FilePath) throws {
            store = try EnvironmentStore(directory: directory.appending("environments"))
            tree = directory.appending("tree")
            try Syscall.makeDirectories(tree.pushing("var/cache/apt/archives"), mode: 0o755)
        }

        func fetch(_ content: String, as name: String = "hello_1_amd64.deb") throws {
            try write("var/cache/apt/archives/" + name, content, tree)
        }

        /// Writes the list of what the metadata names into the tree.
        func list(_ packages: [(content: String, path: String)], in tree: FilePath? = nil) throws {
            let lines = packages.map { "\(digest($0.content)) \($0.content.utf8.count) \($0.path)\n" }
            try write("var/cache/apt/known", lines.joined(), tree ?? self.tree)
        }

        @discardableResult
        func take(learns: Bool, now: Int64 = 1000) throws -> Int {
            try cache.take(PackageTaking(tree: tree, metadata: "bookworm+main", learns: learns), now: now).count
        }

        /// What a build would see, by path.
        func shown() throws -> (files: [String: String], damaged: [String]) {
            let view = tree.removingLastComponent().appending("view")
            defer { try? empty(view) }
            let result = try cache.show(in: view)
            var files: [String: String] = [:]
            for path in try cache.index().map(\.path) { files[path] = try? text(view.pushing(FilePath(path))) }
            #expect(files.count == result.count)
            return (files, result.damaged)
        }

        var archives: [String] { get throws { try entries(cache.archives) } }
    }

    static func digest(_ text: String) -> String { digest(Array(text.utf8)) }

    static func digest(_ bytes: [UInt8]) -> String {
        var hash = StreamDigest()
        hash.add(bytes)
        return hash.hexadecimal
    }

    private static func with(_ body: (Setting) throws -> Void) throws {
        try withScratch { try body(try Setting($0)) }
    }

    @Test func `what the host's apt fetched and its metadata names is there for the next build`() throws {
        try Self.with { setting in
            #expect(try setting.shown().files.isEmpty)
            try setting.fetch("hello")
            try setting.fetch("not named", as: "other_1_amd64.deb")
            try setting.list([("hello", Self.path)])
            #expect(try setting.take(learns: true) == 1)
            #expect(try setting.shown().files == [Self.path: "hello"])
            #expect(try setting.archives == [Self.digest("hello")])
            #expect(try setting.take(learns: true) == 0)
        }
    }

    @Test func `a build's own list is not believed, nor a name without the bytes that belong to it`() throws {
        try Self.with { setting in
            try setting.fetch("hello")
            try setting.list([("hello", Self.path), ("later", "pool/main/l/later_1_all.deb")])
            try setting.take(learns: true)

            try setting.fetch("poison")
            try setting.list([("poison", Self.path)])
            #expect(try setting.take(learns: false) == 0)
            #expect(try setting.shown().files == [Self.path: "hello"])

            // What the metadata names is kept whatever the build calls it.
            try setting.fetch("later", as: "hello_1_amd64.deb")
            #expect(try setting.take(learns: false) == 1)
            #expect(try setting.shown().files == [Self.path: "hello", "pool/main/l/later_1_all.deb": "later"])
        }
    }

    @Test func `links, pipes and directories in the place of archives are passed over`() throws {
        try Self.with { setting in
            let secret = setting.tree.removingLastComponent().appending("secret")
            try Syscall.writeFile(secret, "secret".utf8)
            try setting.list([("secret", Self.path), ("inner", Self.path)])
            let archives = setting.tree.pushing("var/cache/apt/archives")
            try Syscall.symlink(secret, archives.appending("a.deb"))
            try Syscall.makeFIFO(archives.appending("b.deb"), mode: 0o644)
            try Syscall.makeDirectory(archives.appending("c.deb"), mode: 0o755)
            #expect(try setting.take(learns: true) == 0)

            // A directory that leads out of the tree is none of its own.
            try empty(archives)
            let outside = setting.tree.removingLastComponent().appending("outside")
            try Syscall.makeDirectory(outside, mode: 0o755)
            try write("a.deb", "secret", outside)
            try Syscall.symlink(outside, archives)
            #expect(try setting.take(learns: true) == 0)
            try Syscall.unlink(archives)
            #expect(try setting.take(learns: true) == 0)
            #expect(try setting.archives.isEmpty)
        }
    }

    @Test func `one bit that changed in a kept archive is noticed before a build sees it`() throws {
        try Self.with { setting in
            for content in ["hello", "world"] { try setting.fetch(content, as: content + ".deb") }
            try setting.list([("hello", Self.path), ("world", "pool/w_1_all.deb")])
            try setting.take(learns: true)
            let archive = setting.cache.archives.appending(Self.digest("hello"))
            let file = try Syscall.open(archive, O_RDWR)
            try Syscall.writeAll(file.number, "i".utf8)
            let shown = try setting.shown()
            #expect(shown.files == ["pool/w_1_all.deb": "world"] && shown.damaged == [Self.path])
            #expect(try setting.archives == [Self.digest("world")])
            // It is fetched, and kept, again.
            #expect(try setting.take(learns: true) == 1)
            #expect(try setting.shown().files.count == 2)
        }
    }

    @Test func `paths of the metadata stay in the directory of a build`() throws {
        let bad = ["../x.deb", "/x.deb", "pool//x.deb", "pool/./x.deb", "pool/x", "pool/\u{1}.deb", "a\n.deb", ""]
        for path in bad {
            #expect(KeptPackage(digest: Self.digest("")[...], size: "1", used: 0, path: path[...]) == nil, "\(path)")
        }
        #expect(KeptPackage(digest: Self.digest("")[...], size: "1", used: 0, path: Self.path[...]) != nil)
        for digest in ["", "../" + Self.digest("").dropFirst(3), Self.digest("").uppercased()] {
            #expect(KeptPackage(digest: digest[...], size: "1", used: 0, path: Self.path[...]) == nil)
        }
    }

    @Test func `beyond the limit the packages go that were not used for the longest time`() throws {
        let packages = try (0..<4).map { number in
            try #require(
                KeptPackage(
                    digest: Self.digest("\(number)")[...], size: "10", used: Int64(number == 0 ? 9 : number),
                    path: "pool/\(number).deb"))
        }
        #expect(PackageCache.bounded(packages, limit: 25).map(\.path) == ["pool/0.deb", "pool/3.deb"])
        #expect(PackageCache.bounded(packages).count == 4)
    }

    @Test func `what a taking that was cut off has left goes with the next change`() throws {
        try Self.with { setting in
            try setting.fetch("hello")
            try setting.list([("hello", Self.path)])
            try setting.take(learns: true)
            for name in ["incoming", Self.digest("torn")] { try write(name, "half", setting.cache.archives) }
            try setting.take(learns: true)
            #expect(try setting.archives == [Self.digest("hello")])
            let (count, bytes) = try setting.cache.removeAll()
            #expect(count == 1 && bytes == 5)
            #expect(try setting.archives.isEmpty && setting.shown().files.isEmpty)
        }
    }

    @Test(arguments: [0, 1] as [Int32])
    func `what a set-up script fetched is kept, also when it fails: the next attempt need not fetch it again`(
        status: Int32
    ) throws {
        try withScratch { directory in
            let setting = try Setting(directory)
            try setting.list([("hello", Self.path)])
            try setting.take(learns: true)
            let tests = try EnvironmentBuilderTests()
            let builder = try EnvironmentBuilderTests.builder(
                directory,
                FakeExecutor { command, _ in
                    guard case .layers(_, let upper, _) = command.root else { return CommandOutcome(status: 0) }
                    try write("var/cache/apt/archives/any.deb", "hello", upper)
                    try write("var/cache/apt/archives/other.deb", "poison", upper)
                    return CommandOutcome(status: status)
                })
            let record = try builder.build(tests.base, isCancelled: { false }, report: { _ in })
            _ = try? builder.build(
                try EnvironmentBuilderTests.project("apt-get install hello"), on: record, recipe: tests.base.recipe,
                key: try #require(EnvironmentName("p-u-1")), project: nil, isCancelled: { false }, report: { _ in })
            #expect(try setting.shown().files == [Self.path: "hello"])
        }
    }

    @Test func `what was fetched before a base was cut off is kept: by its own metadata, else by what is known`() throws
    {
        try withScratch { directory in
            let setting = try Setting(directory)
            let tests = try EnvironmentBuilderTests()
            let executor = FakeExecutor()
            let builder = try EnvironmentBuilderTests.builder(directory, executor)
            func build(_ content: String, listing: [(content: String, path: String)]?) {
                executor.fetch = { tree in
                    try write("var/cache/apt/archives/any.deb", content, tree)
                    try write("var/cache/apt/archives/partial/other.deb", "later", tree)
                    if let listing { try setting.list(listing, in: tree) }
                    return CommandOutcome(status: 130)
                }
                #expect(throws: BuildError.self) {
                    try builder.build(tests.base, refresh: true, isCancelled: { false }, report: { _ in })
                }
            }
            let later = (content: "later", path: "pool/main/l/later_1_all.deb")
            build("hello", listing: nil)
            #expect(try setting.shown().files.isEmpty)
            build("hello", listing: [("hello", Self.path), later])
            #expect(try setting.shown().files == [Self.path: "hello"])
            build("later", listing: nil)
            #expect(try setting.shown().files == [Self.path: "hello", later.path: "later"])
        }
    }

    @Test func `a base fetches with what is kept, and keeps what it fetched before any script ran`() throws {
        let host = fakeHost(BuildConfigurationTests.files)
        let configuration = BuildConfiguration(
            settings: HostSettings(host: host, variables: [:]), host: host, suite: "bookworm", components: ["main"],
            hasPackages: true)
        let plan = BuildPlan.base(
            try BuildPlanTests.recipe(), configuration: configuration, paths: BuildPlanTests.paths)
        let fetch = try BuildPlanTests.namespace(plan.steps.first)
        #expect(fetch.binds.last == BuildMount("/store/staging/1/packages", at: "/srv"))
        guard case .packages(let taking) = plan.steps[1].command, case .sandbox = plan.steps[2].command else {
            Issue.record("packages are not kept right after they were fetched")
            return
        }
        #expect(
            taking == PackageTaking(tree: "/store/staging/1/tree", metadata: "bookworm+main+contrib", learns: true))
        let project = BuildPlan.project(
            variables: [:], layers: ["/b/1"], project: nil, configuration: configuration, paths: BuildPlanTests.paths,
            keeping: "bookworm+main")
        guard case .packages(let taking) = project.steps[1].command else {
            Issue.record("packages are not kept")
            return
        }
        #expect(!taking.learns)
        let setup = try BuildPlanTests.sandbox(project.steps.first)
        #expect(setup.binds.last == BuildMount("/store/staging/1/packages", at: "/run/cloche-packages"))
        #expect(setup.scratch.isEmpty)
    }

    @Test func `apt is told of the kept packages before each mirror, and where it finds both`() throws {
        let host = fakeHost(BuildConfigurationTests.files)
        func files(_ hasPackages: Bool) -> [String: String] {
            BuildConfiguration(
                settings: HostSettings(host: host, variables: [:]), host: host, suite: "bookworm", components: ["main"],
                hasPackages: hasPackages
            ).files.mapValues { String(decoding: $0, as: UTF8.self) }
        }
        let with = files(true)
        #expect(with["debian.sources"]?.contains("URIs: mirror+file:/run/cloche/mirrors/sandbox-1.list\n") == true)
        #expect(with["fetch.sources"]?.contains("URIs: mirror+file:/media/mirrors/fetch-1.list\n") == true)
        let mirror = "https://u:hidden@m.example/debian\tpriority:2\n"
        #expect(
            with["mirrors/sandbox-1.list"] == "copy:/run/cloche-packages\ttype:deb\tpriority:1\n" + mirror)
        #expect(with["mirrors/fetch-1.list"] == "copy:/srv\ttype:deb\tpriority:1\n" + mirror)
        #expect(files(false)["debian.sources"]?.contains("URIs: https://u:hidden@m.example/debian\n") == true)
    }
}
