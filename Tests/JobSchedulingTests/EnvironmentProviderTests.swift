import LinuxSystem
import SystemPackage
import Testing

@testable import JobScheduling

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct EnvironmentProviderTests {
    /// Whether a file is there must not tell what is outside, nor make an environment look as if there were none.
    @Test(arguments: ["real", "../outside", "nothing"])
    func `a project's environment behind a link is an error, whatever is there`(target: String) throws {
        var template = Array("/tmp/environment-provider-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = FilePath(platformString: template)
        defer { system("rm -r \(directory)") }
        let project = directory.appending("p")
        let environments = project.pushing(".orchest/environments")
        for folder in [project.appending("real"), directory.appending("outside"), environments] {
            try Syscall.makeDirectories(folder, mode: 0o755)
        }
        try Syscall.writeFile(project.pushing("real/properties.json"), "{}".utf8)
        let file = FilePath(".orchest/environments/u-1/properties.json")
        #expect(try !EnvironmentProvider.isThere(file, in: project))
        try Syscall.symlink(FilePath("../../" + target), environments.appending("u-1"))
        #expect(throws: SyscallError.self) { try EnvironmentProvider.isThere(file, in: project) }
        try Syscall.unlink(environments.appending("u-1"))
        try Syscall.makeDirectory(environments.appending("u-1"), mode: 0o755)
        try Syscall.writeFile(project.pushing(file), "{}".utf8)
        #expect(try EnvironmentProvider.isThere(file, in: project))
    }
}
