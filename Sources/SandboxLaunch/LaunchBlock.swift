import CSandboxLaunch
package import Isolation

/// The bytes of a plan as the launcher and init read them: arrays of words and zero-ended strings, found by offset.
struct BlockWriter {
    private(set) var bytes: [UInt8] = []
    /// Whether a string contained a zero byte, which no call of the kernel could carry.
    private(set) var foundZero = false

    mutating func append(_ value: UInt32) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
    mutating func append(_ value: UInt64) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }

    mutating func replace(at offset: Int, with value: UInt32) {
        withUnsafeBytes(of: value) { bytes.replaceSubrange(offset..<(offset + 4), with: $0) }
    }

    mutating func align() {
        while bytes.count % 8 != 0 { bytes.append(0) }
    }

    /// Writes a string and tells where it is.
    mutating func string(_ text: String) -> UInt32 {
        let offset = UInt32(bytes.count)
        if text.utf8.contains(0) { foundZero = true }
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
        return offset
    }

    /// Writes an array of string offsets.
    mutating func words(_ texts: [String]) -> UInt32 {
        let offsets = texts.map { string($0) }
        align()
        let start = UInt32(bytes.count)
        for offset in offsets { append(offset) }
        return start
    }

    mutating func blob(_ content: [UInt8]) -> UInt32 {
        align()
        let start = UInt32(bytes.count)
        bytes.append(contentsOf: content)
        return start
    }
}

/// A plan that does not fit into the form that the launch needs.
package enum InvalidLaunchPlan: Error, Sendable, Hashable, CustomStringConvertible {
    /// A text contains a zero byte.
    case zeroByte
    /// Everything together is too long; the limit is in bytes.
    case tooLong(limit: Int)
    /// More arguments or variables than can be carried.
    case tooManyWords(limit: Int)

    /// The reason, to come after "failed to launch:".
    package var description: String {
        switch self {
        case .zeroByte: "an argument, a variable or a path contains a zero byte"
        case .tooLong(let limit): "arguments, variables and mounts are longer than \(limit) bytes together"
        case .tooManyWords(let limit): "there are more than \(limit) arguments or variables"
        }
    }
}

extension LaunchPlan {
    private static let operationSize = 4 + 16 + 4 + 24

    /// The block for the launcher.
    ///
    /// After the plan's own operations come the placing of `placements` (index of a sent descriptor, number inside),
    /// the closing of every other one, and the execution of the init at `initDescriptor`.
    package func block(
        placements: [(index: Int, number: Int32)], initDescriptor: Int
    ) throws(InvalidLaunchPlan) -> [UInt8] {
        var words: [OperationWords] = []
        var writer = BlockWriter()
        let executable = Int32(CSandboxLaunch_controlDescriptor) + 1
        let count = operations.count + placements.count + 3
        writer.append(UInt32(CSandboxLaunch_magic))
        writer.append(UInt32(0))
        writer.append(namespaces)
        writer.append(UInt32(count))
        let tableStart = writer.bytes.count
        for _ in 0..<(count * Self.operationSize / 8) { writer.append(UInt64(0)) }
        for operation in operations { words.append(operation.words(&writer)) }
        for (index, number) in placements {
            words.append(OperationWords(CSandboxLaunch_place, [UInt64(index), UInt64(number), 0]))
        }
        words.append(OperationWords(CSandboxLaunch_place, [UInt64(initDescriptor), UInt64(executable), 1]))
        words.append(OperationWords(CSandboxLaunch_closeFrom, [UInt64(executable) + 1]))
        let name = writer.string("cloche-init")
        words.append(OperationWords(CSandboxLaunch_execute, [UInt64(executable)], [name]))
        writer.bytes(replacing: tableStart, with: words)
        let size = UInt32(writer.bytes.count)
        writer.replace(at: 4, with: size)
        guard !writer.foundZero else { throw .zeroByte }
        let limit = Int(CSandboxLaunch_maximumBlock)
        guard writer.bytes.count <= limit else { throw .tooLong(limit: limit) }
        return writer.bytes
    }
}

struct OperationWords {
    var code: UInt32
    var strings: [UInt32]
    var numbers: [UInt64]

    init(_ code: CSandboxLaunch_code, _ numbers: [UInt64] = [], _ strings: [UInt32] = []) {
        self.code = code.rawValue
        self.numbers = numbers
        self.strings = strings
    }
}

extension BlockWriter {
    mutating func bytes(replacing start: Int, with table: [OperationWords]) {
        var part = BlockWriter()
        for operation in table {
            part.append(operation.code)
            for index in 0..<4 { part.append(index < operation.strings.count ? operation.strings[index] : 0) }
            part.append(UInt32(0))
            for index in 0..<3 { part.append(index < operation.numbers.count ? operation.numbers[index] : 0) }
        }
        replaceBytes(at: start, with: part.bytes)
    }

    private mutating func replaceBytes(at start: Int, with content: [UInt8]) {
        bytes.replaceSubrange(start..<(start + content.count), with: content)
    }
}

