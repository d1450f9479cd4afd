import SeccompFilters
import Testing

@Suite struct FilterSimulatorTests {
    @Test(
        arguments: [
            ([], .empty),
            ([0x06, 0, 0, 0, 0, 0], .unreadable(at: 0)),
            ([0x99, 0, 0, 0, 0, 0, 0, 0], .unreadable(at: 0)),
            ([0x20, 0, 0, 0, 0, 0, 0, 0], .endsWithoutVerdict),
            ([0x20, 0, 0, 0, 64, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xFF, 0x7F], .badLoad(at: 0)),
            ([0x20, 0, 0, 0, 2, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xFF, 0x7F], .badLoad(at: 0)),
            ([0x05, 0, 0, 0, 1, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xFF, 0x7F], .jumpsPastEnd(at: 0)),
            ([0x15, 0, 1, 0, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0, 0xFF, 0x7F], .jumpsPastEnd(at: 0)),
        ] as [([UInt8], FilterSimulator.Failure)])
    func `a program that the kernel would refuse is refused`(bytes: [UInt8], failure: FilterSimulator.Failure) {
        #expect(throws: failure) { try FilterSimulator(bytes: bytes) }
    }

    @Test func `a verdict that no filter here gives is an error when it is reached`() throws {
        let simulator = try FilterSimulator(bytes: [0x06, 0, 0, 0, 0, 0, 0, 0])
        #expect(throws: FilterSimulator.Failure.unknownVerdict(0)) {
            try simulator.run(SeccompData(architecture: 0, number: 0))
        }
    }
}
