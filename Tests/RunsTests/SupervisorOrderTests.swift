import Isolation
import Testing

@testable import Runs

@Suite("Orders to a supervisor")
struct SupervisorOrderTests {
    private let excess = DiskExcess(user: "kick\ntick", bytes: 6 << 20, limit: 5 << 20)

    @Test("each arrives as it was given")
    func one() {
        for order in [.interrupt, .cancel, .expire, .kill, .makeRoom(excess)] as [SupervisorOrder] {
            #expect(SupervisorOrder.all(in: order.bytes) == [order])
            #expect(order.bytes.count < SupervisorOrder.longest)
        }
    }

    @Test("of several that arrive at once the most urgent comes first, and a name gives none")
    func several() {
        let orders: [SupervisorOrder] = [.makeRoom(excess), .cancel, .kill, .expire, .interrupt]
        #expect(
            SupervisorOrder.all(in: orders.flatMap(\.bytes)) == [
                .interrupt, .kill, .makeRoom(excess), .cancel, .expire,
            ])
    }

    @Test("what is no order is passed over")
    func noise() {
        #expect(SupervisorOrder.all(in: []) == [])
        #expect(SupervisorOrder.all(in: Array("xyz\n".utf8)) == [])
        #expect(SupervisorOrder.all(in: Array("d{kit".utf8)) == [])
        #expect(SupervisorOrder.all(in: Array("d{}\nc".utf8)) == [.cancel])
    }
}
