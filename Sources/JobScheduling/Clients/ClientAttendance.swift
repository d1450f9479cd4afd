package import LinuxSystem
import Pipelines
import PlainText
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What whoever attends to clients is told by the service.
package struct SharingSettings: Sendable, Hashable, Codable {
    /// The variable of the environment that carries it.
    package static let variable = "CLOCHE_SHARING"

    /// How many runs a user may have waiting; nil is any number.
    package var pending: Int?
    /// The most bytes of a project.
    package var projectBytes: Int64
    /// How much each may keep.
    package var disk: DiskLimits

    /// Sets the limits of each user.
    package init(pending: Int?, projectBytes: Int64, disk: DiskLimits) {
        self.pending = pending
        self.projectBytes = projectBytes
        self.disk = disk
    }

    /// What a user may have at once.
    func quota(of user: UInt32) -> UserQuota { UserQuota(pending: pending, disk: disk.limit(user: user)) }

    private enum CodingKeys: String, CodingKey {
        case pending, disk
        case projectBytes = "project_bytes"
    }
}

/// A process of its own for one client of a shared service: takes what he sends, and executes one command for him.
///
/// The command is this program, on the store that the service keeps for the client. Its output is pipes of ours: it gets
/// no descriptor that the client made, and no path that he names.
package final class ClientAttendance {
    /// How long a client may take from one message to the next before his command begins, in seconds.
    private static let patience = 30.0
    /// How long a client may leave unread what he is sent, in seconds.
    private static let readingPatience = 600.0
    private static let longestInput = 1 << 20
    private static let longestParameters = 17 << 20
    private static let mostUnsent = 1 << 20

    private let channel: FrameChannel
    private let store: FilePath
    private let settings: SharingSettings
    private let loop = EventLoop()
    private var unsent: [UInt8] = []
    private var sentUntil = 0
    private var lastProgress = 0.0
    private var pipes: [(kind: ClientFrame.Kind, reading: OwnedPipe)] = []
    private var child: Child?
    private var isGone = false

    /// Attends to the client of a connected socket, on behalf of the service of a store.
    package init(_ socket: consuming OwnedFileDescriptor, store: FilePath, settings: SharingSettings) {
        channel = FrameChannel(socket)
        self.store = store
        self.settings = settings
    }

    /// Executes what the client asks for, and gives the command's exit code.
    package func run() -> Int32 {
        do {
            let request = try prepare()
            defer { request.place?.remove() }
            guard let command = try receive(request) else { return 0 }
            return try execute(command)
        } catch let fault as ClientFault {
            return refuse(
                "serve the client: he sent \(fault)", hint: "use the version of `cloche` that the service has", 65)
        } catch let refusal as JobRefusal {
            return refuse(refusal.message, hint: refusal.hint, 6)
        } catch let error as StoreError where error.kind == .noRoom {
            report(error.message)
            return refuse(error.message, hint: error.hint ?? Self.moreIsKnown, 6)
        } catch {
            report("\(error)")
            return refuse("serve the client: \(error)", hint: Self.moreIsKnown, 78)
        }
    }

    // MARK: What is asked for

    private struct Preparation {
        var client: ServedClient
        var store: FilePath
        var request: ClientRequest
        var place: IncomingPlace?
        var input: [UInt8] = []
    }

    private func prepare() throws -> Preparation {
        let user = try Syscall.peerUser(channel.number)
        let groups = try Syscall.peerGroups(channel.number)
        let isAdministrator = user == geteuid() || user == 0
        let own = try isAdministrator ? store : StoreOwner.makeStore(of: user, in: store)
        let client = ServedClient(
            user: user, groups: groups, userName: HostIdentity.userName(user),
            groupNames: HostIdentity.groupNames(Set(groups)), isAdministrator: isAdministrator,
            quota: isAdministrator ? nil : settings.quota(of: user))
        guard let frame = try next() else { throw ClientFault("nothing") }
        guard frame.kind == .request, let request = JSONFile.decode(ClientRequest.self, frame.bytes) else {
            throw ClientFault("no request")
        }
        if let fault = request.fault { throw ClientFault(fault) }
        // Before he sends a project that would not be taken.
        if request.pipeline != nil { try client.quota?.checkDisk(of: own) }
        let needsPlace = request.pipeline != nil || request.hasParameters
        return Preparation(
            client: client, store: own, request: request, place: needsPlace ? try IncomingPlace(in: own) : nil)
    }

    private func next() throws -> ClientFrame? {
        try channel.receive(until: Syscall.monotonicSeconds() + Self.patience)
    }

    /// Takes the project and the rest; nil when the client goes away before all of it has come.
    private func receive(_ preparation: Preparation) throws -> Preparation? {
        var command = preparation
        var isBegun = false
        if let pipeline = command.request.pipeline, let place = command.place {
            let directory = try place.makeProject()
            let receiver = ProjectReceiver(directory, .init(bytes: settings.projectBytes))
            project: while true {
                guard let frame = try next() else { return nil }
                switch frame.kind {
                case .entry: try receiver.take(try ProjectEntry(frame.bytes))
                case .content: try receiver.take(content: frame.bytes)
                case .projectEnd: break project
                default: throw ClientFault("something else within a project")
                }
            }
            try receiver.finish()
            command.client.project = ReceivedProject(
                path: place.project.string, pipeline: pipeline, name: command.request.name,
                source: command.request.source)
        }
        var parameters: [UInt8] = []
        while !isBegun {
            guard let frame = try next() else { return nil }
            switch frame.kind {
            case .parameters where command.request.hasParameters: parameters += frame.bytes
            case .input where command.request.hasInput: command.input += frame.bytes
            case .begin: isBegun = true
            default: throw ClientFault("something that he had not announced")
            }
            guard parameters.count <= Self.longestParameters, command.input.count <= Self.longestInput else {
                throw ClientFault("more than is read of such a file")
            }
        }
        if command.request.hasParameters, let place = command.place {
            command.client.parameters = try place.write(parameters: parameters).string
        }
        return command
    }

    // MARK: The command

    private final class OwnedPipe {
        let descriptor: OwnedFileDescriptor

        init(_ descriptor: consuming OwnedFileDescriptor) { self.descriptor = descriptor }
    }

    private final class Child {
        let process: ProcessHandle
        var end: ProcessEnd?
        var signalled = false

        init(_ process: consuming ProcessHandle) { self.process = process }
    }

    private func execute(_ command: Preparation) throws -> Int32 {
        let output = try Syscall.pipe()
        let errors = try Syscall.pipe()
        let input = try Syscall.sealedMemory(name: "input", bytes: command.input, executable: false)
        _ = try Syscall.seek(input.number, to: 0)
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        guard let client = JSONFile.encode(command.client) else { throw ClientFault("ids that cannot be written") }
        let set = [
            "CLOCHE_HOME": command.store.string, ServedClient.variable: String(decoding: client, as: UTF8.self),
            "COLUMNS": String(min(max(command.request.columns ?? 80, 20), 1000)),
        ]
        let variables = HostProcess.variables().filter { !Self.notPassedOn.contains($0.key) }
            .merging(set) { $1 }.map { "\($0.key)=\($0.value)" }
        let number = try HostProcess.spawn(
            own, ["cloche"] + command.request.arguments,
            descriptors: [(input.number, 0), (output.writing.number, 1), (errors.writing.number, 2)],
            variables: variables)
        let process = try ProcessHandle(opening: number)
        let child = Child(process)
        self.child = child
        let outputEnd = OwnedPipe(output.takeReading())
        let errorsEnd = OwnedPipe(errors.takeReading())
        pipes = [(.output, outputEnd), (.errors, errorsEnd)]
        for pipe in pipes { try Syscall.fcntl(pipe.reading.descriptor.number, F_SETFL, Int(O_NONBLOCK)) }
        watchPipes()
        loop.watch(channel.number) { [weak self] in self?.readClient() }
        loop.watch(child.process.number) { [weak self] in
            guard let self, let child = self.child else { return }
            self.loop.unwatch(child.process.number)
            child.end = (try? child.process.wait(block: false))?.end
            self.advance()
        }
        checkProgress()
        while !isDone { try loop.run() }
        let code: Int32 =
            switch child.end {
            case .exited(let status): status
            case .signalled(let signal): 128 + signal
            case nil: 1
            }
        if !isGone { try? channel.send(ClientFrame(.exit, [UInt8(truncatingIfNeeded: code)]), within: Self.patience) }
        return code
    }

    /// What is the service's own affair.
    private static let notPassedOn: Set<String> = [
        SharingSettings.variable, "CLOCHE_SERVICE", "TERM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
    ]

    private var isDone: Bool {
        guard let child, child.end != nil else { return false }
        return isGone || (pipes.isEmpty && unsent.isEmpty)
    }

    private func advance() {
        if isDone { loop.stop() }
    }

    private func watchPipes() {
        for pipe in pipes {
            loop.watch(pipe.reading.descriptor.number) { [weak self] in self?.read(pipe.kind, pipe.reading) }
        }
    }

    private func read(_ kind: ClientFrame.Kind, _ pipe: OwnedPipe) {
        let number = pipe.descriptor.number
        do throws(SyscallError) {
            let bytes = try Syscall.read(number, upTo: 65536)
            if !bytes.isEmpty { return send(ClientFrame(kind, bytes)) }
        } catch {
            if error.errno == .resourceTemporarilyUnavailable { return }
        }
        loop.unwatch(number)
        pipes.removeAll { $0.reading === pipe }
        advance()
    }

    private func send(_ frame: ClientFrame) {
        if isGone { return }
        if unsent.isEmpty { lastProgress = Syscall.monotonicSeconds() }
        unsent += frame.encoded
        flush()
        guard unsent.count - sentUntil > Self.mostUnsent else { return }
        // The command waits until the client has read.
        for pipe in pipes { loop.unwatch(pipe.reading.descriptor.number) }
    }

    private func flush() {
        do throws(SyscallError) {
            while sentUntil < unsent.count, let count = try Syscall.sendSome(channel.number, unsent[sentUntil...]) {
                sentUntil += count
                lastProgress = Syscall.monotonicSeconds()
            }
        } catch {
            return lose()
        }
        guard sentUntil == unsent.count else {
            return loop.watchWriting(channel.number) { [weak self] in self?.flush() }
        }
        (unsent, sentUntil) = ([], 0)
        loop.unwatchWriting(channel.number)
        watchPipes()
        advance()
    }

    private func readClient() {
        do {
            let (frames, isGone) = try channel.received()
            for frame in frames where frame.kind == .signal {
                if let signal = frame.bytes.first.map({ CInt($0) }), [SIGINT, SIGTERM, SIGHUP].contains(signal) {
                    try child?.process.signal(signal)
                }
            }
            if isGone { lose() }
        } catch {
            lose()
        }
    }

    /// The client has gone: his command has nobody to tell.
    private func lose() {
        guard !isGone else { return }
        isGone = true
        loop.unwatch(channel.number)
        loop.unwatchWriting(channel.number)
        unsent = []
        guard let child else { return }
        try? child.process.signal(SIGTERM)
        for pipe in pipes { loop.watch(pipe.reading.descriptor.number) { [weak self] in self?.discard(pipe.reading) } }
        loop.after(20) { try? child.process.signal(SIGKILL) }
        advance()
    }

    private func discard(_ pipe: OwnedPipe) {
        let bytes = try? Syscall.read(pipe.descriptor.number, upTo: 65536)
        if bytes?.isEmpty ?? true { loop.unwatch(pipe.descriptor.number) }
    }

    private func checkProgress() {
        if !unsent.isEmpty, Syscall.monotonicSeconds() - lastProgress > Self.readingPatience { lose() }
        loop.after(10) { [weak self] in self?.checkProgress() }
    }

    private static let moreIsKnown = "whoever runs the service can tell more"

    /// Tells whoever runs the service, in its log, what is not for the client alone to mend.
    private func report(_ message: String) {
        let user = (try? Syscall.peerUser(channel.number)).map { "the user \($0)" } ?? "a client"
        // Where nobody reads the log the client is told all the same.
        try? Syscall.writeAll(2, Array("problem: \(user) cannot be served: \(printable(message))\n".utf8))
    }

    private func refuse(_ message: String, hint: String, _ code: UInt8) -> Int32 {
        // Who has gone hears nothing.
        try? channel.send(
            ClientFrame(.errors, Array("error: \(printable(message))\nhint: \(hint)\n".utf8)), within: 5)
        try? channel.send(ClientFrame(.exit, [code]), within: 5)
        return Int32(code)
    }
}
