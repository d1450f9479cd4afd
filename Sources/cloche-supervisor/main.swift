import Environments
import Glibc
import LinuxSystem
import Runs
import SystemPackage

// The process that owns one run. It is started by the engine, not by people.
do throws(SyscallError) {
    try HostProcess.keepDescriptors()
} catch {
    _ = "error: keep descriptors: \(error)\n".withCString { write(2, $0, strlen($0)) }
    exit(125)
}
let arguments = CommandLine.arguments
if arguments.count == 5, arguments[1] == "run", let attempt = Int(arguments[3]) {
    SupervisorMain.run(FilePath(arguments[2]), attempt: attempt, outlivesEngine: arguments[4] == "outlive")
}
if arguments.count == 3, arguments[1] == "template" { SupervisorMain.template() }
if arguments.count == 2, arguments[1] == "command" { SupervisorMain.command() }
if arguments.count == 2, arguments[1] == "namespace" { SupervisorMain.namespace() }
if arguments.count == 2, arguments[1] == "unpack" { UnpackProgram.run() }
_ = "usage: cloche-supervisor run DIRECTORY ATTEMPT end|outlive | template ROOM | command | namespace | unpack\n"
    .withCString {
        write(2, $0, strlen($0))
    }
exit(64)
