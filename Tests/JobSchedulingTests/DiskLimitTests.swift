import Foundation
import Testing

@testable import JobScheduling

@Suite("Limits on the disk, for some users and groups")
struct DiskLimitTests {
    // Debian's first account, which is in the group of its name.
    private let user: UInt32 = 1

    private func limits(_ entries: (String?, Int64?)...) -> DiskLimits {
        DiskLimits(entries.map { .init(who: $0.0, bytes: $0.1) })
    }

    @Test("what is said of a user goes before his groups, and they before all")
    func order() {
        #expect(DiskLimits([]).limit(user: user) == nil)
        #expect(limits((nil, 10), (nil, 20)).limit(user: user) == 20)
        #expect(limits(("daemon", 5), (nil, 10), ("@daemon", 7)).limit(user: user) == 5)
        #expect(limits(("1", nil), (nil, 10), ("@daemon", 7)).limit(user: user) == nil)
        #expect(limits((nil, 10), ("@daemon", 7)).limit(user: user) == 7)
        #expect(limits((nil, 10), ("@1", 7), ("@daemon", 12)).limit(user: user) == 12)
        #expect(limits((nil, 10), ("@daemon", nil), ("@1", 12)).limit(user: user) == nil)
        #expect(limits((nil, 10), ("@root", 70), ("root", 80)).limit(user: user) == 10)
        // A user of the name of a group is not the group, and a number of a user is none of a group.
        #expect(limits((nil, 10), ("@root", 70), ("root", 80)).limit(user: 0) == 80)
        #expect(limits(("@daemon", 7)).limit(user: 3_999_999) == nil)
    }
}
