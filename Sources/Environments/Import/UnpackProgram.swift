import FoundationEssentials
package import Isolation
import LinuxSystem
import SandboxLaunch
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What is to be done in the directory of a build that is imported.
package struct UnpackRequest: Sendable, Hashable, Codable {
    /// What is done.
    package enum Task: Sendable, Hashable, Codable {
        /// The archive on standard input is unpacked; a layer's whiteouts are carried out.
        case unpack(UnpackLimits, isLayer: Bool)
        /// The tree is completed; programs are looked for on a path, and directories are made where they are missing.
        case complete(path: String, home: String?, directory: String?)
        /// The tree is listed, instead of an answer.
        case list
    }

    /// The ids inside.
    package var identity: IdentityMap
    /// The directory on the host.
    package var directory: String
    package var owners: OwnerRule
    package var task: Task

    /// Asks for a task.
    package init(identity: IdentityMap, directory: String, owners: OwnerRule, task: Task) {
        self.identity = identity
        self.directory = directory
        self.owners = owners
        self.task = task
    }
}

/// What came of a task.
package enum UnpackAnswer: Sendable, Hashable, Codable {
    /// The archive is unpacked.
    case unpacked(UnpackReport)
    /// The tree is complete.
    case completed(TreeFindings)
    /// Nothing more was done.
    case failed(ArchiveError)

    /// The largest answer that is read, in bytes.
    package static let limit = 1 << 20

    /// Reads an answer.
    package static func decode(_ bytes: [UInt8]) -> UnpackAnswer? {
        try? JSONDecoder().decode(UnpackAnswer.self, from: Data(bytes))
    }
}

/// The process that reads archives of strangers: in a user namespace of its own, with nothing but the new tree as its
/// root directory, no network, and no way to more rights.
///
/// What is wrong with the reader can then harm the tree, which belongs to the archive's author anyway, and nothing else.
package enum UnpackProgram {
    /// Where the request is read from, and where the answer is written.
    package static let requestDescriptor: CInt = 5, answerDescriptor: CInt = 6
    private static let requestLimit = 1 << 20

    /// Carries out the request on descriptor 5, with the archive on standard input; ends the process.
    package static func run() -> Never {
        guard let bytes = try? Syscall.readAll(requestDescriptor, limit: requestLimit),
            let request = try? JSONDecoder().decode(UnpackRequest.self, from: Data(bytes))
        else { fail("the request cannot be read") }
        _ = Glibc.close(requestDescriptor)
        do throws(LaunchError) {
            let keeper = try Confinement.enter(request.identity) { program, _ in
                switch (try? program.wait())?.end {
                case .exited(let status): return status
                case .signalled(let signal): return 128 + signal
                case nil: return 125
                }
            }
            let root = try LaunchError.during("shut the archive's reader in") { () throws(SyscallError) in
                try confine(request, keeper: keeper)
            }
            answer(carryOut(request, root: root))
        } catch {
            fail("\(error)")
        }
    }

    /// Leaves the host: the tree becomes the root directory, and there is no network; gives the open root.
    private static func confine(_ request: UnpackRequest, keeper: Int32) throws(SyscallError) -> CInt {
        try Syscall.mount(source: "none", target: "/", type: nil, flags: UInt(MS_REC | MS_PRIVATE))
        let location = try Syscall.openLocation(FilePath(request.directory), resolve: .noMagicLinks)
        let mount = try Syscall.cloneMount(of: location.number, recursive: false)
        let attributes: MountAttributes = request.task == .list ? [.readOnly] : []
        try Syscall.setMountAttributes(
            mount.number, attributes.union([.noSetuid, .noDevices, .noExecute]), recursive: false)
        if request.identity.hasRange { try Credentials.become(user: 0, group: 0) }
        try Syscall.unshare([.network, .ipc])
        // Any directory does: nothing outside sees these mounts.
        try Syscall.mount(source: "cloche", target: "/tmp", type: "tmpfs", flags: UInt(MS_NOSUID | MS_NODEV))
        try Syscall.makeDirectory("/tmp/tree", mode: 0o755)
        try Syscall.attachMount(mount.number, at: "/tmp/tree")
        try Syscall.changeDirectory("/tmp/tree")
        try Syscall.pivotRoot(".", ".")
        try Syscall.detachMount(".")
        try Syscall.changeDirectory("/")
        if request.identity.kind == .userRange, request.task != .list {
            try Syscall.changeOwner("/", user: 0, group: 0)
        }
        try Syscall.setNoNewPrivileges()
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID.
        try Syscall.setCapabilities(1 << 0 | 1 << 1 | 1 << 3 | 1 << 4)
        try Syscall.endWithParent(keeper)
        return try Syscall.open("/", O_RDONLY | O_DIRECTORY).release()
    }

    private static func carryOut(_ request: UnpackRequest, root: CInt) -> UnpackAnswer {
        do throws(ArchiveError) {
            switch request.task {
            case .unpack(let limits, let isLayer):
                var unpacker = TreeUnpacker(root: root, limits: limits, owners: request.owners, isLayer: isLayer)
                try unpacker.unpack(ByteSource(0))
                return .unpacked(unpacker.report)
            case .complete(let path, let home, let directory):
                return .completed(
                    try TreeCompletion(root: root, owners: request.owners, path: path, home: home, directory: directory)
                        .run())
            case .list: list(root)
            }
        } catch {
            return .failed(error)
        }
    }

    private static func list(_ root: CInt) -> Never {
        var listing = TreeListing { part throws(SyscallError) in
            try Syscall.writeAll(answerDescriptor, part, 0..<part.count)
        }
        do throws(SyscallError) { try listing.run(root) } catch { fail("\(error)", "list the tree") }
        exit(0)
    }

    private static func answer(_ answer: UnpackAnswer) -> Never {
        guard let bytes = try? JSONEncoder().encode(answer), (try? Syscall.writeAll(answerDescriptor, bytes)) != nil
        else { fail("the answer cannot be written") }
        exit(0)
    }

    private static func fail(_ why: String, _ what: String = "unpack the archive") -> Never {
        // There is nobody else to tell that standard error is closed; the exit status tells.
        try? Syscall.writeAll(2, Array("error: \(what): \(why)\n".utf8))
        exit(125)
    }
}
