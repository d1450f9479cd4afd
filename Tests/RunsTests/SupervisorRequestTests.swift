import LinuxSystem
import SystemPackage
import Testing

@testable import Runs

@Suite("Requests for supervisors") struct SupervisorRequestTests {
    @Test(
        "a request arrives as it was sent, whatever is in its path",
        arguments: [FilePath("/a/b"), FilePath("/a b/\n/1"), FilePath("/\u{FC}")])
    func roundTrip(_ path: FilePath) {
        for outlives in [false, true] {
            let request = SupervisorRequest(path, attempt: 12, outlivesEngine: outlives)
            #expect(SupervisorRequest(request.bytes) == request)
        }
    }

    @Test("a path that is no text arrives byte by byte") func bytes() {
        let request = SupervisorRequest(FilePath(bytes: [0x2F, 0xFF, 0xC3]), attempt: 1, outlivesEngine: false)
        #expect(SupervisorRequest(request.bytes)?.directory.bytes == [0x2F, 0xFF, 0xC3])
    }

    @Test(
        "what is no request is none", arguments: ["", "1", "1\u{0}0", "1\u{0}0\u{0}", "a\u{0}0\u{0}/x", "\u{0}\u{0}/x"])
    func refused(_ text: String) {
        #expect(SupervisorRequest(Array(text.utf8)) == nil)
    }

    @Test func `an answer is the number of a process or what failed`() throws {
        let found = try #require(SupervisorAnswer(SupervisorAnswer(.success(4711)).bytes))
        #expect(try found.result.get() == 4711)
        let failure = SyscallError("clone", errno: .resourceTemporarilyUnavailable)
        let failed = try #require(SupervisorAnswer(SupervisorAnswer(.failure(failure)).bytes))
        #expect(throws: failure) { try failed.result.get() }
        #expect(SupervisorAnswer([]) == nil && SupervisorAnswer(Array("0".utf8)) == nil)
    }
}
