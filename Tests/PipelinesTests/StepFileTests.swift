import Testing

@testable import Pipelines

struct StepFileTests {
    @Test(arguments: [
        ("a.py", "", "a.py"), ("./a.py", "", "a.py"), ("a//b/./c.py", "", "a/b/c.py"), ("a.py", "sub/x", "sub/x/a.py"),
        ("../a.py", "sub", "a.py"), ("../sub/../a.py", "sub/x", "sub/a.py"), ("b/../a.py", "", "a.py"),
        ("..a.py", "", "..a.py"), ("a b\\c.py", "", "a b\\c.py"),
    ])
    func `paths are those of the pipeline's directory`(path: String, directory: String, expected: String) throws {
        #expect(try StepFile.resolve(path, in: directory) == .project(expected))
        #expect(try StepFile.resolve(path, in: directory).sandboxPath == "/project-dir/\(expected)")
    }

    @Test(arguments: [
        ("/data/a.py", "/data/a.py"), ("/data/./b//../a.py", "/data/a.py"), ("/data/x/..a", "/data/x/..a"),
    ])
    func `absolute paths lie below the data directory`(path: String, expected: String) throws {
        #expect(try StepFile.resolve(path, in: "sub") == .data(expected))
    }

    @Test(
        arguments: [
            ("", "", .empty), ("a\0.py", "", .containsNUL), (String(repeating: "a/", count: 3000) + "b", "", .tooLong),
            ("a/", "", .namesDirectory), ("a/..", "", .namesDirectory), ("..", "sub", .namesDirectory),
            (".", "", .namesDirectory), ("/etc/passwd", "", .absolute), ("/database/x.py", "", .absolute),
            ("//data/x.py", "", .absolute), ("../a.py", "", .leavesProject), ("b/../../a.py", "", .leavesProject),
            ("../../sub/a.py", "sub", .leavesProject), ("/data/../etc/passwd", "", .leavesData),
            ("/data", "", .namesDirectory), ("/data/.", "", .namesDirectory),
        ] as [(String, String, StepFile.Problem)])
    func `other paths are refused`(path: String, directory: String, problem: StepFile.Problem) {
        #expect(throws: problem) { try StepFile.resolve(path, in: directory) }
    }

    @Test(
        arguments: [
            ("a.ipynb", .notebook), ("a.PY", .python), ("a.R", .r), ("a.r", .r), ("a.sh", .shell), ("a", .shell),
            (".hidden", .shell), ("a.", .shell), ("a.jl", .julia), ("a.js", .javascript), ("a.tar.py", .python),
            ("a.txt", nil), ("a.py.bak", nil), ("a.ts", nil),
        ] as [(String, StepFileType?)])
    func `the extension decides how a file is run`(name: String, type: StepFileType?) {
        #expect(StepFileType(name: name) == type)
    }
}

struct PipelineCheckTests {
    private func check(_ steps: [(String, JSONValue)], _ project: ProjectListing) throws -> [Diagnostic] {
        try Samples.pipeline(Samples.document(steps), file: "sub/main.orchest").check(against: project)
    }

    private let project = ProjectListing(
        files: ["sub/train.py", "sub/a.ipynb", "sub/dir/x", "top.R"],
        environments: [Samples.environment: "Python 3"]
    )

    @Test func `a pipeline whose files and environments are there has no problems`() throws {
        let steps = [
            Samples.step(1, title: "A", file: "train.py"), Samples.step(2, title: "B", file: "a.ipynb"),
            Samples.step(3, title: "C", file: "../top.R"), Samples.step(4, title: "D", file: "train.py"),
            Samples.step(5, title: "E", file: "/data/not/there/yet.py"),
        ]
        #expect(try check(steps, project) == [])
    }

