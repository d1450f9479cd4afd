import CSandboxLaunch
import Isolation
import Testing

@testable import SandboxLaunch

struct LaunchBlockTests {
    private let placements: [(index: Int, number: Int32)] = [(3, 0), (4, 1), (5, 2)]

    private func parsed(_ operations: [LaunchPlan.Operation], namespaces: UInt32 = 0) throws -> ParsedBlock {
        let plan = LaunchPlan(namespaces: namespaces, operations: operations)
        return ParsedBlock(bytes: try plan.block(placements: placements, initDescriptor: 0))
    }

    private func failure(_ operations: [LaunchPlan.Operation]) -> InvalidLaunchPlan? {
        let plan = LaunchPlan(namespaces: 0, operations: operations)
        do throws(InvalidLaunchPlan) {
            _ = try plan.block(placements: placements, initDescriptor: 0)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the header tells what follows`() throws {
        let block = try parsed([.loopbackUp, .parentDeath], namespaces: 0x0002_0000)
        #expect(block.header.magic == UInt32(CSandboxLaunch_magic))
        #expect(Int(block.header.size) == block.bytes.count)
        #expect(block.header.namespaces == 0x0002_0000)
        #expect(block.operations.count == Int(block.header.operations))
    }

    @Test func `after the plan come descriptors and the execution`() throws {
        let block = try parsed([.parentDeath])
        let codes = [
            CSandboxLaunch_parentDeath, CSandboxLaunch_place, CSandboxLaunch_place, CSandboxLaunch_place,
            CSandboxLaunch_place, CSandboxLaunch_closeFrom, CSandboxLaunch_execute,
        ]
        #expect(block.operations.map(\.code) == codes.map(\.rawValue))
        let placed = block.operations[1...4].map { [$0.number.0, $0.number.1, $0.number.2] }
        // The program is placed behind init's own descriptor and closed by its execution.
        #expect(placed == [[3, 0, 0], [4, 1, 0], [5, 2, 0], [0, 4, 1]])
        #expect(block.operations[5].number.0 == 5)
        #expect(block.operations[6].number.0 == 4)
        #expect(block.strings(6).first == "cloche-init")
    }

    @Test func `operands arrive as they are`() throws {
        let block = try parsed([
            .mount(source: "scratch", target: "/new", type: nil, flags: 0x8000_0001, data: "size=1"),
            .mount(source: nil, target: "/new", type: "tmpfs", flags: 0, data: nil),
            .becomeUser(user: .max, group: 7), .setLimit(resource: 4, soft: nil, hard: 9),
            .setAffinity([0, 2, 17]), .writeFile("/f", text: ""),
            .joinNamespace(descriptor: 6, kind: 0x4000_0000),
        ])
        #expect(block.strings(0) == ["scratch", "/new", nil, "size=1"])
        #expect(block.operations[0].number.0 == 0x8000_0001)
        #expect(block.strings(1) == [nil, "/new", "tmpfs", nil])
        #expect(block.operations[2].number.0 == UInt64(UInt32.max))
        #expect(block.operations[2].number.1 == 7)
        #expect(block.operations[3].number.1 == .max)
        #expect(block.operations[3].number.2 == 9)
        #expect(block.strings(4).first == "0,2,17,")
        #expect(block.strings(5) == ["/f", "", nil, nil])
        #expect(block.operations[6].number.0 == 6)
        #expect(block.operations[6].number.1 == 0x4000_0000)
    }

    @Test func `the audit carries a line for each mount`() throws {
        let mounts = [
            ExpectedMount(.one, at: "/", type: "overlay", flags: .noSetuid),
            ExpectedMount(.anyBelow, at: "/data", type: nil, flags: []),
        ]
        let block = try parsed([.auditMounts(mounts)])
        #expect(block.strings(0).first == "= s overlay /\n* - - /data\n")
    }

    @Test func `every string ends inside the block`() throws {
        let block = try parsed([
            .setHostName("cloche"), .makeDirectory("/a", mode: 0o755), .linkSymbolic(target: "/b", path: "/c"),
            .changeOwner("/d", user: 1, group: 2), .remount(target: "/e", flags: 1), .pivotRoot("/new"),
        ])
        let tableEnd = MemoryLayout<CSandboxLaunch_block>.size + block.operations.count * ParsedBlock.operationSize
        for offset in block.offsets where offset != 0 {
            #expect(offset >= tableEnd)
            #expect(block.bytes[offset...].contains(0))
        }
        #expect(block.bytes.last == 0)
    }

    @Test func `texts that only look the same are two`() throws {
        let composed = "/caf\u{E9}", decomposed = "/cafe\u{301}"
        let block = try parsed([.pivotRoot(composed), .pivotRoot(decomposed)])
        let paths = (0...1).map { Array((block.strings($0)[0] ?? "").utf8) }
        #expect(paths == [Array(composed.utf8), Array(decomposed.utf8)])
    }

    @Test(
        "a zero byte is refused wherever it is",
        arguments: [
            .mount(source: "a\0", target: "/new", type: nil, flags: 0, data: nil), .pivotRoot("/a\0b"),
            .setHostName("\0"), .writeFile("/f", text: "a\0"),
            .auditMounts([ExpectedMount(.one, at: "/a\0", type: nil, flags: [])]),
        ] as [LaunchPlan.Operation])
    func zeroByte(operation: LaunchPlan.Operation) {
        #expect(failure([operation]) == .zeroByte)
    }

    @Test func `a plan that the launcher could not receive is refused`() {
        let limit = Int(CSandboxLaunch_maximumBlock)
        let long = (0..<40).map { String(repeating: "a", count: 4096) + "\($0)" }
        #expect(failure(long.map { .pivotRoot($0) }) == .tooLong(limit: limit))
        #expect(failure(long.prefix(30).map { .pivotRoot($0) }) == nil)
    }

    @Test func `refusals tell why`() {
        #expect("\(InvalidLaunchPlan.zeroByte)".contains("zero byte"))
        #expect("\(InvalidLaunchPlan.tooLong(limit: 4096))".contains("longer than 4096 bytes"))
        #expect("\(InvalidLaunchPlan.tooManyWords(limit: 7))".contains("more than 7 arguments or variables"))
    }
}
