import Isolation
import LinuxSystem
import SandboxRuntime
import SeccompFilters

extension PreparedCommand {
    /// As bytes; nil where these would not give the same again, as with a field that is not written here.
    var bytes: [UInt8]? {
        var writer = ByteWriter()
        writer.write(witnesses) { $0.write($1) }
        writer.write(builds) { $0.write($1) }
        writer.write(request)
        writer.write(policyText)
        for filter in [command, initProcess] {
            writer.write(filter.bytes)
            writer.write(filter.needsListener)
            writer.write(filter.answered) { $0.write($1) }
        }
        return (try? PreparedCommand(writer.bytes, from: 0)) == self ? writer.bytes : nil
    }

    /// Reads what `bytes` gave.
    init(_ bytes: [UInt8], from start: Int) throws(ByteReader.Damage) {
        var reader = ByteReader(bytes, from: start)
        self.init(
            witnesses: try reader.array { reader throws(ByteReader.Damage) in try reader.witness() },
            builds: try reader.array { reader throws(ByteReader.Damage) in try reader.text() },
            request: try reader.request(), policyText: try reader.text(), command: try reader.filter(),
            initProcess: try reader.filter())
        guard reader.isAtEnd else { throw ByteReader.Damage() }
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ witness: FileWitness) {
        write(witness.path)
        switch witness.finding {
        case .nothing: write(0)
        case .file(let place, let size, let modified, let changed):
            write(1)
            write(place)
            write(size)
            for time in [modified, changed] {
                write(time.seconds)
                write(time.nanoseconds)
            }
        case .directory(let place):
            write(2)
            write(place)
        }
    }

    private mutating func write(_ place: FileWitness.Place) {
        write(place.device)
        write(place.inode)
        for number in [place.mode, place.user, place.group] { write(number) }
    }

    fileprivate mutating func write(_ request: OneSandbox) {
        write(request.identity)
        write(request.stage.environments) { writer, environment in
            writer.write(environment.layers) { $0.write($1) }
        }
        write(request.stage.binds) { writer, bind in
            writer.write(bind.source)
            writer.write(bind.readOnly)
            writer.write(bind.owner) { $0.write($1) }
        }
        write(request.sandbox)
    }

    private mutating func write(_ identity: IdentityMap) {
        write(identity.kind.rawValue)
        for ranges in [identity.users, identity.groups] {
            write(ranges) { writer, range in
                for number in [range.inside, range.outside, range.count] { writer.write(number) }
            }
        }
    }

    private mutating func write(_ sandbox: SandboxSpec) {
        write(sandbox.environment)
        write(sandbox.mounts) { writer, mount in
            switch mount.source {
            case .project: writer.write(0)
            case .bind(let index):
                writer.write(1)
                writer.write(index)
            case .scratchOver(let index):
                writer.write(2)
                writer.write(index)
            case .writable(let name):
                writer.write(3)
                writer.write(name)
            }
            writer.write(mount.target)
        }
        write(sandbox.policy)
        write(sandbox.variables.sorted { $0.key < $1.key }) { writer, variable in
            writer.write(variable.key)
            writer.write(variable.value)
        }
        write(sandbox.directory)
        write(sandbox.hostName)
        write(sandbox.umask)
    }

    private mutating func write(_ policy: SandboxPolicy) {
        for text in [
            policy.name, policy.network.rawValue, policy.data.rawValue, policy.dataScope.rawValue,
            policy.identity.rawValue,
        ] {
            write(text)
        }
        write(policy.needsRange)
        let limits = policy.limits
        for bytes in [limits.memory, limits.scratch, limits.project, limits.output] {
            write(bytes) { $0.write($1.bytes) }
        }
        for number in [limits.pids, limits.openFiles] { write(number) { $0.write($1) } }
        write(limits.cpus) { $0.write($1.bitPattern) }
        for time in [limits.wallTime, limits.cpuTime] {
            write(time) { writer, time in
                writer.write(time.components.seconds)
                writer.write(time.components.attoseconds)
            }
        }
        write(policy.hardLimits.map(\.rawValue).sorted()) { $0.write($1) }
        write(policy.seccomp.name)
    }
}

extension ByteReader {
    fileprivate mutating func witness() throws(Damage) -> FileWitness {
        let path = try text()
        switch try number(Int.self) {
        case 0: return FileWitness(path: path, finding: .nothing)
        case 1:
            return FileWitness(
                path: path,
                finding: .file(try place(), size: try number(), modified: try time(), changed: try time()))
        case 2: return FileWitness(path: path, finding: .directory(try place()))
        default: throw Damage()
        }
    }

