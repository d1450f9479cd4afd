import SystemPackage
import Testing

@testable import Environments

/// A host made of texts.
func fakeHost(_ files: [String: String]) -> HostFiles {
    HostFiles(
        contents: { path in files[path.string].map { Array($0.utf8) } },
        names: { directory in
            files.keys.filter { FilePath($0).removingLastComponent() == directory }
                .compactMap { FilePath($0).lastComponent?.string }.sorted()
        })
}

@Suite struct HostSettingsTests {
    static let debian = """
        Types: deb
        # a comment
        URIs: http://mirror.example/debian
        Suites: bookworm bookworm-updates bookworm-backports
        Components: main contrib
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb deb-src
        URIs: http://mirror.example/debian-security
        Suites: bookworm-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        """

    static func select(_ files: [String: String], suite: String = "bookworm") -> [ArchiveSource] {
        let settings = HostSettings(host: fakeHost(files), variables: [:])
        return ArchiveSource.select(
            settings.sources, suite: suite, components: ["main"], hostSuite: settings.suite)
    }

    @Test func `only the archives of the suite are taken, with its updates and security updates`() {
        let sources = Self.select([
            "/etc/apt/sources.list.d/debian.sources": Self.debian,
            "/etc/apt/sources.list.d/docker.list":
                "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.example/linux bookworm stable",
            "/etc/apt/sources.list.d/other.list":
                "deb [signed-by=/etc/apt/keyrings/other.gpg] https://other.example/ bookworm main",
            "/etc/apt/sources.list.d/node.sources":
                "Types: deb\nURIs: https://node.example\nSuites: nodistro\nComponents: main\n",
            "/etc/apt/sources.list.d/off.sources": "Enabled: no\n" + Self.debian.replacing("mirror", with: "off"),
            "/etc/apt/sources.list.d/old.list.disabled": "deb http://disabled.example bookworm main",
        ])
        #expect(
            sources.map(\.locations) == [
                ["http://mirror.example/debian"], ["http://mirror.example/debian-security"],
                // The second stanza of the file is not disabled by the first.
                ["http://off.example/debian-security"],
            ])
        #expect(sources.first?.suites == ["bookworm", "bookworm-updates"])
        #expect(sources.first?.components == ["main"])
    }

    @Test func `a one-line source keeps its key and loses its comment`() {
        let sources = Self.select([
            "/etc/apt/sources.list":
                "# deb http://no.example bookworm main\ndeb [ signed-by=/k/debian-archive-x.gpg arch=amd64 ] "
                + "https://u:p@m.example/debian bookworm main non-free # local\ndeb-src http://m.example bookworm main\n"
                + "deb cdrom:[Debian]/ bookworm main\n"
        ])
        #expect(
            sources == [
                ArchiveSource(
                    locations: ["https://u:p@m.example/debian"], suites: ["bookworm"], components: ["main"],
                    options: ["signed-by": "/k/debian-archive-x.gpg"])
            ])
    }

    @Test func `where no source carries the suite, those of the host's own suite are taken for it`() {
        let files = [
            "/etc/os-release": "ID=debian\nVERSION_CODENAME=\"bookworm\"\n",
            "/etc/apt/sources.list.d/debian.sources": Self.debian,
        ]
        let sources = Self.select(files, suite: "trixie")
        #expect(sources.map(\.suites) == [["trixie", "trixie-updates"], ["trixie-security"]])
        let other = files.merging(["/etc/os-release": "ID=ubuntu\nVERSION_CODENAME=noble\n"]) { $1 }
        #expect(Self.select(other, suite: "trixie").isEmpty)
    }

    @Test func `a file of sources for Cloche wins over apt's`() {
        let sources = Self.select([
            "/etc/apt/sources.list": "deb http://apt.example bookworm main",
            "/etc/cloche/debian.sources": "Types: deb\nURIs: http://own.example\nSuites: bookworm\nComponents: main\n",
        ])
        #expect(sources.map(\.locations) == [["http://own.example"]])
    }

    @Test func `apt's proxies and certificates are passed on, its hooks and directories are not`() {
        var apt = AptSettings()
        apt.parse(
            """
            // comment "with a quote
            Acquire { http { Proxy "http://u:secret@proxy.example:3128/"; Proxy::direct.example "DIRECT"; };
              Retries "3"; /* and { this } too */ };
            Acquire::https::CaInfo "/etc/ssl/own.pem"; # the end
            Acquire::http::Proxy-Auto-Detect "/usr/bin/run-me";
            APT::Update::Post-Invoke { "rm -rf /"; };
            DPkg::Post-Invoke:: "touch /tmp/x";
            Dir::Etc::sourcelist "/x";
            Acquire::Check-Valid-Until "true";
            #clear Acquire::Check-Valid-Until;
            Acquire::Check-Date "false";
            """)
        #expect(
            apt.transport.text == """
                Acquire::http::Proxy "http://u:secret@proxy.example:3128/";
                Acquire::http::Proxy::direct.example "DIRECT";
                Acquire::Retries "3";
                Acquire::https::CaInfo "/etc/ssl/own.pem";
                Acquire::Check-Date "false";

                """)
    }

    @Test(arguments: ["{", "}}}}", "a \"b", "\"", "/*", "a { b { c", String(repeating: "{", count: 100_000)])
    func `a broken apt.conf has no settings`(text: String) {
        var apt = AptSettings()
        apt.parse(text)
        #expect(apt.transport.text.isEmpty)
    }

    @Test func `pip's index, proxy and certificate are passed on; variables win and local paths are dropped`() {
        let host = fakeHost([
            "/etc/pip.conf":
                "[global]\ncert = /etc/ca.pem\nindex-url = https://one.example/simple\nfind-links = /opt/wheels\n",
            "/home/u/.config/pip/pip.conf":
                "[install]\nextra_index_url =\n  https://two.example/a\n  https://three.example/b\n[list]\nproxy = no\n",
        ])
        let variables = [
            "HOME": "/home/u", "PIP_INDEX_URL": "https://u:token@four.example/simple", "PIP_FIND_LINKS": "/opt/wheels",
            "PIP_DEFAULT_TIMEOUT": "180",
        ]
        let pip = HostSettings(host: host, variables: variables).pip
        #expect(
            pip.text == """
                [global]
                cert = /etc/ca.pem
                extra-index-url = https://two.example/a
                    https://three.example/b
                index-url = https://u:token@four.example/simple
                timeout = 180

                """)
    }
}
