import LinuxSystem
import Testing

@Suite("Looking for bytes") struct ByteSearchTests {
    @Test func `bytes are found wherever they begin, and nothing else is`() {
        let text = Array("the quick brown fox jumps over the lazy dog".utf8)
        for start in text.indices {
            for end in start...text.count { #expect(text.contains(bytes: Array(text[start..<end]))) }
        }
        for other in ["foxx", "lazy  dog", "dogs", "The", "zzzz", "the quick brown fox jumps over the lazy dog!"] {
            #expect(!text.contains(bytes: Array(other.utf8)), "\(other)")
        }
        #expect(text[4..<9].contains(bytes: Array("quick".utf8)) && !text[4..<9].contains(bytes: Array("the".utf8)))
        #expect([UInt8]().contains(bytes: []) && ![UInt8]().contains(bytes: [0]))
        #expect(Array("aabaabaaab".utf8).contains(bytes: Array("aaab".utf8)))
    }
}
