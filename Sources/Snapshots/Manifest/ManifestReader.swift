import LinuxSystem

/// Reads a stored manifest in pieces: from its file, or from the manifest below and the changes of a layer.
///
/// Changes that are none of the manifest below end the text too early: then it does not have the identity.
struct ManifestReader {
    private enum Step {
        case keep(Int)
        case drop(Int)
        case add(Int)
        case keepRest
    }

    private var below: LineSource
    private var changes: LineSource?
    /// What comes next, the last first.
    private var steps: [Step] = []
    /// How many lines of the manifest below the steps so far have told of.
    private var line = 0
    private var isFinished = false

    /// Reads an open file from where it is.
    init(_ manifest: CInt) { below = LineSource(manifest) }

    /// Reads what the changes, which ``ManifestChanges`` wrote, make of the manifest below.
    init(below: CInt, changes: CInt) {
        self.below = LineSource(below)
        self.changes = LineSource(changes)
    }

    /// The next bytes; none at the end.
    mutating func read() throws(SyscallError) -> ArraySlice<UInt8> {
        guard changes != nil else { return try below.take() }
        var text: [UInt8] = []
        while !isFinished, text.count < LineSource.pieceSize {
            if steps.isEmpty { steps = try nextSteps().reversed() }
            if let step = steps.popLast(), let rest = try take(step, to: &text) {
                if let rest { steps.append(rest) }
            } else {
                isFinished = true
            }
        }
        return text[...]
    }

    /// Takes a step as far as bytes are at hand, and gives what is left of it, if anything; nil where it cannot be taken.
    private mutating func take(_ step: Step, to text: inout [UInt8]) throws(SyscallError) -> Step?? {
        switch step {
        case .keepRest:
            let bytes = try below.take()
            text += bytes
            return bytes.isEmpty ? nil : .some(.keepRest)
        case .keep(let count):
            let (bytes, lines) = try below.take(lines: count)
            text += bytes
            return bytes.isEmpty ? nil : .some(lines < count ? .keep(count - lines) : nil)
        case .drop(let count):
            let (bytes, lines) = try below.take(lines: count)
            return bytes.isEmpty ? nil : .some(lines < count ? .drop(count - lines) : nil)
        case .add(let count):
            guard let (bytes, lines) = try changes?.take(lines: count), !bytes.isEmpty else { return nil }
            text += bytes
            return .some(lines < count ? .add(count - lines) : nil)
        }
    }

    /// The steps of the next command; the rest of the manifest below when there is none, and nothing when it is none.
    private mutating func nextSteps() throws(SyscallError) -> [Step] {
        guard let command = try nextCommand() else { return [] }
        guard let letter = command.first else { return [.keepRest] }
        let numbers = command.dropFirst().dropLast().split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard numbers.count == 2, let place = Self.number(numbers[0]), let count = Self.number(numbers[1]), count > 0
        else { return [] }
        let isDrop = letter == UInt8(ascii: "d")
        let kept = (isDrop ? place - 1 : place) - line
        guard kept >= 0, isDrop || letter == UInt8(ascii: "a") else { return [] }
        line += isDrop ? kept + count : kept
        return (kept > 0 ? [.keep(kept)] : []) + [isDrop ? .drop(count) : .add(count)]
    }

    /// The line of the next command with its end; empty when there is none, nil when it is not whole.
    private mutating func nextCommand() throws(SyscallError) -> [UInt8]? {
        var command: [UInt8] = []
        while command.count <= Self.commandLimit {
            guard let (bytes, lines) = try changes?.take(lines: 1), !bytes.isEmpty else { break }
            command += bytes
            if lines == 1 { return command }
        }
        return command.isEmpty ? [] : nil
    }

    private static let commandLimit = 40

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...15).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
