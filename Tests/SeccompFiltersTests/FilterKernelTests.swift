import Foundation
import Isolation
import SeccompFilters
import Testing

/// Filters in the running kernel.
@Suite(.enabled(if: SystemCallArchitecture.native == .x86_64, "the calls of these tests are those of x86_64"))
struct FilterKernelTests {
    @Test func `refused calls fail with the errors of the policy, high bits included`() throws {
        let program = try FilterCompiler(mode: .silent).compile(.steps())
        let refused = BuiltInPolicyTests.steps.filter { $0.errno != nil }
        var calls: [[UInt64]] = []
        var expected: [CInt] = []
        for expectation in refused {
            let number = try #require(SystemCallTable.x86_64.number(of: expectation.call))
            for high in [0, 1 << 32] as [UInt64] where high == 0 || expectation.call != "prlimit64" {
                calls.append([UInt64(number)] + expectation.arguments.map { $0 | high })
                expected.append(expectation.errno ?? 0)
            }
        }
        #expect(try FilteredProcess.errors(of: calls, under: program) == expected)
    }

    @Test func `numbers of x32, unknown ones and holes do not exist`() throws {
        let program = try FilterCompiler().compile(.steps())
        let numbers: [UInt64] = [0x4000_0000 + 39, 400, 472, 1000, 0x7FFF_FFFF]
        #expect(try FilteredProcess.errors(of: numbers.map { [$0] }, under: program) == numbers.map { _ in 38 })
    }

    @Test func `without its listener a refused call fails all the same`() throws {
        let program = try FilterCompiler(mode: .notify).compile(.steps())
        #expect(program.needsListener)
        // unshare(0) and socket(AF_VSOCK) would succeed without the filter.
        #expect(try FilteredProcess.errors(of: [[272, 0], [41, 40, 1, 0]], under: program) == [38, 38])
    }

    @Test func `a call by the convention of i386 ends the process`() throws {
        let program = try FilterCompiler(mode: .silent).compile(.steps())
        #expect(try FilteredProcess.callAsForeigner(under: program).status == -31)
    }

    @Test(
        arguments: [
            ["bash", "-c", "for i in 1 2 3; do echo $((i * i)) | cat; done; (sleep 0 & wait)"],
            [
                "sh", "-c",
                "d=$(mktemp -d) && cd $d && echo x > a && tar cf b.tar a && rm a && tar xf b.tar && cat a; rm -r $d",
            ],
            ["sh", "-c", "echo hello | gzip | gunzip | tee /dev/null | sort | sha256sum"],
            [
                "sh", "-c",
                "d=$(mktemp -d) && cp -a /etc/hostname $d/x && chmod 640 $d/x && mkfifo $d/f && ls -l $d && rm -r $d",
            ],
            ["python3", "-c", "import threading as t; x = t.Thread(target=print, args=(1,)); x.start(); x.join()"],
            ["python3", "-c", "import subprocess; print(subprocess.run(['ls', '/'], capture_output=True).returncode)"],
            ["python3", "-c", "import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]))"],
            ["python3", "-c", "import socket; print(socket.getaddrinfo('localhost', 80)[0][0], socket.socketpair())"],
            ["python3", "-c", "import sqlite3; print(sqlite3.connect(':memory:').execute('select 1').fetchall())"],
            ["python3", "-c", "import asyncio; asyncio.run(asyncio.sleep(0)); print('done')"],
            [
                "python3", "-c",
                "import tempfile, shutil; f = tempfile.NamedTemporaryFile(); shutil.copy('/etc/passwd', f.name)",
            ],
        ], [SeccompPolicy.steps(), .strict(), .build()])
    func `ordinary commands work`(command: [String], policy: SeccompPolicy) throws {
        let program = try FilterCompiler(mode: .silent).compile(policy)
        let result = try FilteredProcess.execute(command, under: program)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors == "")
    }

    @Test func `a step cannot make a set-user-ID file, a build can`() throws {
        let script = "f=$(mktemp) && chmod 4755 $f; stat -c %a $f; rm $f"
        for (policy, mode) in [(SeccompPolicy.steps(), "600\n"), (.build(), "4755\n")] {
            let program = try FilterCompiler(mode: .silent).compile(policy)
            #expect(try FilteredProcess.execute(["sh", "-c", script], under: program).output == mode)
        }
    }
}
