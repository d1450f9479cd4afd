import Isolation
import Testing

@testable import EgressProxying

/// What programs say to the proxy, and what is made of it.
struct ClientHandshakeTests {
    private func take(_ bytes: [UInt8], inPieces size: Int = .max) -> ClientHandshake.Step {
        var handshake = ClientHandshake()
        var rest = bytes[...]
        var sent: [UInt8] = []
        while !rest.isEmpty {
            let piece = rest.prefix(size)
            rest = rest.dropFirst(piece.count)
            switch handshake.take(piece) {
            case .more(let answer): sent += answer
            case .request(var request):
                request.rest = Array(request.rest + rest)[...]
                return .request(request)
            case .refuse(let answer, let reason): return .refuse(answer, reason: reason)
            }
        }
        return .more(sent)
    }

    private func request(_ text: String, inPieces size: Int = .max) throws -> ClientHandshake.Request {
        let step = take(Array(text.utf8), inPieces: size)
        guard case .request(let request) = step else {
            Issue.record("\(step)")
            throw RequestHead.Fault(0, "")
        }
        return request
    }

    private func status(_ text: String) -> Int {
        guard case .refuse(let answer, _) = take(Array(text.utf8)) else { return 0 }
        return Int(String(decoding: answer.dropFirst(9).prefix(3), as: UTF8.self)) ?? 0
    }

    // MARK: - HTTP

    @Test("a tunnel, whole or byte by byte, whatever `Host` says", arguments: [1, 2, 7, 10_000])
    func tunnel(size: Int) throws {
        let found = try request(
            "CONNECT Data.Example.ORG.:443 HTTP/1.1\r\nHost: other.example:80\r\n\r\nhello", inPieces: size)
        #expect(found.way == .connect && found.host == "data.example.org" && found.port == 443)
        #expect(found.destination?.description == "data.example.org:443")
        #expect(found.body == nil && found.head.isEmpty)
        #expect(Array(found.rest) == Array("hello".utf8))
    }

    @Test(
        "hosts that are no plain names or addresses are refused, and told",
        arguments: [
            "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "a..b", "-a", "a%2e.org", "münchen.de",
            "[1.2.3.4]",
            "[fe80::1%25lo]", "::1",
        ])
    func odd(host: String) throws {
        guard host.utf8.allSatisfy({ $0 < 0x80 }) else {
            return #expect(status("CONNECT \(host):443 HTTP/1.1\r\n\r\n") == 400)
        }
        let found = try request("CONNECT \(host):443 HTTP/1.1\r\n\r\n")
        #expect(host == "::1" || found.destination == nil && found.fault != nil)
    }

