import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct ProjectEnvironmentTests {
    static let good =
        #"{"uuid":"u-1","name":"Python 3","language":"python","base_image":"orchest/base-kernel-py","gpu_support":false}"#

    static func read(_ directory: FilePath, _ name: String = "u-1") throws -> ProjectEnvironment {
        let project = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        return try ProjectEnvironment.read(try #require(EnvironmentName(name)), project: project.number)
    }

    @Test func `an environment of a project is read, with or without a script`() throws {
        try withScratch { directory in
            try write(".orchest/environments/u-1/properties.json", Self.good, directory)
            #expect(try Self.read(directory).setupScript.isEmpty)
            try write(".orchest/environments/u-1/setup_script.sh", "pip install x", directory)
            let environment = try Self.read(directory)
            #expect(environment.title == "Python 3")
            #expect(environment.baseImage == "orchest/base-kernel-py")
            #expect(environment.needsBuild)
        }
    }

    @Test(
        arguments: [
            (good.replacing("gpu_support", with: "gpu_suport"), "did you mean `gpu_support`?"),
            (good.replacing("u-1", with: "u-2"), "`uuid` is `u-2`"),
            (good.replacing("python\"", with: "cobol\""), "`cobol` is not a language"),
            (good.replacing("\"name\":\"Python 3\",", with: ""), "`name` is missing"),
            (good.replacing("\"Python 3\"", with: "3"), "`name` has a value of the wrong type"),
            ("[]", "not an object"), ("{", "not valid JSON"), (String(repeating: "[", count: 60000), "not"),
        ])
    func `properties that are not right are refused`(properties: String, reason: String) throws {
        try withScratch { directory in
            try write(".orchest/environments/u-1/properties.json", properties, directory)
            let error = try #require(throws: ProjectEnvironmentError.self) { try Self.read(directory) }
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test func `links out of the project, pipes and large files are not read`() throws {
        try withScratch { directory in
            try write("outside", "secret", directory)
            try write("p/.orchest/environments/u-1/properties.json", Self.good, directory)
            let script = directory.appending(FilePath("p/.orchest/environments/u-1/setup_script.sh").components)
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

    @Test(arguments: [".orchest", ".orchest/environments", ".orchest/environments/u-1"], [true, false])
    func `a directory on the way that is a link is not followed, wherever it leads`(
        link: String, staysInside: Bool
    ) throws {
        try withScratch { directory in
            let project = directory.appending("p")
            let real = (staysInside ? project : directory).appending("real")
            let rest = FilePath(String(".orchest/environments/u-1".dropFirst(link.count + 1)))
            try write("properties.json", Self.good, rest.isEmpty ? real : real.pushing(rest))
            let place = project.pushing(FilePath(link))
            try Syscall.makeDirectories(place.removingLastComponent(), mode: 0o755)
            let up = String(repeating: "../", count: FilePath(link).components.count - (staysInside ? 1 : 0))
            try Syscall.symlink(FilePath(up + "real"), place)
            // The test itself is right: followed, the link leads to the file.
            #expect(Syscall.exists(project.pushing(".orchest/environments/u-1/properties.json")))
            let error = try #require(throws: ProjectEnvironmentError.self) { try Self.read(project) }
            guard case .system(let cause) = error else {
                Issue.record("\(error)")
                return
            }
            #expect([Errno.tooManySymbolicLinkLevels, .improperLink].contains(cause.errno), "\(cause)")
        }
    }
}
