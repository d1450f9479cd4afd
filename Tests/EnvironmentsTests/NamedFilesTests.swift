import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct NamedFilesTests {
    @Test func `what a script names is read below the project alone, through no link, and a pipe holds up nobody`()
        throws
    {
        try withScratch { scratch in
            try write("secret", "s", scratch)
            try write("project/requirements.txt", "a", scratch)
            let project = scratch.appending("project")
            try Syscall.symlink("../secret", project.appending("relative"))
            try Syscall.symlink(scratch.appending("secret"), project.appending("absolute"))
            try Syscall.symlink("..", project.appending("up"))
            try Syscall.symlink("requirements.txt", project.appending("inner"))
            mkfifo(project.appending("pipe").string, 0o644)
            let script = """
                pip install -r requirements.txt relative absolute inner
                cat up/secret ../secret /etc/passwd pipe ./none /project-dir/../secret
                """
            let found = NamedFiles.read(Array(script.utf8), project: project)
            #expect(found == ["requirements.txt": Array("a".utf8)])
        }
    }
}
