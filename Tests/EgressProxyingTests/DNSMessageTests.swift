import Isolation
import LinuxSystem
import Testing

@testable import EgressProxying

/// Messages of DNS, from servers and from programs, any of which may be an attack.
struct DNSMessageTests {
    private let name: HostName

    init() throws { name = try HostName("data.example.org") }

    /// An answer to `query`, with records of a type and data each, named by a pointer.
    private func answer(_ query: [UInt8], code: UInt8 = 0, _ records: [(type: UInt8, data: [UInt8])]) -> [UInt8] {
        var bytes = Array(query.dropLast(11))
        bytes[2] = 0x81
        bytes[3] = 0x80 | code
        bytes[7] = UInt8(records.count)
        bytes[11] = 0
        for record in records {
            bytes += [0xC0, 12, 0, record.type, 0, 1, 0, 0, 0, 9, 0, UInt8(record.data.count)] + record.data
        }
        return bytes
    }

    @Test func `addresses are taken, and aliases on the way passed over`() throws {
        let query = DNSMessage.query(name, type: 1, identity: 77)
        let bytes = answer(
            query, [(5, [1, 97, 0]), (1, [1, 2, 3, 4]), (28, [UInt8](repeating: 1, count: 16)), (1, [5, 6, 7, 8])])
        let response = try #require(DNSMessage.response(bytes[...], to: name, type: 1, identity: 77))
        #expect(response.addresses.map(\.description) == ["1.2.3.4", "5.6.7.8"])
        // Of a message that was cut off, what is whole.
        let cut = try #require(DNSMessage.response(bytes.dropLast(2), to: name, type: 1, identity: 77))
        #expect(cut.addresses.map(\.description) == ["1.2.3.4"])
    }

    @Test func `what answers another question is no answer`() throws {
        let query = DNSMessage.query(name, type: 1, identity: 77)
        let bytes = answer(query, [(1, [1, 2, 3, 4])])
        #expect(DNSMessage.response(bytes[...], to: name, type: 1, identity: 78) == nil)
        #expect(DNSMessage.response(bytes[...], to: name, type: 28, identity: 77) == nil)
        #expect(DNSMessage.response(bytes[...], to: try HostName("other.org"), type: 1, identity: 77) == nil)
        #expect(DNSMessage.response(query[...], to: name, type: 1, identity: 77) == nil)
        #expect(DNSMessage.response(answer(query, code: 3, [])[...], to: name, type: 1, identity: 77)?.code == 3)
    }

    @Test func `programs are answered with an address, or with none`() throws {
        let bytes = DNSMessage.query(name, type: 1, identity: 5)
        let query = try #require(DNSMessage.Query(bytes[...]))
        #expect(query.question.hostName == name)
        let reply = query.answer(.success, address: IPAddress("198.18.0.1"))
        let read = try #require(DNSMessage.response(reply[...], to: name, type: 1, identity: 5))
        #expect(read.addresses == [IPAddress("198.18.0.1")])
        #expect(DNSMessage.response(query.answer(.noSuchName)[...], to: name, type: 1, identity: 5)?.code == 3)
        // A dot inside of a label is not one between two.
        let odd: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5] + Array("a.org".utf8) + [0, 0, 1, 0, 1]
        #expect(try #require(DNSMessage.Query(odd[...])).question.hostName == nil)
    }

    @Test func `whatever comes, it is read within its bounds`() {
        let query = DNSMessage.query(name, type: 1, identity: 77)
        let seeds = [query, answer(query, [(1, [1, 2, 3, 4]), (5, [0xC0, 12])])]
        for seed in UInt64(1)...4000 {
            var random = Seeded(seed)
            let bytes = random.damaged(seeds[Int(seed) % 2])
            _ = DNSMessage.response(bytes[...], to: name, type: 1, identity: 77)
            if let query = DNSMessage.Query(bytes[...]) { #expect(query.answer(.noSuchName).count >= 12) }
        }
    }

    @Test func `the host's tables are read by their letter`() throws {
        let names = HostTables.names(
            Array("127.0.0.1\tlocalhost db # x\n# 9.9.9.9 no\n::1 LOCALHOST\n10.0.0.1 db\nx y\n".utf8))
        #expect(names[try HostName("db")]?.map(\.description) == ["127.0.0.1", "10.0.0.1"])
        #expect(names[try HostName("localhost")]?.map(\.description) == ["127.0.0.1", "::1"])
        let servers = HostTables.servers(
            Array("# c\nnameserver 10.0.0.2\nsearch x\nnameserver ::1\nnameserver bad\n".utf8))
        #expect(
            servers == [
                .init(bytes: [10, 0, 0, 2], port: 53), .init(bytes: [UInt8](repeating: 0, count: 15) + [1], port: 53),
            ])
        #expect(HostTables.servers([]) == [.init(bytes: [127, 0, 0, 1], port: 53)])
        let trie = "  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 10.0.0.255\n     /32 link BROADCAST\n"
        let own = HostTables.own(Array(trie.utf8), Array("fe80000000000000000000000000001f 02 40 20 80 eth0\n".utf8))
        #expect(own.map(\.description).sorted() == ["10.0.0.5", "fe80::1f"])
    }
}
