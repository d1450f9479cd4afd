import Isolation
import SandboxRuntime
import Testing

@testable import JobScheduling

@Suite("Ids for each user of a service")
struct UserRangeTests {
    private func next(
        _ count: UInt32 = 4 * 65536, taken: Set<UInt32> = [], foreign: [SubordinateRange] = [],
        service: IdentityMap = .ownerRange(base: 100_000), mapsFiles: Bool = true
    ) -> UserRanges.Next {
        UserRanges(
            service: service, range: .init(name: "cloche", first: 100_000, count: count), taken: taken,
            foreign: foreign, mapsFiles: mapsFiles
        ).next
    }

    private func why(_ next: UserRanges.Next) -> String? {
        if case .shared(let why, _) = next { why } else { nil }
    }

    @Test("the lowest that nobody has, until there are none")
    func lowest() {
        #expect(next() == .own(.ownerRange(base: 165_536), left: 2))
        #expect(next(taken: [165_536]) == .own(.ownerRange(base: 231_072), left: 1))
        // What the owner of a removed store had is free again; one who shares those of the service takes none.
        #expect(next(taken: [100_000, 231_072]) == .own(.ownerRange(base: 165_536), left: 1))
        #expect(next(taken: [165_536, 231_072, 296_608]).self != .own(.ownerRange(base: 100_000), left: 0))
        #expect(why(next(taken: [165_536, 231_072, 296_608]))?.contains("no 65536 left") == true)
        #expect(why(next(65536))?.contains("65536 ids from 100000") == true)
        #expect(why(next(2 * 65536 - 1)) != nil)
    }

    @Test("none that overlaps those of somebody else")
    func overlap() {
        #expect(
            next(foreign: [.init(name: "x", first: 170_000, count: 1)]) == .own(.ownerRange(base: 231_072), left: 1))
        #expect(
            next(foreign: [.init(name: "x", first: 0, count: .max)]).self != .own(.ownerRange(base: 165_536), left: 2))
        // A range that began elsewhere, as it was handed out before.
        #expect(next(taken: [165_000]) == .own(.ownerRange(base: 231_072), left: 1))
    }

    @Test("those of the service where it cannot be otherwise, and why")
    func shared() {
        #expect(why(next(mapsFiles: false))?.contains("file system") == true)
        #expect(why(next(service: .single(user: 5, group: 5, inside: 1000))) != nil)
    }
}
