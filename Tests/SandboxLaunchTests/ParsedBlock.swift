import CSandboxLaunch

/// A launch block as the launcher sees it.
struct ParsedBlock {
    static let operationSize = MemoryLayout<CSandboxLaunch_operation>.size

    let bytes: [UInt8]

    var header: CSandboxLaunch_block { bytes.withUnsafeBytes { $0.loadUnaligned(as: CSandboxLaunch_block.self) } }

    var operations: [CSandboxLaunch_operation] {
        let start = MemoryLayout<CSandboxLaunch_block>.size
        return bytes.withUnsafeBytes { all in
            (0..<Int(header.operations)).map {
                all.loadUnaligned(fromByteOffset: start + $0 * Self.operationSize, as: CSandboxLaunch_operation.self)
            }
        }
    }

    /// The offsets of all strings of all operations.
    var offsets: [Int] {
        operations.flatMap { [$0.string.0, $0.string.1, $0.string.2, $0.string.3].map(Int.init) }
    }

    /// The strings of one operation.
    func strings(_ index: Int) -> [String?] {
        let all = operations[index].string
        return [all.0, all.1, all.2, all.3].map { $0 == 0 ? nil : text(at: Int($0)) }
    }

    private func text(at offset: Int) -> String { String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self) }
}

/// A command block as init sees it.
struct ParsedCommand {
    let bytes: [UInt8]

    var header: CSandboxLaunch_command { bytes.withUnsafeBytes { $0.loadUnaligned(as: CSandboxLaunch_command.self) } }

    func text(at offset: UInt32) -> [UInt8] { Array(bytes[Int(offset)...].prefix { $0 != 0 }) }

    func words(_ offset: UInt32, _ count: UInt32) -> [String] {
        bytes.withUnsafeBytes { all in
            (0..<Int(count)).map { all.loadUnaligned(fromByteOffset: Int(offset) + 4 * $0, as: UInt32.self) }
        }.map { String(decoding: text(at: $0), as: UTF8.self) }
    }
}