    @Test func `what is missing is told with what is near`() throws {
        let steps = [
            Samples.step(1, title: "A", file: "trian.py"), Samples.step(2, title: "B", file: "dir"),
            Samples.step(3, title: "C", file: "nowhere/x.py"), Samples.step(4, title: "D", file: "train.txt"),
            Samples.step(5, title: "E", file: "quite/../different.sh"),
        ]
        let found = try check(steps, project)
        let references = (1...5).map { "`\(Array("ABCDE")[$0 - 1])` (\(Samples.uuid($0)))" }
        #expect(
            found.map(\.message) == [
                "the file of the step \(references[0]) does not exist: `sub/trian.py`",
                "the file of the step \(references[1]) is a directory: `sub/dir`",
                "the file of the step \(references[2]) does not exist: `sub/nowhere/x.py`",
                "the step \(references[3]) has a file with an extension that cannot be run: `train.txt`",
                "the file of the step \(references[3]) does not exist: `sub/train.txt`",
                "the file of the step \(references[4]) does not exist: `sub/different.sh`",
            ]
        )
        #expect(found[0].hint == "did you mean `train.py`?")
        #expect(found[2].hint == "there is no directory `sub/nowhere`")
        #expect(found[3].hint?.contains(".ipynb, .py, .R, .sh, .jl, .js") == true)
        #expect(found[5].hint == nil)
        #expect(found.allSatisfy { $0.file == "sub/main.orchest" && $0.line != nil && $0.column != nil })
    }

    @Test func `a link into the data directory is left to the sandbox`() throws {
        let project = ProjectListing(environments: [Samples.environment: "P"]) { _ in .symlink }
        #expect(try check([Samples.step(1, title: "A", file: "a.py")], project) == [])
    }

    @Test(
        "a file that a step would not find, or not be able to read, is told where it is named",
        arguments: [
            (.outside(link: "/etc/hostname"), .error, "leads out of the project by the link to `/etc/hostname`"),
            (.dangling(link: "b.py"), .error, "is a link to `b.py`, which does not exist"),
            (.unreadable, .warning, "may not be read by its owner"),
        ] as [(ProjectListing.Kind, Diagnostic.Severity, String)])
    func unusableFiles(kind: ProjectListing.Kind, severity: Diagnostic.Severity, message: String) throws {
        let project = ProjectListing(environments: [Samples.environment: "P"]) { _ in kind }
        let found = try check([Samples.step(1, title: "A", file: "a.py")], project)
        #expect(found.map(\.severity) == [severity])
        #expect(found.first?.message.contains(message) == true, "\(found)")
        #expect(found.first?.message.hasSuffix(": `sub/a.py`") == true)
        #expect(found.first?.line != nil && found.first?.hint != nil)
    }

    @Test func `two steps may share a script but not a notebook`() throws {
        let found = try check(
            [
                Samples.step(1, title: "A", file: "a.ipynb"), Samples.step(2, title: "B", file: "./dir/../a.ipynb"),
                Samples.step(3, title: "C", file: "train.py"), Samples.step(4, title: "D", file: "train.py"),
            ],
            project
        )
        #expect(found.count == 1)
        #expect(found.first?.message.contains("share the notebook `sub/a.ipynb`") == true)
    }

    @Test func `an environment must be chosen and known`() throws {
        let steps = [
            Samples.step(1, title: "A", file: "train.py", environment: ""),
            Samples.step(2, title: "B", file: "train.py", environment: Samples.uuid(99)),
        ]
        let found = try check(steps, project)
        #expect(found.map(\.severity) == [.error, .error])
        #expect(found.allSatisfy { $0.hint == "set `environment` to one of \(Samples.environment) (`Python 3`)" })
    }

    @Test func `an environment that cannot be used is told once with what is wrong, and not as if there were none`()
        throws
    {
        let steps = [
            Samples.step(1, title: "A", file: "train.py"), Samples.step(2, title: "B", file: "train.py"),
            Samples.step(3, title: "C", file: "train.py", environment: Samples.uuid(99)),
        ]
        let problem = Diagnostic(file: "properties.json", message: "it is wrong")
        let project = ProjectListing(
            environments: [:], unusableEnvironments: [Samples.environment: [problem]], kind: { _ in .file })
        let found = try check(steps, project)
        #expect(found.map(\.severity) == [.error, .error])
        #expect(found.first?.message.contains("which the project does not have") == true)
        #expect(found.last == problem)
        #expect(throws: InvalidDocument(problem)) { try project.requireUsableEnvironments() }
    }

    @Test func `a project without environments needs none chosen`() throws {
        let steps = [
            Samples.step(1, title: "A", file: "train.py", environment: ""),
            Samples.step(2, title: "B", file: "train.py", environment: Samples.uuid(99)),
        ]
        let found = try check(steps, ProjectListing(files: ["sub/train.py"], environments: [:]))
        #expect(found.map(\.severity) == [.warning])
    }
}
