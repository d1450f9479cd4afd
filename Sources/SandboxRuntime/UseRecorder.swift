import Isolation
import LinuxSystem
import SystemPackage

/// Sees what a sandbox makes of `/data` and of its filtered network.
final class UseRecorder {
    private static let mostDirectories = 4096, mostDestinations = 256

    private let loop: EventLoop
    private var watch: UseWatch?
    private var data = SandboxRecording.DataUse.unused
    private var connections: [String: SandboxRecording.Connection] = [:]

    /// Begins to watch what the sandbox will see at `/data`, where it sees anything there.
    init(of spec: SandboxSpec, loop: EventLoop) {
        self.loop = loop
        guard let mount = spec.mounts.first(where: { $0.target == StagePath.data }) else { return }
        guard case .bind(let index) = mount.source,
            let watch = try? UseWatch(FilePath(StagePath.bind(index)), atMost: Self.mostDirectories)
        else {
            data = .unknown
            return
        }
        let number = watch.number
        self.watch = consume watch
        loop.watch(number) { [weak self] in self?.look() }
    }

    /// Notes a connection that the sandbox asked for.
    func note(_ record: EgressRecord) {
        // A name that was found has been looked up to be connected to.
        guard record.via != .dns || record.verdict == .refused else { return }
        let isAllowed = record.verdict != .refused
        let host = IPAddress(record.host)
        add(record.destination, isAllowed, isPrivate: host.map { !$0.isPublic } ?? false)
        // A name that leads to such an address needs a rule for both.
        if host == nil, let address = record.address.flatMap({ IPAddress($0) }), !address.isPublic {
            let text = address.isVersion4 ? "\(address)" : "[\(address)]"
            add("\(text):\(record.port)", isAllowed, isPrivate: true)
        }
    }

    private func add(_ destination: String, _ isAllowed: Bool, isPrivate: Bool) {
        let key = "\(destination) \(isAllowed)"
        if connections[key] != nil {
            connections[key]?.count += 1
        } else if connections.count < Self.mostDestinations {
            connections[key] = SandboxRecording.Connection(
                destination, isAllowed: isAllowed, count: 1, isPrivate: isPrivate)
        }
    }

    /// Adds what was seen to the report of the sandbox, and watches no more.
    func finish(_ report: inout SandboxReport) {
        if let number = watch?.number { loop.unwatch(number) }
        look()
        if watch?.isIncomplete == true { data = .unknown }
        watch = nil
        report.recording?.data = data
        report.recording?.connections = connections.values.sorted {
            ($0.destination, $0.isAllowed ? 0 : 1) < ($1.destination, $1.isAllowed ? 0 : 1)
        }
    }

    private func look() {
        guard let use = watch?.update() else { return }
        switch use {
        case .changed: data = .written
        case .opened: data = .read
        case .none: break
        }
    }
}