    private mutating func place() throws(Damage) -> FileWitness.Place {
        FileWitness.Place(
            device: try number(), inode: try number(), mode: try number(), user: try number(), group: try number())
    }

    private mutating func time() throws(Damage) -> FileTime {
        FileTime(seconds: try number(), nanoseconds: try number())
    }

    fileprivate mutating func filter() throws(Damage) -> FilterCode {
        FilterCode(
            bytes: try blob(), needsListener: try bool(),
            answered: try optional { reader throws(Damage) in try reader.number() })
    }

    fileprivate mutating func request() throws(Damage) -> OneSandbox {
        let identity = try identity()
        var stage = StageSpec(
            environments: try array { reader throws(Damage) in
                StageSpec.Environment(layers: try reader.array { reader throws(Damage) in try reader.text() })
            })
        stage.binds = try array { reader throws(Damage) in
            StageSpec.Bind(
                source: try reader.text(), readOnly: try reader.bool(),
                owner: try reader.optional { reader throws(Damage) in try reader.identity() })
        }
        return OneSandbox(identity: identity, stage: stage, sandbox: try sandbox(), name: "", scratch: nil)
    }

    private mutating func identity() throws(Damage) -> IdentityMap {
        let kind = try value { IdentityMap.Kind(rawValue: $0) }
        return IdentityMap(kind: kind, users: try ranges(), groups: try ranges())
    }

    private mutating func ranges() throws(Damage) -> [IdentityMap.Range] {
        try array { reader throws(Damage) in
            IdentityMap.Range(
                inside: try reader.number(), outside: try reader.number(), count: try reader.number())
        }
    }

    private mutating func sandbox() throws(Damage) -> SandboxSpec {
        let environment = try number(Int.self)
        let mounts = try array { reader throws(Damage) in
            SandboxSpec.Mount(try reader.source(), at: try reader.text())
        }
        let policy = try policy()
        var variables: [String: String] = [:]
        for _ in 0..<(try number(UInt16.self)) { variables[try text()] = try text() }
        var sandbox = SandboxSpec(environment: environment, policy: policy, arguments: [], variables: variables)
        sandbox.mounts = mounts
        sandbox.directory = try text()
        sandbox.hostName = try text()
        sandbox.umask = try number()
        return sandbox
    }

    private mutating func source() throws(Damage) -> SandboxSpec.Source {
        switch try number(Int.self) {
        case 0: return .project
        case 1: return .bind(try number())
        case 2: return .scratchOver(try number())
        case 3: return .writable(try text())
        default: throw Damage()
        }
    }

    private mutating func policy() throws(Damage) -> SandboxPolicy {
        let name = try text()
        let network = try value { SandboxPolicy.Network(rawValue: $0) }
        let data = try value { SandboxPolicy.DataAccess(rawValue: $0) }
        let scope = try value { SandboxPolicy.DataScope(rawValue: $0) }
        let identity = try value { SandboxPolicy.Identity(rawValue: $0) }
        let needsRange = try bool()
        var limits = ResourceLimits()
        limits.memory = try byteCount()
        limits.scratch = try byteCount()
        limits.project = try byteCount()
        limits.output = try byteCount()
        limits.pids = try count()
        limits.openFiles = try count()
        limits.cpus = try optional { reader throws(Damage) in Double(bitPattern: try reader.number(UInt64.self)) }
        limits.wallTime = try duration()
        limits.cpuTime = try duration()
        let hard = try array { reader throws(Damage) in try reader.value { LimitName(rawValue: $0) } }
        var policy = SandboxPolicy(
            name: name, network: network, data: data, identity: identity, limits: limits,
            seccomp: PreparedCommand.placeholder(for: try text()))
        policy.dataScope = scope
        policy.needsRange = needsRange
        policy.hardLimits = Set(hard)
        return policy
    }

    private mutating func byteCount() throws(Damage) -> ByteCount? {
        try optional { reader throws(Damage) in
            guard let count = ByteCount(try reader.number(Int64.self)) else { throw Damage() }
            return count
        }
    }

    private mutating func count() throws(Damage) -> Int? {
        try optional { reader throws(Damage) in try reader.number(Int.self) }
    }

    private mutating func duration() throws(Damage) -> Duration? {
        try optional { reader throws(Damage) in
            Duration(
                secondsComponent: try reader.number(Int64.self), attosecondsComponent: try reader.number(Int64.self))
        }
    }

    private mutating func value<Value>(_ of: (String) -> Value?) throws(Damage) -> Value {
        guard let value = of(try text()) else { throw Damage() }
        return value
    }
}
