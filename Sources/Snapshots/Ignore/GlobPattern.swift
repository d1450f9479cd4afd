private let slash = UInt8(ascii: "/")

/// A shell pattern in git's dialect, compiled once and matched against many names.
///
/// `?`, `*` and character classes never match `/`; `**` does where it is a whole component. Matching takes no more
/// than the product of both lengths for each `**`, whatever the pattern: patterns come from projects.
struct GlobPattern: Sendable, Hashable {
    private enum Token: Sendable, Hashable {
        case byte(UInt8)
        case anyByte
        case set(ByteSet)
        /// Any run without `/`.
        case run
        /// Any run.
        case deepRun
        /// Nothing, or whole components with the `/` after them.
        case components
    }

    private let tokens: [Token]
    /// False for patterns that git never matches: an open class, an unknown class name, a final backslash.
    private let isWellFormed: Bool

    /// Compiles the bytes of a pattern.
    init(_ pattern: ArraySlice<UInt8>) {
        var scanner = Scanner(pattern: pattern)
        isWellFormed = scanner.scan()
        tokens = scanner.tokens
    }

    /// Whether the pattern matches all of `text`.
    func matches(_ text: ArraySlice<UInt8>) -> Bool {
        guard isWellFormed else { return false }
        var position = text.startIndex
        var index = 0
        // Where to go on after a mismatch: the innermost run first. A run inside a component can only grow up to the
        // next `/`, so the earliest place for what follows it is always the best, and one place a kind is enough.
        var shallow: (index: Int, position: Int)?
        var deep: DeepPlace?
        while true {
            if index < tokens.count {
                switch tokens[index] {
                case .run:
                    index += 1
                    shallow = (index, position)
                    continue
                case .deepRun:
                    index += 1
                    shallow = nil
                    deep = DeepPlace(index: index, position: position, wholeComponents: false)
                    continue
                case .components:
                    index += 1
                    shallow = nil
                    deep = DeepPlace(index: index, position: position, wholeComponents: true)
                    continue
                case .byte(let byte):
                    if position < text.endIndex, text[position] == byte {
                        index += 1
                        position += 1
                        continue
                    }
                case .anyByte:
                    if position < text.endIndex, text[position] != slash {
                        index += 1
                        position += 1
                        continue
                    }
                case .set(let set):
                    if position < text.endIndex, text[position] != slash, set.contains(text[position]) {
                        index += 1
                        position += 1
                        continue
                    }
                }
            } else if position == text.endIndex {
                return true
            }
            if let place = shallow, place.position < text.endIndex, text[place.position] != slash {
                shallow = (place.index, place.position + 1)
                (index, position) = (place.index, place.position + 1)
            } else if let place = deep, let next = place.next(in: text) {
                deep = DeepPlace(index: place.index, position: next, wholeComponents: place.wholeComponents)
                shallow = nil
                (index, position) = (place.index, next)
            } else {
                return false
            }
        }
    }

    /// Where matching goes on when what follows a run over components did not match.
    private struct DeepPlace {
        let index: Int
        let position: Int
        let wholeComponents: Bool

        func next(in text: ArraySlice<UInt8>) -> Int? {
            guard position < text.endIndex else { return nil }
            guard wholeComponents else { return position + 1 }
            return text[position...].firstIndex(of: slash).map { $0 + 1 }
        }
    }

    /// Turns pattern bytes into tokens.
    private struct Scanner {
        let pattern: ArraySlice<UInt8>
        var tokens: [Token] = []
        private var index: Int

        init(pattern: ArraySlice<UInt8>) {
            self.pattern = pattern
            index = pattern.startIndex
        }

        private func byte(at position: Int) -> UInt8? {
            position < pattern.endIndex ? pattern[position] : nil
        }

        mutating func scan() -> Bool {
            while let byte = byte(at: index) {
                switch byte {
                case UInt8(ascii: "\\"):
                    guard let escaped = self.byte(at: index + 1) else { return false }
                    tokens.append(.byte(escaped))
                    index += 2
                case UInt8(ascii: "?"):
                    tokens.append(.anyByte)
                    index += 1
                case UInt8(ascii: "*"):
                    scanStars()
                case UInt8(ascii: "["):
                    guard let set = ByteSet(class: pattern, at: &index) else { return false }
                    tokens.append(.set(set))
                default:
                    tokens.append(.byte(byte))
                    index += 1
                }
            }
            return true
        }

        private mutating func scanStars() {
            let first = index
            while byte(at: index) == UInt8(ascii: "*") { index += 1 }
            let startsComponent = first == pattern.startIndex || pattern[first - 1] == UInt8(ascii: "/")
            let next = byte(at: index)
            let isEscapedSlash =
                next == UInt8(ascii: "\\") && byte(at: index + 1) == UInt8(ascii: "/")
            if index - first < 2 || !startsComponent {
                tokens.append(.run)
            } else if next == UInt8(ascii: "/") {
                tokens.append(.components)
                index += 1
            } else if next == nil || isEscapedSlash {
                tokens.append(.deepRun)
            } else {
                tokens.append(.run)
            }
        }
    }
}
