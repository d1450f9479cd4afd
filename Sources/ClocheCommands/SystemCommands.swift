import ArgumentParser
import Cgroups
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Pipelines
import Policies
import Runs
import SandboxRuntime
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct SystemCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system", abstract: "Look after this host and the store.", subcommands: [DoctorCommand.self])
}

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Try what sandboxes need on this host, and say what to do where it is missing."
    )
    @OptionGroup var output: OutputOptions

    private struct Check: Encodable {
        var name: String
        var state: String
        var detail: String
        var remedy: String?
    }

    func run() throws {
        let context = CommandContext()
        var checks = [store(), identity()]
        checks.append(sandbox())
        checks.append(scratch())
        checks += controlGroups()
        checks += programs()
        if let trouble = OutboundNetwork.deviceTrouble() {
            checks.append(
                Check(
                    name: "tun device", state: "weaker", detail: "no builds and no policies with a network",
                    remedy: trouble))
        }
        if output.json {
            try context.print(Documents.object([("checks", .array(checks.map { Documents.value($0) }))]))
        } else {
            var table = Table([Table.Column("CHECK"), Table.Column("STATE"), Table.Column("DETAIL", priority: 1)])
            for check in checks {
                table.append([Table.Cell(check.name), Table.Cell(check.state), Table.Cell(check.detail)])
            }
            try context.print(table)
            for check in checks { if let remedy = check.remedy { context.say("\(check.name): \(remedy)") } }
        }
        if checks.contains(where: { $0.state == "failed" }) { throw ExitCode(1) }
    }

    /// Where changes that are thrown away are kept.
    private func scratch() -> Check {
        guard ScratchPlace.isDisk else {
            return Check(
                name: "limit scratch", state: "ok", detail: "throw-away changes are in memory, of limited size")
        }
        return Check(
            name: "limit scratch", state: "weaker",
            detail: "throw-away changes are on the disk: this limit is not enforced",
            remedy: "use Linux 6.6 or later, in Debian 12 from backports, and leave `CLOCHE_SCRATCH` alone")
    }

    private func store() -> Check {
        do {
            let path = try CommandContext.storePath()
            _ = try Store.open(path)
            return Check(name: "store", state: "ok", detail: path.string)
        } catch {
            let failure = Failures.failure(error)
            return Check(name: "store", state: "failed", detail: "\(error)", remedy: failure?.hint)
        }
    }

    private func identity() -> Check {
        let identity = HostIdentity.choose()
        switch identity.kind {
        case .ownerRange:
            return Check(name: "ids", state: "ok", detail: "runs get ids \(identity.users[0].outside) and up")
        case .userRange: return Check(name: "ids", state: "ok", detail: "a range of /etc/subuid")
        case .single:
            return Check(
                name: "ids", state: "weaker",
                detail: "only the own id: supervisor and steps share it, and bases cannot be built",
                remedy:
                    "install the package uidmap and give this user a range: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`"
            )
        }
    }

    /// Sets up a whole sandbox and runs a program in it: `cloche-init`, which is small and needs no library.
    private func sandbox() -> Check {
        do {
            let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
            let programs = own.removingLastComponent()
            let directory = FilePath("/tmp/cloche-doctor-\(getpid())")
            try Syscall.makeDirectory(directory, mode: 0o755)
            defer { Self.remove(directory) }
            try Syscall.writeFile(
                directory.appending("probe"),
                try Syscall.readFile(programs.appending("cloche-init"), limit: 32 << 20), mode: 0o755)
            let request = OneSandbox(
                identity: HostIdentity.choose(), stage: StageSpec(environments: [.init(layers: [directory.string])]),
                sandbox: SandboxSpec(policy: BuiltInPolicies.standard, arguments: ["/probe"], variables: [:]),
                name: JobID.random().description, scratch: nil)
            let status = try Self.execute(request, programs.appending("cloche-supervisor"))
            // Its answer to a call by hand: it ran.
            if status.code == 64 {
                return Check(name: "sandbox", state: "ok", detail: "namespaces, overlay, filter and limits were set up")
            }
            return Check(
                name: "sandbox", state: "failed", detail: status.text,
                remedy: "see reasons above; nothing runs until this is mended")
        } catch {
            return Check(name: "sandbox", state: "failed", detail: "\(error)", remedy: nil)
        }
    }

    private static func remove(_ directory: FilePath) {
        // A leftover of a few megabytes in /tmp harms nobody.
        try? removeTree(directory)
    }

    private static func removeTree(_ directory: FilePath) throws {
        let parent = try Syscall.open(directory.removingLastComponent(), O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: parent.number, name: FilePath(directory.lastComponent?.string ?? ""))
    }

    private static func execute(_ request: OneSandbox, _ program: FilePath) throws -> (code: Int32, text: String) {
        let bytes = JSONFile.encode(request) ?? []
        let memory = try Syscall.sealedMemory(name: "request", bytes: bytes, executable: false)
        _ = lseek(memory.number, 0, SEEK_SET)
        let pipe = try Syscall.pipe()
        let number = try HostProcess.spawn(
            program, ["cloche-supervisor", "command"],
            descriptors: [
                (memory.number, SupervisorMain.requestDescriptor), (pipe.writing.number, 1), (pipe.writing.number, 2),
            ])
        let process = try ProcessHandle(opening: number)
        let reading = pipe.takeReading()
        let text = String(decoding: try Syscall.readAll(reading.number, limit: 65536), as: UTF8.self)
        guard case .exited(let code)? = try process.wait()?.end else { return (125, text) }
        return (code, text)
    }

    private func controlGroups() -> [Check] {
        let host = CgroupHost.probe()
        return [CgroupController.memory, .pids, .cpu].map { controller in
            let name = "limit \(controller.rawValue)"
            if let obstacle = host.obstacle(to: controller) {
                return Check(
                    name: name, state: "weaker", detail: obstacle.reason + ": this limit is not enforced",
                    remedy: obstacle.remedy)
            }
            let generation = host.hierarchy(for: controller).map { "version \($0.generation.rawValue)" } ?? ""
            return Check(name: name, state: "ok", detail: "control groups \(generation)")
        }
    }

    private func programs() -> [Check] {
        [
            ("mmdebstrap", "/usr/bin/mmdebstrap", "building bases"),
            ("passt", "/usr/bin/pasta", "builds and policies with a network"),
            ("iproute2", "/usr/sbin/ip", "builds and policies with a network"),
        ].map { package, path, purpose in
            Syscall.exists(FilePath(path))
                ? Check(name: package, state: "ok", detail: "for \(purpose)")
                : Check(
                    name: package, state: "weaker", detail: "missing: no \(purpose)",
                    remedy: "sudo apt-get install \(package)")
        }
    }
}
