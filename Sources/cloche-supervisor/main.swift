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
let modes = ["command", "namespace", "unpack"]
if arguments.count == 2 || arguments.count == 3, modes.contains(arguments[1]) {
    // What is asked for in the name of a process ends with that.
    if arguments.count == 3 { endWithAsker(Int32(arguments[2]) ?? 0, isGroup: arguments[1] == "namespace") }
    if arguments[1] == "command" { SupervisorMain.command() }
    if arguments[1] == "namespace" { SupervisorMain.namespace() }
    UnpackProgram.run()
}
_ = """
    usage: cloche-supervisor run DIRECTORY ATTEMPT end|outlive | template ROOM | (command | namespace | unpack) [PROCESS]

    """.withCString {
        write(2, $0, strlen($0))
    }
exit(64)

/// Ends this process when `asker` ends, and with `isGroup` all of its group when it ends itself.
func endWithAsker(_ asker: Int32, isGroup: Bool) {
    do throws(SyscallError) {
        try Syscall.endWithParent(asker)
        if isGroup { try GroupWatch.start() }
    } catch {
        _ = "error: end with the process that has asked: \(error)\n".withCString { write(2, $0, strlen($0)) }
        exit(125)
    }
}
