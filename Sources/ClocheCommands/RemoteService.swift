import ArgumentParser
import Isolation
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Runs
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// The shared service that this process's user has chosen in place of a store of his own.
struct RemoteService {
    /// The variable that names its socket.
    static let variable = "CLOCHE_SERVICE"

    private let socket: FilePath

    /// The service that the environment names; nil where it names none.
    static func selected() throws -> RemoteService? {
        guard var text = environmentVariable(variable), !text.isEmpty else { return nil }
        if text.hasPrefix("unix://") { text.removeFirst("unix://".count) }
        guard text.hasPrefix("/"), text.utf8.count < 108 else {
            throw CommandFailure(
                .invalidConfiguration,
                "use the service `\(printable(text))`: it is no absolute path of fewer than 108 bytes",
                hint: "set \(variable) to its socket, such as /run/cloche.sock, or unset it")
        }
        return RemoteService(socket: FilePath(text))
    }

    /// Has the service do what the command line says, and gives the exit code.
    func run() throws -> Int32 {
        var command = try ClocheCommand.parseAsRoot()
        guard let served = command as? any ServedCommand else {
            let isGroup = !type(of: command).configuration.subcommands.isEmpty
            if !(command is any StorelessCommand), !isGroup, let name = ServedClient.name(of: type(of: command)) {
                throw ServedClient.notServed(name)
            }
            try command.run()
            return 0
        }
        var request = ClientRequest(arguments: Array(CommandLine.arguments.dropFirst()))
        request.columns = CommandContext().streams.output.size.columns
        let sent = served.sent
        var project: FilePath?
        if let pipeline = sent.pipeline {
            // What is wrong with it is told here, before anything is sent.
            let place = try JobCreation.place(of: FilePath(pipeline))
            request.pipeline = place.pipeline
            request.name = place.project.lastComponent?.string ?? "project"
            request.source = place.project.string
            project = place.project
        }
        let parameters = try sent.parameters.map { try Syscall.readFile(FilePath($0), limit: 17 << 20) }
        request.hasParameters = parameters != nil
        let input = try sent.secret.map { try SecretInput(CommandContext()).read($0) }
        request.hasInput = input != nil
        let channel = try connect()
        do {
            guard let bytes = JSONFile.encode(request), bytes.count <= ClientFrame.longest else {
                throw CommandFailure(
                    .usage, "send the command to the service: it is longer than \(ClientFrame.longest) bytes",
                    hint: "put what is long into a parameters file")
            }
            try channel.send(ClientFrame(.request, bytes))
            if let project { try ProjectSender(cache: Self.cache()).send(project, over: channel) }
            for part in Self.parts(parameters) { try channel.send(ClientFrame(.parameters, part)) }
            for part in Self.parts(input) { try channel.send(ClientFrame(.input, part)) }
            try channel.send(ClientFrame(.begin))
        } catch let error as SyscallError where error.errno == .brokenPipe || error.errno == .connectionReset {
            // It has said why before it went.
        }
        return try follow(channel)
    }

    private func connect() throws -> FrameChannel {
        let deadline = Syscall.monotonicSeconds() + 10
        while true {
            do throws(SyscallError) {
                let connected = try Syscall.connect(to: socket)
                return FrameChannel(connected)
            } catch {
                // Too many others wait there.
                if error.errno == .resourceTemporarilyUnavailable, Syscall.monotonicSeconds() < deadline {
                    _ = try Syscall.poll([], milliseconds: 20)
                    continue
                }
                let hint =
                    switch error.errno {
                    case .permissionDenied: "ask whoever runs it to let you in: `cloche serve --share --group GROUP`"
                    case .resourceTemporarilyUnavailable: "try again: others wait there"
                    default:
                        "see whether it runs (`cloche serve --share`); unset \(Self.variable) to use your own store"
                    }
                throw CommandFailure(.serviceUnavailable, "use the service at `\(socket)`: \(error)", hint: hint)
            }
        }
    }

    /// Prints what comes, until the exit code does.
    private func follow(_ channel: FrameChannel) throws -> Int32 {
        let streams = CommandContext().streams
        let signals = try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP])
        while true {
            let (frames, isGone) = try channel.received()
            for frame in frames {
                switch frame.kind {
                case .output: try write(frame.bytes, to: streams.output)
                case .errors: try? streams.error.write(frame.bytes)
                case .exit: return Int32(frame.bytes.first ?? 1)
                default: break
                }
            }
            if isGone { break }
            _ = try Syscall.poll([channel.number, signals.number], milliseconds: -1)
            while let signal = Syscall.nextSignal(signals.number) {
                try? channel.send(ClientFrame(.signal, [UInt8(truncatingIfNeeded: signal)]))
            }
        }
        throw CommandFailure(
            .serviceUnavailable, "use the service at `\(socket)`: it has gone before the command ended",
            hint: "what was begun may go on; look with `cloche ls` when it is there again")
    }

    private func write(_ bytes: [UInt8], to channel: OutputChannel) throws {
        do throws(SyscallError) {
            try channel.write(bytes)
        } catch {
            if let failure = CommandFailure(writing: "standard output", error) { throw failure }
            throw ExitCode(0)
        }
    }

    private static func parts(_ bytes: [UInt8]?) -> [[UInt8]] {
        guard let bytes else { return [] }
        return stride(from: 0, to: bytes.count, by: ClientFrame.longest).map {
            Array(bytes[$0..<min($0 + ClientFrame.longest, bytes.count)])
        }
    }

    /// Where it is noted which files of projects have not changed.
    private static func cache() throws -> FilePath {
        if let cache = environmentVariable("XDG_CACHE_HOME"), cache.hasPrefix("/") {
            return FilePath(cache).appending("cloche")
        }
        if let home = environmentVariable("HOME"), home.hasPrefix("/") {
            return FilePath(home).appending(".cache/cloche")
        }
        throw CommandFailure(
            .invalidConfiguration, "send the project: neither XDG_CACHE_HOME nor HOME is set",
            hint: "set one of them to a directory of yours")
    }
}
