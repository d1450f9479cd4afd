import LinuxSystem
import SystemPackage
import Testing

@testable import JobScheduling

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct PythonSupportTests {
    @Test func `what lies beside the program is found, and missed by name`() throws {
        var template = Array("/tmp/python-support-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = FilePath(platformString: template)
        defer { system("rm -r \(directory)") }
        let program = directory.appending("cloche"), files = directory.pushing("cloche_Runs.resources/python")
        let error = try #require(throws: StoreError.self) { try PythonSupport.source(beside: program) }
        #expect(error.message == "Cloche's installation is incomplete: `\(files)` is missing")
        #expect(error.hint?.contains("install it again") == true && error.kind == .configuration)
        try Syscall.makeDirectories(files, mode: 0o755)
        #expect(try PythonSupport.source(beside: program) == files)
    }
}
