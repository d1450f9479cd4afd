package import SystemPackage

/// What the host's own configuration says about archives, mirrors, proxies and certificates.
package struct HostSettings: Sendable, Hashable {
    /// All archives of Debian packages.
    package var sources: [ArchiveSource] = []
    /// The suite that the host runs, when it is Debian.
    package var suite: String?
    /// How apt reaches archives.
    package var apt = AptSettings()
    /// Key files that apt trusts for every source.
    package var trustedKeys: [FilePath] = []
    /// apt's credentials, one file's worth.
    package var credentials: [UInt8] = []
    /// How pip reaches its index.
    package var pip = PipSettings()
    /// The bundle of certificate authorities that programs of the host trust.
    package var authorities: FilePath?
    /// Proxy variables, in upper and lower case as they were.
    package var proxies: [String: String] = [:]

    /// The caller's environment, for programs and files of the host.
    package var variables: [String: String] = [:]

    /// No settings.
    package init() {}

    /// Reads the host's configuration; `variables` is the caller's environment.
    package init(host: HostFiles, variables: [String: String]) {
        let etc = FilePath("/etc/apt")
        let own = FilePath("/etc/cloche/debian.sources")
        if let text = host.text(own) {
            sources = ArchiveSource.parse(deb822: text)
        } else {
            sources = ArchiveSource.parse(list: host.text(etc.appending("sources.list")) ?? "")
            let parts = etc.appending("sources.list.d")
            for name in host.names(parts) {
                guard let text = host.text(parts.appending(name)) else { continue }
                if name.hasSuffix(".sources") { sources += ArchiveSource.parse(deb822: text) }
                if name.hasSuffix(".list") { sources += ArchiveSource.parse(list: text) }
            }
        }
        self.variables = variables
        suite = HostSettings.suite(host.text("/etc/os-release") ?? host.text("/usr/lib/os-release") ?? "")
        readApt(host, etc)
        readPip(host, variables)
        let bundles: [FilePath] = [
            "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ]
        authorities = bundles.first { host.contents($0) != nil }
        let names = ["http_proxy", "https_proxy", "no_proxy"]
        proxies = variables.filter { names.contains($0.key.lowercased()) && !$0.value.isEmpty }
    }

    private mutating func readApt(_ host: HostFiles, _ etc: FilePath) {
        let parts = etc.appending("apt.conf.d")
        for name in host.names(parts) where HostSettings.isFragment(name, suffix: ".conf") {
            apt.parse(host.text(parts.appending(name)) ?? "")
        }
        apt.parse(host.text(etc.appending("apt.conf")) ?? "")
        apt = apt.transport
        let keys = etc.appending("trusted.gpg.d")
        trustedKeys = host.names(keys).filter { $0.hasSuffix(".gpg") || $0.hasSuffix(".asc") }.map {
            keys.appending($0)
        }
        let authentication = etc.appending("auth.conf.d")
        let files = [etc.appending("auth.conf")] + host.names(authentication).map { authentication.appending($0) }
        credentials = Array(files.compactMap(host.contents).joined(separator: [0x0A]))
    }

    private mutating func readPip(_ host: HostFiles, _ variables: [String: String]) {
        let home = variables["HOME"].map { FilePath($0) }
        let configuration = variables["XDG_CONFIG_HOME"].map { FilePath($0) } ?? home?.appending(".config")
        var files: [FilePath] = ["/etc/pip.conf", "/etc/xdg/pip/pip.conf"]
        if let home { files.append(home.appending(".pip/pip.conf")) }
        if let configuration { files.append(configuration.appending("pip").appending("pip.conf")) }
        if let named = variables["PIP_CONFIG_FILE"] { files.append(FilePath(named)) }
        for file in files { pip.parse(host.text(file) ?? "") }
        pip.apply(variables: variables)
    }

    /// The suite of a Debian host from os-release(5).
    private static func suite(_ text: String) -> String? {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = parts[1].filter { $0 != "\"" && $0 != "'" } }
        }
        return values["ID"] == "debian" ? values["VERSION_CODENAME"] : nil
    }

    /// apt reads fragments without an extension or with its own, and nothing else.
    private static func isFragment(_ name: String, suffix: String) -> Bool {
        let stem = name.hasSuffix(suffix) ? name.dropLast(suffix.count) : name[...]
        return !stem.isEmpty && stem.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x5F].contains($0) }
    }
}
