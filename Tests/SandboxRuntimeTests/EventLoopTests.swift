import Glibc
import LinuxSystem
import Testing

/// One thread's waiting.
struct EventLoopTests {
    @Test func `a descriptor that takes the number of a closed one is not taken for it`() throws {
        var pipes: [[CInt]] = []
        for _ in 0..<2 {
            var ends: [CInt] = [0, 0]
            try #require(pipe(&ends) == 0)
            pipes.append(ends)
            #expect(write(ends[1], "x", 1) == 1)
        }
        var silent: [CInt] = [0, 0]
        try #require(pipe(&silent) == 0)
        let loop = EventLoop()
        var calls = 0, wrong = 0
        // Both are ready at once: whichever comes first closes the other one, and a silent file gets its number.
        for (own, other) in [(pipes[0][0], pipes[1][0]), (pipes[1][0], pipes[0][0])] {
            loop.watch(own) {
                calls += 1
                loop.unwatch(own)
                loop.unwatch(other)
                #expect(dup2(silent[0], other) == other)
                loop.watch(other) { wrong += 1 }
            }
        }
        loop.after(0.05) { loop.stop() }
        try loop.run()
        #expect(calls == 1 && wrong == 0)
        for end in pipes.joined() { close(end) }
        for end in silent { close(end) }
    }
}
