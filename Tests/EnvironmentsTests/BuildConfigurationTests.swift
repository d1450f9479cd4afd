import SystemPackage
import Testing

@testable import Environments

@Suite struct BuildConfigurationTests {
    static let files = [
        "/etc/apt/sources.list":
            "deb [signed-by=/keys/debian-archive.gpg] https://u:hidden@m.example/debian bookworm main",
        "/keys/debian-archive.gpg": "key",
        "/etc/apt/apt.conf.d/80proxy": "Acquire::http::Proxy \"http://proxy.example:3128\";",
        "/etc/apt/auth.conf.d/m.conf": "machine m.example login u password hush-hush",
        "/etc/apt/trusted.gpg.d/a.asc": "trusted",
        "/etc/ssl/certs/ca-certificates.crt": "authorities",
        "/etc/pip.conf": "[global]\nindex-url = https://__token__:pip-secret@pypi.example/simple\ncert = /gone.pem\n",
    ]

    static func configuration(_ variables: [String: String] = [:]) -> BuildConfiguration {
        let host = fakeHost(files)
        return BuildConfiguration(
            settings: HostSettings(host: host, variables: variables), host: host, suite: "bookworm",
            components: ["main"])
    }

    @Test func `every path that a build is told of is one that it sees`() throws {
        let configuration = Self.configuration()
        let apt = String(decoding: try #require(configuration.files["apt.conf"]), as: UTF8.self)
        let sources = String(decoding: try #require(configuration.files["debian.sources"]), as: UTF8.self)
        let fetch = String(decoding: try #require(configuration.files["fetch.sources"]), as: UTF8.self)
        #expect(apt.contains("Dir::Etc::sourcelist \"/run/cloche/debian.sources\";"))
        #expect(apt.contains("Dir::Etc::netrc \"/run/cloche/auth.conf\";"))
        #expect(sources.contains("signed-by: /run/cloche/keys/debian-archive.gpg"))
        #expect(fetch.contains("signed-by: /media/keys/debian-archive.gpg"))
        #expect(configuration.files["keys/debian-archive.gpg"] == Array("key".utf8))
        #expect(configuration.files["trusted/a.asc"] == Array("trusted".utf8))
        #expect(configuration.variables["SSL_CERT_FILE"] == "/run/cloche/ca-certificates.crt")
        // A certificate that cannot be read is not named, and the host's authorities take its place.
        #expect(!String(decoding: try #require(configuration.files["pip.conf"]), as: UTF8.self).contains("gone.pem"))
    }

    @Test func `mirrors and proxies stay reachable, and their passwords are known as secrets`() {
        let configuration = Self.configuration([
            "https_proxy": "http://a:proxy-secret@web.example:8080", "NO_PROXY": "x.example",
        ])
        #expect(configuration.reachableHosts == ["m.example", "proxy.example", "pypi.example", "web.example"])
        #expect(configuration.secrets == ["hidden", "hush-hush", "pip-secret", "proxy-secret"])
        #expect(configuration.variables["NO_PROXY"] == "x.example")
        #expect(configuration.hasArchive)
    }

    @Test(
        arguments: [
            ("https://u:p@Host.Example:80/x@y", "host.example"), ("http://[fd00::1]:80/", "fd00::1"), ("DIRECT", nil),
            ("proxy.example:3128", "proxy.example"), ("http:///x", nil), ("http://a b/", nil), ("", nil),
        ] as [(String, String?)])
    func `the host of a location`(location: String, host: String?) {
        #expect(hostName(of: location) == host)
    }

    @Test(arguments: [1, 2, 3, 5, 7, 100])
    func `a secret is hidden wherever the stream is cut`(size: Int) {
        let text = Array("get https://u:s3cret@m/ s3cre s3cret s3crs3cret".utf8)
        var filter = SecretFilter(["s3cret", "abc"])
        var shown: [UInt8] = []
        for start in stride(from: 0, to: text.count, by: size) {
            shown += filter.pass(Array(text[start..<min(start + size, text.count)]))
        }
        shown += filter.finish()
        #expect(String(decoding: shown, as: UTF8.self) == "get https://u:****@m/ s3cre **** s3cr****")
    }
}
