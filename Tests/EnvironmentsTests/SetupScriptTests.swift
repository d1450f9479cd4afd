import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// Runs bash on this machine as a build does in the sandbox.
@Suite struct SetupScriptTests {
    @Test(
        arguments: [
            ("echo a\nfalse\necho b\n", 0, nil),
            ("echo a\nfalse\n", 1, 2),
            ("echo a\n\nexit 7\n", 7, 3),
            ("set -e\necho a\nif true; then\n  ls /nonexistent\nfi\necho x\n", 2, 4),
            ("set -e\nf() {\n  false\n}\n\nf\n", 1, 6),
            ("set -euo pipefail\ncat <<E\nhi\nE\nfalse | cat\n", 1, 5),
            ("set -u\n\necho $nope\n", 1, 3),
            ("bash -c 'exit 9'\n", 9, 1),
            ("trap 'echo mine' EXIT\nfalse\n", 1, nil),
        ] as [(String, Int32, Int?)])
    func `a script ends with the status that bash gives it, and its last line is known`(
        script: String, status: Int32, line: Int?
    ) throws {
        try withScratch { directory in
            try write("prolog.bash", SetupScript.prolog(bashEnvironment: nil), directory)
            try write("setup_script.sh", script, directory)
            let log = directory.appending("log")
            let command =
                "cd \(directory) && BASH_ENV=\(directory)/prolog.bash bash setup_script.sh >log 2>&1 </dev/null"
            let ended = shell(command)
            #expect(ended == status)
            let said = Array(try text(log).utf8)
            #expect(SetupScript.failedLine(log: said) == line)
            #expect(SetupScript.syntaxError(log: said) == nil)
        }
    }

    @Test(arguments: [
        ("echo a\nif true; then\necho b\n", "line 4: syntax error"), ("echo a\nfi\necho b\n", "line 2: syntax error"),
        // Which of two lines comes last depends on the bash.
        ("echo a\necho \"x\n", "line "),
    ])
    func `of a script that bash cannot read its own words are told`(script: String, place: String) throws {
        try withScratch { directory in
            try write("prolog.bash", SetupScript.prolog(bashEnvironment: nil), directory)
            try write("setup_script.sh", script, directory)
            #expect(
                shell("cd \(directory) && BASH_ENV=\(directory)/prolog.bash bash setup_script.sh >log 2>&1 </dev/null")
                    == 2)
            let log = Array(try text(directory.appending("log")).utf8)
            #expect(SetupScript.failedLine(log: log) == nil, "what was carried out last is not at fault")
            let said = try #require(SetupScript.syntaxError(log: log))
            #expect(said.hasPrefix(place), "\(said)")
        }
    }

    @Test func `the environment's own BASH_ENV is read and stays set`() throws {
        try withScratch { directory in
            let own = directory.appending("it's.rc")
            try Syscall.writeFile(own, "value=from-own\n".utf8)
            try write("prolog.bash", SetupScript.prolog(bashEnvironment: own.string), directory)
            try write(
                "s.sh", "[[ $value = from-own && $BASH_ENV = *.rc ]] && bash -c 'test $value = from-own'\n", directory)
            #expect(shell("BASH_ENV=\(directory)/prolog.bash bash \(directory)/s.sh") == 0)
        }
    }

    @Test(arguments: [
        "", "cloche: setup_script.sh ended at line ", "cloche: setup_script.sh ended at line 99999999999999999999",
    ])
    func `a forged report does no harm`(log: String) {
        let line = SetupScript.failedLine(log: Array(log.utf8))
        #expect(line == nil || line == 999_999_999)
    }

    private func shell(_ command: String) -> Int32 {
        var process: pid_t = 0
        let words = ["/bin/sh", "-c", command]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { word in strdup(word) } + [nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawn(&process, "/bin/sh", nil, nil, &arguments, environ) == 0 else { return -1 }
        var status: Int32 = 0
        guard waitpid(process, &status, 0) == process else { return -1 }
        return status >> 8 & 0xFF
    }
}