    @Test func `a whole URL becomes a request of the host's own, for one request`() throws {
        let found = try request(
            "GET http://Example.org:8080/a?b=c#d HTTP/1.1\r\nHost: evil.example\r\nProxy-Connection: keep-alive\r\n"
                + "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept:  */* \r\nProxy-Authorization: Basic eA==\r\n\r\n"
        )
        #expect(found.way == .http && found.destination?.description == "example.org:8080" && found.body == .length(0))
        #expect(
            String(decoding: found.head, as: UTF8.self)
                == "GET /a?b=c HTTP/1.1\r\nHost: example.org:8080\r\naccept: */*\r\nConnection: close\r\n\r\n")
        #expect(
            String(decoding: try request("GET http://a.org HTTP/1.0\r\n\r\n").head, as: UTF8.self)
                == "GET / HTTP/1.0\r\nHost: a.org\r\nConnection: close\r\n\r\n")
        #expect(try request("GET http://a.org?x HTTP/1.1\r\n\r\n").head.starts(with: Array("GET /?x ".utf8)))
        #expect(try request("GET http://[2001:db8::1]/ HTTP/1.1\r\n\r\n").host == "2001:db8::1")
    }

    @Test(
        "what two readers could read differently is refused",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a.org\r\n\r\n", 400), ("GET https://a.org/ HTTP/1.1\r\n\r\n", 501),
            ("GET ftp://a.org/ HTTP/1.1\r\n\r\n", 501), ("GET http://user@a.org/ HTTP/1.1\r\n\r\n", 400),
            ("GET http://a.org:x/ HTTP/1.1\r\n\r\n", 400), ("GET http://a.org:0/ HTTP/1.1\r\n\r\n", 400),
            ("GET http://a.org:99999/ HTTP/1.1\r\n\r\n", 400), ("CONNECT a.org HTTP/1.1\r\n\r\n", 400),
            ("CONNECT user@a.org:443 HTTP/1.1\r\n\r\n", 400), ("GET  http://a.org/ HTTP/1.1\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/2.0\r\n\r\n", 505), ("GET http://a.org/\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/1.1\nHost: x\n\n", 400), ("GET http://a.org/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/1.1\r\nA : b\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/1.1\r\nnothing\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/1.1\r\nA: \u{0}\r\n\r\n", 400),
            ("GET http://a.org/ HTTP/1.1\r\nA: x\ry\r\n\r\n", 400),
            ("POST http://a.org/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST http://a.org/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400),
            ("POST http://a.org/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST http://a.org/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("POST http://a.org/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
            ("POST http://a.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            ("POST http://a.org/ HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n", 400),
            ("\r\nGET http://a.org/ HTTP/1.1\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
        ])
    func strict(text: String, expected: Int) { #expect(status(text) == expected) }

    @Test func `heads are bounded`() {
        #expect(status("GET http://a.org/ HTTP/1.1\r\nA: " + String(repeating: "x", count: 40_000)) == 431)
        #expect(status("GET http://a.org/ HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 300) + "\r\n") == 431)
        #expect(status(String(repeating: "G", count: 40_000)) == 431)
    }

    @Test func `the answer names the rule, and fits on one line`() {
        let answer = String(decoding: ProxyReply.http(403, "no rule names `a.org:443`"), as: UTF8.self)
        #expect(
            answer.hasPrefix("HTTP/1.1 403 Forbidden\r\n")
                && answer.hasSuffix("\r\n\r\ncloche: no rule names `a.org:443`\n"))
    }

    // MARK: - SOCKS

    @Test("names and addresses of SOCKS", arguments: [1, 3, 1000])
    func socks(size: Int) throws {
        let greeting: [UInt8] = [5, 2, 2, 0]
        let name = Array("a.org".utf8)
        for (address, host) in [
            ([3, UInt8(name.count)] + name, "a.org"), ([1, 10, 1, 2, 3], "10.1.2.3"),
            ([4] + [UInt8](repeating: 0, count: 15) + [1], "::1"), ([3, 7] + Array("8.8.8.8".utf8), "8.8.8.8"),
        ] {
            let step = take(greeting + [5, 1, 0] + address + [1, 187] + [9, 9], inPieces: size)
            guard case .request(let request) = step else {
                Issue.record("\(step)")
                return
            }
            #expect(request.host == host && request.port == 443 && request.way == .socks)
            #expect(Array(request.rest) == [9, 9])
        }
    }

    @Test(
        "other requests of SOCKS are refused with their code",
        arguments: [
            ([5, 1, 2], [5, 0xFF]), ([4, 1, 0, 80, 1, 1, 1, 1, 0], [0, 0x5B]),
            ([5, 1, 0, 5, 2, 0, 1, 1, 1, 1, 1, 0, 1], [5, 0, 5, 7]),
            ([5, 1, 0, 5, 3, 0, 1, 1, 1, 1, 1, 0, 1], [5, 0, 5, 7]),
            ([5, 1, 0, 5, 1, 0, 9, 1, 1, 1, 1, 0, 1], [5, 0, 5, 8]),
            ([5, 1, 0, 4, 1, 0, 1, 1, 1, 1, 1, 0, 1], [5, 0, 5, 1]),
        ] as [([UInt8], [UInt8])])
    func socksRefusals(bytes: [UInt8], start: [UInt8]) {
        guard case .refuse(let answer, _) = take(bytes) else {
            Issue.record("not refused")
            return
        }
        #expect(answer.starts(with: start))
    }

    @Test func `a name of SOCKS that is no host is told, whatever its bytes`() {
        let bytes: [UInt8] = [5, 1, 0, 5, 1, 0, 3, 5, 0x1B, 0xFF, 0x0A, 0, 0x41, 0, 80]
        guard case .request(let request) = take(bytes) else {
            Issue.record("no request")
            return
        }
        #expect(request.destination == nil && request.host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    }

    // MARK: - Bodies

    private func body(_ text: String, inPieces size: Int = .max) -> (taken: Int, tracker: ChunkTracker) {
        var tracker = ChunkTracker()
        var taken = 0
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty, !tracker.isDone, !tracker.isInvalid {
            let piece = Array(rest.prefix(size))
            taken += piece.withUnsafeBytes { tracker.accept($0) }
            rest = rest.dropFirst(piece.count)
        }
        return (taken, tracker)
    }

    @Test("the end of a body in chunks is found, and nothing beyond it", arguments: [1, 2, 5, 1000])
    func chunks(size: Int) {
        for text in [
            "0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "A;x=\"y\"\r\n0123456789\r\n00\r\nTrailer: 1\r\n\r\n",
            "1 \r\na\r\n0\r\n\r\n",
        ] {
            let (taken, tracker) = body(text + "GET http://evil.example/ HTTP/1.1\r\n", inPieces: size)
            #expect(tracker.isDone && taken == text.utf8.count, "\(text)")
        }
        for text in [
            "\r\n", "g\r\n", "-1\r\n", "3\nabc", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n", "0\r\n\n", "fffffffffffff\r\n",
            "1;\n",
        ] {
            #expect(body(text, inPieces: size).tracker.isInvalid, "\(text)")
        }
    }

    @Test("an answer says that it is the last one, however it is cut", arguments: [1, 3, 1000])
    func marks(size: Int) {
        let field = "Connection: close\r\n"
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx", "HTTP/1.1 200 OK\r\n\(field)A: b\r\n\r\nx"),
            (
                "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 404 No\r\n\r\n",
                "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 404 No\r\n\(field)\r\n"
            ),
            ("hello\r\n", "hello\r\n"),
        ] {
            var marker = ResponseMarker()
            var rest = Array(text.utf8)[...]
            var found: [UInt8]?
            while found == nil, !rest.isEmpty {
                found = marker.take(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(String(decoding: (found ?? marker.rest) + rest, as: UTF8.self) == expected)
        }
    }

    // MARK: - Anything

    @Test func `whatever is said, it ends in a decision or a wait, the same however it is cut`() {
        let seeds: [[UInt8]] = [
            Array("CONNECT a.org:443 HTTP/1.1\r\nHost: a.org\r\n\r\n".utf8),
            Array(
                "POST http://a.org:80/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: a, b\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .utf8),
            [5, 1, 0, 5, 1, 0, 3, 5, 0x61, 0x2E, 0x6F, 0x72, 0x67, 1, 187],
            [5, 1, 0, 5, 1, 0, 4] + [UInt8](repeating: 7, count: 18),
        ]
        for seed in UInt64(1)...4000 {
            var random = Seeded(seed)
            let bytes = random.damaged(seeds[Int(seed) % seeds.count])
            let whole = take(bytes)
            let pieces = take(bytes, inPieces: Int.random(in: 1...5, using: &random))
            switch (whole, pieces) {
            case (.request(var left), .request(var right)):
                // Only what was answered on the way differs.
                left.greeting = []
                right.greeting = []
                #expect(left == right)
                if let destination = left.destination { #expect(destination.port == left.port) }
                #expect(left.host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
            case (.refuse, .refuse), (.more, .more): break
            default: Issue.record("\(bytes): \(whole) and \(pieces)")
            }
        }
    }
}
