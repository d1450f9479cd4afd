import Isolation
import Testing

/// Addresses and names, and which of them a connection may go to.
struct AddressTests {
    @Test(
        "plain addresses are read and written",
        arguments: [
            ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
            ("2001:DB8::0001", "2001:db8::1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1::8", "1::8"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("::ffff:1.2.3.4", "1.2.3.4"), ("::ffff:102:304", "1.2.3.4"),
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ])
    func plain(text: String, form: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == form)
        #expect(IPAddress(form) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(
        "other forms are no addresses",
        arguments: [
            "", "1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4.", "1.2.3", "1.2.3.256", "01.2.3.4",
            "1.2.3.4 ", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1%lo", "g::",
            "1:2:3:4:5:6:7:8::", "::1.2.3.4.5", "1.2.3.4::", "[::1]", "１.2.3.4",
        ])
    func refused(text: String) { #expect(IPAddress(text) == nil) }

    @Test(
        "what is not public",
        arguments: [
            "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",
            "172.31.255.255", "192.168.1.1", "192.0.2.1", "198.18.0.1", "203.0.113.7", "224.0.0.1", "255.255.255.255",
            "::", "::1", "fe80::1", "fc00::1", "fd00::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1",
            "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1", "fec0::1", "100::1",
        ])
    func special(text: String) throws { #expect(try !#require(IPAddress(text)).isPublic) }

    @Test(
        "what is public",
        arguments: [
            "1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1", "64:ff9b::808:808",
        ])
    func open(text: String) throws { #expect(try #require(IPAddress(text)).isPublic) }

    @Test func `an address that is not public is open only to a rule that names it, with the port`() throws {
        let rules = EgressRules(
            try ["a.org:443", "a.org:80", "127.0.0.1:443"].map { text throws(EgressRule.Fault) in
                try EgressRule(parsing: text)
            })
        let all = ["127.0.0.1", "10.0.0.1", "8.8.8.8", "9.9.9.9"].compactMap { IPAddress($0) }
        let own: Set<IPAddress> = [all[3]]
        #expect(rules.open(all, port: 443, own: own).map(\.description) == ["127.0.0.1", "8.8.8.8"])
        #expect(rules.open(all, port: 80, own: own).map(\.description) == ["8.8.8.8"])
        // This host by way of a translator (RFC 6052).
        let translated = ["64:ff9b::9.9.9.9", "64:ff9b::8.8.8.8"].compactMap { IPAddress($0) }
        #expect(rules.open(translated, port: 443, own: own).map(\.description) == ["64:ff9b::808:808"])
    }

    @Test(
        "stars cover whole labels, at any depth, and not the name itself",
        arguments: [
            ("x.example.com", true), ("a.b.example.com", true), ("example.com", false), ("badexample.com", false),
            ("example.com.evil.org", false), ("xexample.com", false), ("x.example.co", false),
        ])
    func boundaries(text: String, isAllowed: Bool) throws {
        let rules = EgressRules([try EgressRule(parsing: "*.example.com:443")])
        #expect((rules.rule(for: try HostName(text), port: 443) != nil) == isAllowed)
        #expect(rules.rule(for: try HostName(text), port: 444) == nil)
    }

    @Test func `messages between supervisor and proxy survive the way`() throws {
        var record = EgressRecord(
            time: Timestamp(milliseconds: 1_700_000_000_123), via: .socks, host: "a.org", port: 443, address: "1.2.3.4",
            verdict: .refused, rule: nil, reason: "no\trule")
        record.sentBytes = 5
        record.seconds = 1.5
        record.opens = "a.org:443"
        var hostile = record
        hostile.opens = "a.org:443\"]}\nnetwork: host"
        if case .record(_, let read)? = EgressMessage(EgressMessage.record(3, hostile).bytes) {
            #expect(read.opens == nil)
        } else {
            Issue.record("a record with an entry that is none is no record")
        }
        var expected = record
        expected.reason = "norule"
        let rules = EgressRules([try EgressRule(parsing: "[2001:db8::]/32:1"), try EgressRule(parsing: "*.b.org:2")])
        for (message, read) in [
            (EgressMessage.record(3, record), EgressMessage.record(3, expected)), (.open(1, rules), .open(1, rules)),
            (.close(9), .close(9)), (.closed(9), .closed(9)), (.ready, .ready),
            (.failed(call: "mount", object: "", errno: 1), .failed(call: "mount", object: "", errno: 1)),
        ] {
            #expect(EgressMessage(message.bytes) == read)
        }
        #expect(EgressMessage(Array("record\t1\t2".utf8)) == nil)
        #expect(EgressMessage([]) == nil)
    }
}
