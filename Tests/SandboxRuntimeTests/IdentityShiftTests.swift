import Isolation
import Testing

/// Files of some ids, seen as those of others.
struct IdentityShiftTests {
    private let identity = IdentityMap.ownerRange(base: 200_000)

    @Test func `whole ranges are shifted as they are`() {
        let shifted = IdentityMap.ownerRange(base: 100_000).shift(to: identity)
        #expect(shifted?.users.map(\.line) == ["100000 200000 65536"])
        #expect(shifted?.groups.map(\.line) == ["100000 200000 65536"])
    }

    @Test func `files of one user are the author's, and nobody else's are anybody's`() {
        let shifted = IdentityMap.author(user: 0, group: 50).shift(to: identity)
        #expect(shifted?.users.map(\.line) == ["0 201000 1"])
        #expect(shifted?.groups.map(\.line) == ["50 201000 1"])
    }

    @Test func `what root has not mapped is not shifted`() {
        let user = IdentityMap.userRange(user: 1000, group: 1000, subordinateUsers: 100_000, subordinateGroups: 100_000)
        #expect(IdentityMap.author(user: 0, group: 0).shift(to: user) == nil)
        #expect(user.shift(to: identity) == nil)
    }
}
