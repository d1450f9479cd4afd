/// The name of a container image as projects write it, without what does not tell images apart here.
package struct ImageName: Sendable, Hashable, CustomStringConvertible {
    /// The name without the default registry, tag and digest, such as `orchest/base-kernel-py`.
    package let text: String

    /// Takes `docker.io/` off the front and a tag or digest off the end.
    package init?(_ reference: String) {
        guard (1...255).contains(reference.utf8.count) else { return nil }
        var text = Substring(reference)
        if let digest = text.firstIndex(of: "@") { text = text[..<digest] }
        let lastPart = text.lastIndex(of: "/").map { text.index(after: $0) } ?? text.startIndex
        if let tag = text[lastPart...].firstIndex(of: ":") { text = text[..<tag] }
        for registry in ["docker.io/", "index.docker.io/"] where text.hasPrefix(registry) {
            text = text.dropFirst(registry.count)
            break
        }
        let allowed = text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x2F, 0x3A, 0x5F].contains($0) }
        guard !text.isEmpty, allowed else { return nil }
        self.text = String(text)
    }

    /// The name.
    package var description: String { text }
}
