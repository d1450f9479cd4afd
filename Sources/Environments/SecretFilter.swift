/// Replaces secrets in a stream of bytes, also where a secret is cut by the end of a chunk.
struct SecretFilter {
    private let secrets: [[UInt8]]
    private var held: [UInt8] = []

    /// Secrets of fewer than four bytes are not looked for: they would hide ordinary text.
    init(_ secrets: some Sequence<String>) {
        self.secrets = secrets.map { Array($0.utf8) }.filter { $0.count >= 4 }.sorted { $0.count > $1.count }
    }

    /// Takes a chunk and returns what may be shown by now.
    mutating func pass(_ chunk: [UInt8]) -> [UInt8] {
        guard !secrets.isEmpty else { return chunk }
        held += chunk
        var shown: [UInt8] = []
        var index = 0
        scan: while index < held.count {
            for secret in secrets where held[index] == secret[0] {
                let rest = held[index...]
                if rest.starts(with: secret) {
                    shown += "****".utf8
                    index += secret.count
                    continue scan
                }
                if rest.count < secret.count, secret.starts(with: rest) { break scan }
            }
            shown.append(held[index])
            index += 1
        }
        held.removeFirst(index)
        return shown
    }

    /// The rest at the end of the stream.
    mutating func finish() -> [UInt8] {
        defer { held = [] }
        return held
    }
}
