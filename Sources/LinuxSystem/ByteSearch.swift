extension Collection<UInt8> {
    /// Whether `bytes` are in it, one behind the other; an empty sequence is in everything.
    ///
    /// The search of Horspool: by the byte below the end of what is looked for it is known how far to go on.
    package func contains(bytes: [UInt8]) -> Bool {
        guard let last = bytes.last else { return true }
        let found = withContiguousStorageIfAvailable { text in
            if text.count < bytes.count { return false }
            var steps = [Int](repeating: bytes.count, count: 256)
            for (index, byte) in bytes.dropLast().enumerated() { steps[Int(byte)] = bytes.count - 1 - index }
            return steps.withUnsafeBufferPointer { steps in
                var end = bytes.count - 1
                while end < text.count {
                    let byte = text[end]
                    if byte == last, text[(end - bytes.count + 1)...end].elementsEqual(bytes) { return true }
                    end += steps[Int(byte)]
                }
                return false
            }
        }
        return found ?? Array(self).contains(bytes: bytes)
    }
}
