import SystemPackage
import Testing

@testable import Environments

/// What names, addresses and answers of registries are taken for.
@Suite struct RegistryNameTests {
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)

    @Test(arguments: [
        ("python", "docker://registry-1.docker.io/library/python:latest"),
        ("docker://python:3.12-slim", "docker://registry-1.docker.io/library/python:3.12-slim"),
        ("docker.io/orchest/base", "docker://registry-1.docker.io/orchest/base:latest"),
        ("localhost/a", "docker://localhost/a:latest"),
        ("127.0.0.1:5000/a/b_c:T-1", "docker://127.0.0.1:5000/a/b_c:T-1"),
        ("docker://[::1]:5000/a", "docker://[::1]:5000/a:latest"), ("ghcr.io/a/b.c", "docker://ghcr.io/a/b.c:latest"),
        ("a/b@\(digest)", "docker://registry-1.docker.io/a/b@\(digest)"),
        ("a/b:tag@\(digest)", "docker://registry-1.docker.io/a/b@\(digest)"),
    ])
    func `names of images`(text: String, full: String) {
        #expect(ImageReference(text)?.description == full)
    }

    @Test(arguments: [
        "", "docker://", "A/b", "a/../b", "a//b", "/a", "a/", "a b", "a:b c", "a:", "a:-x", "a@sha256:1", "a@md5:1",
        "a.b:99999/c", "a.b:x/c", "u:p@a.b/c", "a\r\nX: y", "a\u{0}", "a/b%2e", "a?b=c", "a#b", "é/a", "-a.b/c",
        "a..b/c..d",
        "[::1/a", "[x:y]:1/a", "a.b/c:" + String(repeating: "t", count: 129), String(repeating: "a", count: 600),
    ])
    func `what is no name of an image`(text: String) {
        #expect(ImageReference(text) == nil, "\(String(describing: ImageReference(text)))")
    }

    @Test func `addresses, and what they lead to`() throws {
        let address = try #require(WebAddress("https://A.example/v2/x?key=secret"))
        #expect(address.text == "https://a.example:443/v2/x?key=secret")
        #expect(address.description == "https://a.example:443/v2/x", "a query may hold a key")
        #expect(address.following("/y")?.text == "https://a.example:443/y")
        #expect(address.following("//b:8/y")?.text == "https://b:8/y")
        #expect(WebAddress("http://[::1]:8/y")?.origin == .init(isSecure: false, host: "::1", port: 8))
        for text in [
            "file:///etc/passwd", "ftp://a/", "https://", "https://a:0/", "https://u@a/", "https://a/\"",
            "https://a/ b",
            "https://a/\r\nX: y", "https://a\\b/", "https://-a/", "https://[::1", "HTTPS://a/", "https://[1]/",
            "gopher://a",
            "https://a/" + String(repeating: "x", count: 9000),
        ] {
            #expect(WebAddress(text) == nil, "\(text)")
            #expect(address.following(text) == nil, "\(text)")
        }
    }

    @Test(arguments: [
        ("8.8.8.8", NetworkAddress.Reach.everywhere), ("127.9.9.9", .machine), ("0.0.0.0", .machine),
        ("10.0.0.1", .inside),
        ("172.16.0.1", .inside), ("172.32.0.1", .everywhere), ("192.168.9.9", .inside), ("100.64.0.1", .inside),
        ("169.254.169.254", .link), ("224.0.0.1", .nowhere), ("255.255.255.255", .nowhere), ("::1", .machine),
        ("::", .machine), ("::ffff:127.0.0.1", .machine), ("::ffff:8.8.8.8", .everywhere), ("::127.0.0.1", .machine),
        ("64:ff9b::169.254.169.254", .link), ("2002:7f00:1::", .machine), ("fe80::1", .link), ("fd00::1", .inside),
        ("ff02::1", .nowhere), ("2606:4700::1", .everywhere),
    ])
    func `from where an address can be reached`(text: String, reach: NetworkAddress.Reach) {
        #expect(NetworkAddress(text)?.reach == reach)
    }

    @Test func `challenges`() {
        let bearer = RegistryChallenge([
            "Basic realm=\"x\"", "Bearer realm=\"https://a/t\" , service=s,scope=\"a:\\\"b\",realm=\"https://evil/\"",
        ])
        #expect(bearer == .bearer(realm: "https://a/t", service: "s", scope: "a:\"b"))
        #expect(RegistryChallenge(["basic"]) == .basic)
        #expect(RegistryChallenge(["Negotiate", "Bearer", "Bearer realm"]) == nil)
        #expect(RegistryChallenge([]) == nil)
    }

    @Test func `answers are divided wherever they are cut, and announcements are passed over`() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: 1\r\nB:2 \r\na: 3\r\nC: \u{7}\r\n\r\nbo\r\n\r\ndy"
        for size in [1, 2, 3, 1000] {
            var parser = ResponseParser()
            var body: [UInt8] = []
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                body += parser.take(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(parser.head?.status == 200 && String(decoding: body, as: UTF8.self) == "bo\r\n\r\ndy")
            #expect(parser.head?["b"] == "2" && parser.head?["A"] == nil && parser.head?.values("a") == ["1", "3"])
            #expect(parser.head?["C"] == nil)
        }
        var other = ResponseParser()
        _ = other.take(Array("SSH-2.0\n\n".utf8))
        #expect(other.isMalformed)
    }

    @Test func `no value of a request becomes an option of curl's`() throws {
        let address = try #require(WebAddress("https://a.example/x"))
        var request = WebRequest(address: address, limit: 10)
        request.fields = ["Authorization: Bearer a\"b\\c"]
        request.pinned = [try #require(NetworkAddress("::1"))]
        let text = String(decoding: try #require(request.configuration), as: UTF8.self)
        #expect(text.contains("header = \"Authorization: Bearer a\\\"b\\\\c\"\n"))
        #expect(text.contains("resolve = \"a.example:443:[::1]\"\n") && text.contains("proto = \"=https\"\n"))
        #expect(text.contains("noproxy = \"*\"\n"))
        // What is an address already is connected to as it is: curl takes no such thing for a name.
        let literal = WebRequest(
            address: try #require(WebAddress("https://[::1]:5477/x")), pinned: request.pinned, limit: 10)
        let words = String(decoding: try #require(literal.configuration), as: UTF8.self)
        #expect(!words.contains("resolve") && words.contains("[::1]:5477"), "\(words)")
        request.fields = ["Authorization: a\noutput = /etc/passwd"]
        #expect(request.configuration == nil)
    }

    @Test func `credentials are those of the host alone`() {
        let files = HostFiles(
            contents: { path in
                path == "/d/config.json"
                    ? Array(
                        """
                        {"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "evil.example": {"auth": "eDp5"},
                                   "empty.example": {}, "odd.example": {"auth": "%%%"}}, "credsStore": "desktop"}
                        """.utf8) : nil
            }, names: { _ in [] })
        func find(_ host: String) -> String? {
            RegistryCredentials.find(host, files: files, variables: ["DOCKER_CONFIG": "/d"])?.basic
        }
        #expect(find(ImageReference.dockerHub) == "YTpi")
        #expect(find("evil.example") == "eDp5")
        for host in ["other.example", "empty.example", "odd.example"] { #expect(find(host) == nil) }
    }
}
