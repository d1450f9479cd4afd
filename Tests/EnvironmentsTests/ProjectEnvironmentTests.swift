import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct ProjectEnvironmentTests {
    static let uuid = "e0000000-0000-4000-8000-000000000001"
    static let place = ".orchest/environments/" + uuid
    static let good = """
        {
          "uuid": "\(uuid)",
          "name": "Python 3",
          "language": "python",
          "base_image": "orchest/base-kernel-py",
          "gpu_support": false
        }
        """

    static func read(_ directory: FilePath) throws -> ProjectEnvironment {
        let project = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        return try ProjectEnvironment.read(try #require(EnvironmentName(uuid)), project: project.number)
    }

    @Test func `an environment of a project is read, with or without a script`() throws {
        try withScratch { directory in
            try write(Self.place + "/properties.json", Self.good, directory)
            #expect(try Self.read(directory).setupScript.isEmpty)
            try write(Self.place + "/setup_script.sh", "pip install x", directory)
            let environment = try Self.read(directory)
            #expect(environment.title == "Python 3")
            #expect(environment.baseImage == "orchest/base-kernel-py")
            #expect(environment.needsBuild)
        }
    }

    /// What is changed in the good one, to what, and what is said.
    static let mistakes: [(String, String, String)] = [
        ("gpu_support", "gpu_suport", "6:3: `gpu_suport` of the environment is not known"),
        ("base_image", "base_img", "5:3: `base_img` of the environment is not known"),
        ("0001\"", "0002\"", "2:11: the `uuid` of the environment is"),
        ("\"uuid\"", "\"identity\"", "1:1: the environment has no `uuid`"),
        ("\"python\"", "\"cobol\"", "4:15: the `language` of the environment is `cobol`"),
        ("\"name\"", "\"called\"", "1:1: the environment has no `name`"),
        ("\"Python 3\"", "3", "3:11: `name` of the environment must be a string, not `3`"),
        ("false", "false,", "6:23: a comma before `}`"),
        ("\"Python 3\",", "\"Python 3\"", "properties.json:"),
        (good, "[]", "1:1: the description of an environment must be an object"),
        (good, "{", "properties.json:1:"),
        (good, String(repeating: "[", count: 60000), "properties.json:1:"),
    ]

    @Test(arguments: mistakes)
    func `properties that are not right are refused with the place`(
        part: String, change: String, reason: String
    ) throws {
        let properties = Self.good.replacing(part, with: change)
        try withScratch { directory in
            try write(Self.place + "/properties.json", properties, directory)
            let error = try #require(throws: ProjectEnvironmentError.self) { try Self.read(directory) }
            #expect(error.description.contains(reason), "\(error)")
            let lines = error.description.split(separator: "\n")
            #expect(lines.allSatisfy { $0.hasPrefix("\(Self.place)/properties.json:") }, "\(error)")
        }
    }

    @Test func `keys of another program do no harm`() throws {
        try withScratch { directory in
            let more = Self.good.replacing("false", with: "false,\n  \"created\": {\"by\": [\"another\", 1]}")
            try write(Self.place + "/properties.json", more, directory)
            #expect(try Self.read(directory).title == "Python 3")
        }
    }

    @Test func `links out of the project, pipes and large files are not read`() throws {
        try withScratch { directory in
            try write("outside", "secret", directory)
            try write("p/\(Self.place)/properties.json", Self.good, directory)
            let script = directory.appending(FilePath("p/\(Self.place)/setup_script.sh").components)
            let project = directory.appending("p")
            try Syscall.symlink("../../../../outside", script)
            #expect(throws: ProjectEnvironmentError.self) { try Self.read(project) }
            try Syscall.unlink(script)
            #expect(mkfifo(script.string, 0o644) == 0)
            #expect(throws: ProjectEnvironmentError.self) { try Self.read(project) }
            try Syscall.unlink(script)
            let file = try Syscall.open(script, O_WRONLY | O_CREAT, mode: 0o644)
            try Syscall.truncate(file.number, to: 1 << 40)
            #expect(throws: ProjectEnvironmentError.self) { try Self.read(project) }
        }
    }

    @Test(arguments: [".orchest", ".orchest/environments", place], [true, false])
    func `a directory on the way that is a link is not followed, wherever it leads`(
        link: String, staysInside: Bool
    ) throws {
        try withScratch { directory in
            let project = directory.appending("p")
            let real = (staysInside ? project : directory).appending("real")
            let rest = FilePath(String(Self.place.dropFirst(link.count + 1)))
            try write("properties.json", Self.good, rest.isEmpty ? real : real.pushing(rest))
            let place = project.pushing(FilePath(link))
            try Syscall.makeDirectories(place.removingLastComponent(), mode: 0o755)
            let up = String(repeating: "../", count: FilePath(link).components.count - (staysInside ? 1 : 0))
            try Syscall.symlink(FilePath(up + "real"), place)
            // The test itself is right: followed, the link leads to the file.
            #expect(Syscall.exists(project.pushing(FilePath(Self.place + "/properties.json"))))
            let error = try #require(throws: ProjectEnvironmentError.self) { try Self.read(project) }
            guard case .system(let cause) = error else {
                Issue.record("\(error)")
                return
            }
            #expect([Errno.tooManySymbolicLinkLevels, .improperLink].contains(cause.errno), "\(cause)")
        }
    }
}
