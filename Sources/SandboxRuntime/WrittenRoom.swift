package import Isolation

/// What has been written to the directories that one limit is about.
package struct WrittenRoom: Sendable, Hashable {
    /// Something in them.
    package struct Part: Sendable, Hashable {
        /// Where it is inside of the sandbox, as it may be shown.
        package var path: String
        /// Bytes that the disk has set aside, and files: one where it is no directory.
        package var bytes: Int64, files: Int64

        /// Names a part.
        package init(path: String, bytes: Int64, files: Int64) {
            self.path = path
            self.bytes = bytes
            self.files = files
        }
    }

    /// Bytes that the disk has set aside, and files and directories.
    package var bytes: Int64 = 0, files: Int64 = 0
    /// Whether directories lie deeper in each other than anybody needs.
    package var isTooDeep = false
    /// What takes most, the largest first.
    package var largest: [Part] = []

    /// Nothing.
    package init() {}

    /// Whether it is more than the limit allows.
    package func exceeds(_ limit: ByteCount) -> Bool {
        isTooDeep || bytes > limit.bytes || files > limit.files
    }

    static let mostParts = 3

    /// Keeps the parts that take most, by bytes, and by files where they have hardly any.
    mutating func consider(_ part: Part) {
        func weight(_ part: Part) -> Int64 {
            max(part.bytes, part.files.multipliedReportingOverflow(by: 4096).partialValue)
        }
        guard largest.count < Self.mostParts || weight(part) > weight(largest[largest.count - 1]) else { return }
        largest.append(part)
        largest.sort { weight($0) > weight($1) }
        if largest.count > Self.mostParts { largest.removeLast() }
    }

    /// The words of a report between two processes, parted by zero bytes.
    var words: [UInt8] {
        var words = ["\(bytes)", "\(files)", isTooDeep ? "1" : "0"]
        for part in largest { words += ["\(part.bytes)", "\(part.files)", part.path] }
        return Array(words.joined(separator: "\0").utf8)
    }

    /// Reads what `words` are; nil for anything else.
    init?(words: [UInt8]) {
        let words = words.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count >= 3, words.count % 3 == 0, let bytes = Int64(words[0]), let files = Int64(words[1]) else {
            return nil
        }
        (self.bytes, self.files, isTooDeep) = (bytes, files, words[2] == "1")
        for start in stride(from: 3, to: words.count, by: 3) {
            guard let bytes = Int64(words[start]), let files = Int64(words[start + 1]) else { return nil }
            largest.append(Part(path: words[start + 2], bytes: bytes, files: files))
        }
    }
}

extension WrittenRoom {
    /// The sizes, and where most of it is: the end of a sentence.
    var description: String {
        let size = Self.size(bytes, files: files)
        let parts = largest.map { "`\($0.path)` (\(Self.size($0.bytes, files: $0.files)))" }
        return size + (parts.isEmpty ? "" : ", most of it in " + parts.joined(separator: ", "))
    }

    private static func size(_ bytes: Int64, files: Int64) -> String {
        (ByteCount(max(0, bytes))?.rounded ?? "0B") + (files > 1 ? " in \(files) files" : "")
    }
}
