import PlainText

/// One line of an ignore file, as `git` reads it.
package struct IgnoreRule: Sendable, Hashable, CustomStringConvertible {
    /// The file that holds the line, relative to the project.
    package let file: [UInt8]
    /// The line's number, from 1.
    package let line: Int
    /// The line as it counts: without trailing blanks.
    package let pattern: [UInt8]
    /// Whether the line re-includes (`!`).
    package let reincludes: Bool

    /// The form of `git check-ignore -v`: file, line and pattern.
    ///
    /// A backslash stays what it is in the file: patterns use it.
    package var description: String {
        let text = pattern.split(separator: UInt8(ascii: "\\"), omittingEmptySubsequences: false)
        return "\(displayName(file)):\(line):" + text.map { displayName($0) }.joined(separator: "\\")
    }
}

/// The patterns of one ignore file.
final class IgnoreList: Sendable {
    /// Directory of the file relative to the project, with a slash at the end; empty for the project itself.
    private let base: [UInt8]
    /// Of a file that lies above the project: the way from its directory to the project, with a slash at the end.
    private let above: [UInt8]
    private let patterns: [Pattern]

    var count: Int { patterns.count }

    private struct Pattern: Sendable {
        let rule: IgnoreRule
        let directoriesOnly: Bool
        let matcher: Matcher
    }

    private enum Matcher: Sendable {
        /// Compared with the last component.
        case name(ArraySlice<UInt8>)
        case nameSuffix(ArraySlice<UInt8>)
        case namePattern(GlobPattern)
        /// Compared with the path below the base: a literal start, then a pattern.
        case path(prefix: ArraySlice<UInt8>, rest: GlobPattern)
    }

    /// Reads an ignore file.
    ///
    /// - Parameters:
    ///   - bytes: The content.
    ///   - file: Its path, for explanations.
    ///   - base: The directory that its patterns are relative to, with a slash at the end, or empty.
    ///   - above: The way from there to the project, where it lies above that: with a slash at the end.
    init(bytes: [UInt8], file: [UInt8], base: [UInt8], above: [UInt8] = []) {
        self.base = base
        self.above = above
        var patterns: [Pattern] = []
        var lines = bytes[...]
        if lines.starts(with: [0xEF, 0xBB, 0xBF]) { lines = lines.dropFirst(3) }
        var number = 0
        for line in lines.split(separator: 0x0A, omittingEmptySubsequences: false) {
            number += 1
            if let pattern = Self.pattern(line: line, number: number, file: file) { patterns.append(pattern) }
        }
        self.patterns = patterns
    }

    /// The last rule of the list that matches, which is the one that decides.
    ///
    /// - Parameters:
    ///   - path: Relative to the project.
    ///   - name: Where the last component begins.
    func decidingRule(path: [UInt8], name: Int, isDirectory: Bool) -> IgnoreRule? {
        decidingRule(
            below: above.isEmpty ? path.dropFirst(base.count) : (above + path)[...], component: path[name...],
            isDirectory: isDirectory)
    }

    /// The same of a path from the directory that the patterns are relative to, and its last component.
    func decidingRule(
        below: ArraySlice<UInt8>, component: ArraySlice<UInt8>, isDirectory: Bool
    ) -> IgnoreRule? {
        for pattern in patterns.reversed() where isDirectory || !pattern.directoriesOnly {
            let isMatch =
                switch pattern.matcher {
                case .name(let text): component == text
                case .nameSuffix(let text): component.count >= text.count && component.suffix(text.count) == text
                case .namePattern(let glob): glob.matches(component)
                case .path(let prefix, let rest):
                    below.starts(with: prefix) && rest.matches(below.dropFirst(prefix.count))
                }
            if isMatch { return pattern.rule }
        }
        return nil
    }

    private static func pattern(line: ArraySlice<UInt8>, number: Int, file: [UInt8]) -> Pattern? {
        guard !line.isEmpty, line.first != UInt8(ascii: "#") else { return nil }
        var text = line
        if text.last == 0x0D { text = text.dropLast() }
        if let end = text.firstIndex(of: 0) { text = text[..<end] }
        text = withoutTrailingSpaces(text)
        guard !text.isEmpty else { return nil }
        let shown = Array(text)
        let reincludes = text.first == UInt8(ascii: "!")
        if reincludes { text = text.dropFirst() }
        let directoriesOnly = text.last == UInt8(ascii: "/")
        // The length of the literal start is taken before the final slash goes, as git does; it is only ever shorter.
        let literal = text.prefix { !isSpecial($0) }.count
        if directoriesOnly { text = text.dropLast() }
        guard !text.isEmpty else { return nil }
        let rule = IgnoreRule(file: file, line: number, pattern: shown, reincludes: reincludes)
        return Pattern(
            rule: rule, directoriesOnly: directoriesOnly,
            matcher: matcher(text, literal: min(literal, text.count)))
    }

    private static func matcher(_ text: ArraySlice<UInt8>, literal: Int) -> Matcher {
        guard text.contains(UInt8(ascii: "/")) else {
            if literal == text.count { return .name(text) }
            if text.first == UInt8(ascii: "*"), !text.dropFirst().contains(where: isSpecial) {
                return .nameSuffix(text.dropFirst())
            }
            return .namePattern(GlobPattern(text))
        }
        let isAnchored = text.first == UInt8(ascii: "/")
        let pattern = isAnchored ? text.dropFirst() : text
        let prefix = isAnchored ? literal - 1 : literal
        // git compares the literal start first and matches only the rest as a pattern, so a `**` right behind
        // the literal start counts as if it began the pattern.
        return .path(prefix: pattern.prefix(prefix), rest: GlobPattern(pattern.dropFirst(prefix)))
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[")
            || byte == UInt8(ascii: "\\")
    }

    /// Cuts spaces at the end unless a backslash keeps them.
    private static func withoutTrailingSpaces(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var end = text.startIndex
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "\\") {
                guard index + 1 < text.endIndex else { return text }
                index += 2
                end = index
            } else {
                index += 1
                if text[index - 1] != UInt8(ascii: " ") { end = index }
            }
        }
        return text[..<end]
    }
}
