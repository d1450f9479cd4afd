import SystemPackage

/// What a build is told about the host's mirrors: files that it sees while it runs, and nothing of which stays in it.
///
/// The files may hold credentials. They exist in the build's staging directory only, are mounted read-only, and go with
/// the staging directory.
package struct BuildConfiguration: Sendable, Hashable {
    /// Where the files are inside a sandbox, and in the namespace that fetches packages.
    package static let inSandbox = "/run/cloche", inNamespace = "/media"
    /// Where the packages that are kept are in either place.
    package static let packagesInSandbox = "/run/cloche-packages", packagesInNamespace = "/srv"

    /// The files' contents by their paths below the configuration's directory.
    package private(set) var files: [String: [UInt8]] = [:]
    /// Variables for what runs in a sandbox.
    package private(set) var variables: [String: String] = [:]
    /// Variables for host programs that fetch packages.
    package private(set) var fetchVariables: [String: String] = [:]
    /// Names and addresses of the configured mirrors, resolvers' answers for which stay reachable.
    package private(set) var reachableHosts: Set<String> = []
    /// Passwords in what is passed on, which a log must not show.
    package private(set) var secrets: Set<String> = []
    /// Whether apt knows an archive.
    package private(set) var hasArchive = false
    /// Whether apt looks among the packages that are kept before it asks a mirror.
    package let hasPackages: Bool
    /// Whether a build is shown anything that is kept.
    package let showsPackages: Bool

    /// Prepares the configuration for a suite; without a suitable source of packages it has none.
    package init(
        settings: HostSettings, host: HostFiles, suite: String, components: [String], hasPackages: Bool = false
    ) {
        self.init(
            settings: settings, host: host, archive: PackageArchive(suite: suite, components: components),
            hasPackages: hasPackages)
    }

    /// Prepares the configuration; a system that is no Debian keeps the sources that it has.
    init(settings: HostSettings, host: HostFiles, archive: PackageArchive?, hasPackages: Bool) {
        showsPackages = hasPackages
        self.hasPackages = hasPackages && archive?.isOfRecipe == true
        if let archive {
            let sources = ArchiveSource.select(
                settings.sources, suite: archive.suite, components: archive.components, hostSuite: settings.suite)
            hasArchive = !sources.isEmpty
            add(sources: sources, settings: settings, host: host)
            add(apt: settings, host: host)
        }
        add(pip: settings, host: host)
        for (name, value) in settings.proxies {
            variables[name] = value
            fetchVariables[name] = value
            if !name.lowercased().hasPrefix("no") { reach(value) }
        }
        if let authorities = settings.authorities.flatMap({ host.contents($0) }) {
            files["ca-certificates.crt"] = authorities
            let path = BuildConfiguration.inSandbox + "/ca-certificates.crt"
            let names = [
                "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS",
            ]
            for name in names { variables[name] = path }
            if settings.pip["cert"] == nil { variables["PIP_CERT"] = path }
        }
    }

    private mutating func add(sources: [ArchiveSource], settings: HostSettings, host: HostFiles) {
        for place in Place.allCases {
            var text = ""
            for var source in sources {
                if let key = source.keyFile, let copy = copy(key, host, as: "keys") {
                    source.options["signed-by"] = "\(place.directory)/\(copy)"
                }
                if hasPackages { source.locations = source.locations.map { mirror($0, place) } }
                text += source.stanza + "\n"
            }
            files[place.sources] = Array(text.utf8)
        }
        for source in sources {
            for location in source.locations { reach(location) }
        }
        for key in settings.trustedKeys {
            guard let name = key.lastComponent?.string, let bytes = host.contents(key) else { continue }
            files["trusted/" + name] = bytes
        }
        if !settings.credentials.isEmpty { files["auth.conf"] = settings.credentials }
        let fields = words(String(decoding: settings.credentials, as: UTF8.self))
        for (keyword, value) in zip(fields, fields.dropFirst()) where keyword == "password" { secrets.insert(value) }
    }

    /// Puts the packages that are kept before a location; apt verifies what it gets from either in the same way.
    private mutating func mirror(_ location: String, _ place: Place) -> String {
        let lists = files.keys.count { $0.hasPrefix(place.mirrors) }
        let name = "\(place.mirrors)\(lists + 1).list"
        files[name] = Array("copy:\(place.packages)\ttype:deb\tpriority:1\n\(location)\tpriority:2\n".utf8)
        return "mirror+file:\(place.directory)/\(name)"
    }

    private mutating func add(apt settings: HostSettings, host: HostFiles) {
        for place in Place.allCases {
            var apt = settings.apt
            apt.mapValues { name, value in
                guard value.hasPrefix("/"), let copy = self.copy(FilePath(value), host, as: "certificates") else {
                    return value
                }
                return "\(place.directory)/\(copy)"
            }
            if !settings.credentials.isEmpty { apt.set("Dir::Etc::netrc", place.directory + "/auth.conf") }
            if !settings.trustedKeys.isEmpty { apt.set("Dir::Etc::trustedparts", place.directory + "/trusted/") }
            apt.set("Acquire::Languages", "none")
            apt.set("DPkg::Use-Pty", "false")
            if place == .sandbox {
                apt.set("Dir::Etc::sourcelist", "\(place.directory)/\(place.sources)")
                apt.set("Dir::Etc::sourceparts", "-")
                if settings.authorities != nil, apt["Acquire::https::CaInfo"] == nil {
                    apt.set("Acquire::https::CaInfo", place.directory + "/ca-certificates.crt")
                }
            }
            files[place.settings] = Array(apt.text.utf8)
        }
        for (name, value) in settings.apt.values where name.lowercased().contains("proxy") { reach(value) }
        variables["APT_CONFIG"] = BuildConfiguration.inSandbox + "/" + Place.sandbox.settings
    }

    private mutating func add(pip settings: HostSettings, host: HostFiles) {
        var pip = settings.pip
        for option in ["cert", "client-cert"] {
            guard let path = pip[option] else { continue }
            pip[option] = copy(FilePath(path), host, as: "certificates")
                .map { BuildConfiguration.inSandbox + "/" + $0 }
        }
        for option in ["index-url", "extra-index-url", "proxy"] {
            for location in words(pip[option] ?? "") { reach(location) }
        }
        files["pip.conf"] = Array(pip.text.utf8)
        variables["PIP_CONFIG_FILE"] = BuildConfiguration.inSandbox + "/pip.conf"
        variables["PIP_CACHE_DIR"] = BuildConfiguration.pipCache
        variables["PIP_LOG"] = PipLog.path
        variables["PIP_NO_INPUT"] = "1"
    }

    private static let pipCache = "/tmp/pip-cache"

    /// What bash does before a script: pip finds what is kept where it looks for its own, cannot change it, and logs.
    ///
    /// Whoever runs it may write its log, also where that is not root.
    static let pipPreparation = """
        if mkdir -m 1777 \(pipCache) && ln -s -t \(pipCache) \
            \(packagesInSandbox)/\(PipForm.directory)/{\(PipForm.joined.rawValue),\(PipForm.divided.rawValue)} &&
            touch \(PipLog.path) && chmod 666 \(PipLog.path)
        then :; fi 2>/dev/null

        """

    /// Takes a copy of a host file along; its path below the configuration, or nil when it cannot be read.
    private mutating func copy(_ path: FilePath, _ host: HostFiles, as kind: String) -> String? {
        guard let bytes = host.contents(path), let name = path.lastComponent?.string else { return nil }
        var candidate = "\(kind)/\(name)"
        var number = 1
        while let taken = files[candidate], taken != bytes {
            number += 1
            candidate = "\(kind)/\(number)-\(name)"
        }
        files[candidate] = bytes
        return candidate
    }

    private mutating func reach(_ location: String) {
        if let password = password(in: location) { secrets.insert(password) }
        if let name = hostName(of: location) { reachableHosts.insert(name) }
    }

    /// The two places where the files are seen, each with paths of its own in apt's files.
    private enum Place: CaseIterable {
        case sandbox
        case namespace

        var directory: String { self == .sandbox ? BuildConfiguration.inSandbox : BuildConfiguration.inNamespace }
        var sources: String { self == .sandbox ? "debian.sources" : "fetch.sources" }
        var settings: String { self == .sandbox ? "apt.conf" : "fetch.conf" }
        var mirrors: String { self == .sandbox ? "mirrors/sandbox-" : "mirrors/fetch-" }
        var packages: String {
            self == .sandbox ? BuildConfiguration.packagesInSandbox : BuildConfiguration.packagesInNamespace
        }
    }

    /// apt's source file and settings for the programs that fetch packages.
    package static let fetchSources = inNamespace + "/" + Place.namespace.sources
    /// The same source file inside a sandbox: lists that were fetched by it are known by the locations in it.
    static let fetchSourcesInSandbox = inSandbox + "/" + Place.namespace.sources
    /// The settings that belong to `fetchSources`.
    package static let fetchSettings = inNamespace + "/" + Place.namespace.settings
}

/// The host in a URL, without credentials and port; nil when there is none.
func hostName(of location: String) -> String? {
    var text = Substring(location)
    if let scheme = text.firstRange(of: "://") { text = text[scheme.upperBound...] }
    text = text.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    if let at = text.lastIndex(of: "@") { text = text[text.index(after: at)...] }
    if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
        return String(text[text.index(after: text.startIndex)..<close])
    }
    text = text.prefix { $0 != ":" }
    let allowed = text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    return text.isEmpty || !allowed || text.lowercased() == "direct" ? nil : text.lowercased()
}

/// The password in a URL, as it is written there.
func password(in location: String) -> String? {
    guard let scheme = location.firstRange(of: "://") else { return nil }
    let authority = location[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard let at = authority.lastIndex(of: "@") else { return nil }
    let login = authority[..<at]
    // A token alone is a secret too.
    guard let colon = login.firstIndex(of: ":") else { return login.isEmpty ? nil : String(login) }
    let password = login[login.index(after: colon)...]
    return password.isEmpty ? nil : String(password)
}
