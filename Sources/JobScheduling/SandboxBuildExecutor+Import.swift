package import Environments
import FoundationEssentials
import Isolation
import Jobs
import LinuxSystem
import Policies
import Runs
import SandboxRuntime
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SandboxBuildExecutor {
    package func decompress(
        _ compression: Compression, root: FilePath, from read: () throws -> [UInt8], isCancelled: () -> Bool,
        output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome {
        var policy = BuiltInPolicies.standard
        policy.data = .none
        policy.limits.output = nil
        ceiling?.clip(&policy)
        var sandbox = SandboxSpec(policy: policy, arguments: compression.arguments, variables: ["LC_ALL": "C"])
        var stage = StageSpec(environments: [.init(layers: [root.string])])
        for name in ["usr", "lib", "lib64", "bin"] {
            let path = FilePath("/" + name)
            guard let status = try? Syscall.lstat(path) else { continue }
            if status.isDirectory {
                sandbox.mounts.append(.init(.bind(stage.binds.count), at: path.string))
                stage.binds.append(.init(source: path.string, readOnly: true))
            } else if status.isSymbolicLink, !Syscall.exists(root.appending(name)) {
                try Syscall.symlink(FilePath(bytes: try Syscall.readLink(path)), root.appending(name))
            }
        }
        ControlGroups.makeRoom()
        return try registered { name in
            let request = OneSandbox(
                identity: stepIdentity, stage: stage, sandbox: sandbox, name: name, scratch: scratch)
            guard let bytes = JSONFile.encode(request) else {
                throw SyscallError("encode", "a sandbox", errno: .invalidArgument)
            }
            let child = try FilteringProcess("command", request: bytes, resultAt: 1)
            let status = try child.filter(from: read, isCancelled: isCancelled, output: output, into: write)
            return CommandOutcome(status: status)
        }
    }

    package func unpack(
        _ command: UnpackCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void,
        feed: (_ write: @escaping ([UInt8]) throws -> Void) throws -> Void
    ) throws -> UnpackAnswer {
        try give(command.directory)
        let owners = command.isHostTree ? ownersOfHostFiles : OwnerRule(isSingle: !identity.hasRange)
        let request = UnpackRequest(
            identity: identity, directory: command.directory.string, owners: owners, task: command.task)
        let child = try FilteringProcess(
            "unpack", request: Array(try JSONEncoder().encode(request)), resultAt: UnpackProgram.answerDescriptor)
        do {
            try feed { try child.write($0) }
        } catch is FilteringProcess.WantsNoMore {
            // Its answer says why.
        } catch {
            child.end()
            throw error
        }
        let (status, bytes) = try child.answer(UnpackAnswer.limit, isCancelled: isCancelled, output: output)
        guard status == 0, let answer = UnpackAnswer.decode(bytes) else {
            throw SyscallError("unpack", "the reader of archives ended without an answer", errno: .brokenPipe)
        }
        return answer
    }

    package func list(
        _ tree: FilePath, isCancelled: () -> Bool, output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome {
        let request = UnpackRequest(
            identity: identity, directory: tree.string, owners: OwnerRule(isSingle: !identity.hasRange), task: .list)
        let child = try FilteringProcess(
            "unpack", request: Array(try JSONEncoder().encode(request)), resultAt: UnpackProgram.answerDescriptor)
        return CommandOutcome(
            status: try child.filter(from: { [] }, isCancelled: isCancelled, output: output, into: write))
    }

    /// A user's own files are root's inside; ids of the range are what they are inside.
    private var ownersOfHostFiles: OwnerRule {
        guard identity.hasRange else { return OwnerRule(isSingle: true) }
        let user = geteuid(), group = getegid()
        var rule = OwnerRule(isSingle: false)
        if user != 0 {
            rule.users.append(.init(inside: 0, outside: user, count: 1))
            rule.groups.append(.init(inside: 0, outside: group, count: 1))
        }
        rule.users += identity.users
        rule.groups += identity.groups
        return rule
    }
}