extension LaunchPlan.Operation {
    fileprivate func words(_ writer: inout BlockWriter) -> OperationWords {
        func optional(_ text: String?) -> UInt32 { text.map { writer.string($0) } ?? 0 }
        switch self {
        case .becomeUser(let user, let group):
            return OperationWords(CSandboxLaunch_becomeUser, [UInt64(user), UInt64(group)])
        case .mount(let source, let target, let type, let flags, let data):
            let strings = [optional(source), writer.string(target), optional(type), optional(data)]
            return OperationWords(CSandboxLaunch_mount, [flags], strings)
        case .remount(let target, let flags):
            return OperationWords(CSandboxLaunch_remount, [flags], [writer.string(target)])
        case .makeDirectory(let path, let mode):
            return OperationWords(CSandboxLaunch_makeDirectory, [UInt64(mode)], [writer.string(path)])
        case .pivotRoot(let path):
            return OperationWords(CSandboxLaunch_pivotRoot, [], [writer.string(path)])
        case .changeOwner(let path, let user, let group):
            return OperationWords(
                CSandboxLaunch_changeOwner, [UInt64(user), UInt64(group)], [writer.string(path)])
        case .setHostName(let name):
            return OperationWords(CSandboxLaunch_setHostName, [], [writer.string(name)])
        case .loopbackUp:
            return OperationWords(CSandboxLaunch_loopbackUp)
        case .setLimit(let resource, let soft, let hard):
            return OperationWords(
                CSandboxLaunch_setLimit, [UInt64(UInt32(bitPattern: resource)), soft ?? .max, hard ?? .max])
        case .writeFile(let path, let text):
            return OperationWords(CSandboxLaunch_writeFile, [], [writer.string(path), writer.string(text)])
        case .parentDeath:
            return OperationWords(CSandboxLaunch_parentDeath)
        case .setUmask(let mask):
            return OperationWords(CSandboxLaunch_setUmask, [UInt64(mask)])
        case .linkSymbolic(let target, let path):
            return OperationWords(CSandboxLaunch_linkSymbolic, [], [writer.string(target), writer.string(path)])
        case .keepCapabilities:
            return OperationWords(CSandboxLaunch_keepCapabilities)
        case .joinNamespace(let descriptor, let kind):
            return OperationWords(CSandboxLaunch_joinNamespace, [UInt64(descriptor), UInt64(kind)])
        case .setAffinity(let processors):
            let list = processors.map { "\($0)," }.joined()
            return OperationWords(CSandboxLaunch_setAffinity, [], [writer.string(list)])
        case .auditMounts(let mounts):
            let table = mounts.map(\.line).joined()
            return OperationWords(CSandboxLaunch_auditMounts, [], [writer.string(table)])
        }
    }
}

extension CommandPlan {
    /// How many words a command can have, its name among them, and how many variables.
    package static let wordLimit = Int(CSandboxLaunch_maximumWords)

    /// The block for init.
    package func block() throws(InvalidLaunchPlan) -> [UInt8] {
        let limit = Self.wordLimit
        guard arguments.count <= limit, variables.count <= limit else { throw .tooManyWords(limit: limit) }
        var writer = BlockWriter()
        let headerSize = MemoryLayout<CSandboxLaunch_command>.size
        for _ in 0..<((headerSize + 7) / 8) { writer.append(UInt64(0)) }
        var header = CSandboxLaunch_command()
        header.magic = UInt32(CSandboxLaunch_commandMagic)
        header.user = user
        header.group = group
        header.initUser = initUser
        header.initGroup = initGroup
        header.capabilities = capabilities
        header.changesIdentity = changesIdentity ? 1 : 0
        header.terminal = terminal.rawValue
        header.filterOffset = writer.blob(filter)
        header.filterInstructions = UInt32(filter.count / 8)
        header.initFilterOffset = writer.blob(initFilter)
        header.initFilterInstructions = UInt32(initFilter.count / 8)
        header.filterListens = filterListens ? 1 : 0
        header.directory = writer.string(directory)
        header.umask = umask
        header.argumentCount = UInt32(arguments.count)
        header.arguments = writer.words(arguments)
        header.variableCount = UInt32(variables.count)
        header.variables = writer.words(variables)
        header.candidateCount = UInt32(candidates.count)
        header.candidates = writer.words(candidates)
        header.socketlessCount = UInt32(socketless.count)
        header.socketless = writer.words(socketless)
        header.attachment = attachment.map { writer.string($0) } ?? 0
        // The last byte must be zero: it ends the last string whatever that is.
        _ = writer.blob([0, 0, 0, 0, 0, 0, 0, 0])
        header.size = UInt32(writer.bytes.count)
        guard !writer.foundZero else { throw .zeroByte }
        let longest = Int(CSandboxLaunch_maximumCommand)
        guard writer.bytes.count <= longest else { throw .tooLong(limit: longest) }
        var result = writer.bytes
        withUnsafeBytes(of: header) { result.replaceSubrange(0..<headerSize, with: $0) }
        return result
    }
}
