import LinuxSystem
import Snapshots
import Synchronization
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// Pulls through Debian's curl from a registry on loopback, honest and hostile.
@Suite(.enabled(if: TestRegistry.isPossible, "needs curl and python3")) struct RegistryTests {
    /// Why a pull is refused; nothing of it is in force then, and no download of it is gone on with.
    private func refusal(
        _ repository: String, hasPassword: Bool = false, keepsDownload: Bool = false
    ) throws -> (reason: ImportError, log: [String]) {
        try withScratch { scratch in
            let registry = try TestRegistry(in: scratch)
            let error = try #require(throws: BuildError.self) {
                try registry.pull(repository, in: scratch, hasPassword: hasPassword)
            }
            let environments = scratch.appending("environments")
            for name in ["staging", "builds", "names"] { #expect(try entries(environments.appending(name)).isEmpty) }
            guard case .image(let reason) = error else { throw error }
            return (reason, try registry.log)
        }
    }

    @Test func `the image for this host is chosen, pinned, and not fetched again while its name means the same`() throws
    {
        try withRegistry { registry, scratch in
            let (builder, result) = try registry.pull("lab/tools:stable", in: scratch)
            let image = try #require(result.record.image)
            #expect(image.kind == "registry" && image.source == "docker://127.0.0.1:\(registry.port)/lab/tools:stable")
            let list = try #require(image.list)
            #expect(list != image.digest)
            #expect(image.pin == "docker://127.0.0.1:\(registry.port)/lab/tools@\(list)")
            let tree = try #require(builder.store.layers(of: result.record).first)
            #expect(try entries(tree.appending("bin")) == ["sh"])
            #expect(try entries(scratch.appending("environments/downloads")).isEmpty)
            let asked = try registry.log.count
            let again = try registry.pull("lab/tools:stable", in: scratch).result
            #expect(again.isUnchanged && again.record == result.record)
            #expect(
                try registry.log.dropFirst(asked) == ["GET /v2/", "HEAD /v2/lab/tools/manifests/stable"],
                "one question, and no download")
            let pinned = try registry.pull("lab/tools@\(list)", in: scratch).result
            #expect(pinned.isUnchanged, "the same image under another name")
            #expect(try !registry.log.contains { $0.contains("attestation") || $0.contains("failed") })
        }
    }

    @Test func `a manifest without a list, and one named by its digest, which has to be it`() throws {
        try withRegistry { registry, scratch in
            let record = try registry.pull("plain", in: scratch).result.record
            let image = try #require(record.image)
            #expect(image.list == nil && image.pin?.hasSuffix("/plain@\(image.digest)") == true)
            let other = "sha256:" + String(repeating: "0", count: 64)
            let error = #expect(throws: BuildError.self) { try registry.pull("plain@\(other)", in: scratch) }
            #expect(error?.description.contains("was to have \(other)") == true)
        }
    }

    @Test func `a token is asked for this repository alone, and a password goes where it belongs`() throws {
        try withRegistry { registry, scratch in
            _ = try registry.pull("token", in: scratch)
            #expect(
                try registry.log.contains("GET /token?service=a%20b%26c&scope=repository%3Atoken%3Apull"),
                "whatever scope the registry names")
        }
        try withRegistry { registry, scratch in
            _ = try registry.pull("moved-private", in: scratch, hasPassword: true)
            var elsewhere = 0, here = 0
            for line in try registry.log where line.contains("/moved-private/") {
                let isSecret = line.contains("Basic") || line.contains("Bearer")
                if line.hasPrefix("other ") {
                    elsewhere += 1
                    #expect(!isSecret, "\(line)")
                } else if isSecret {
                    here += 1
                }
            }
            #expect(elsewhere == 1 && here > 2)
        }
    }

    @Test func `without a password the refusal says how to log in, and one that is wrong where it came from`() throws {
        let unknown = try refusal("private").reason
        #expect(unknown.kind == .denied && unknown.hint?.contains("docker login 127.0.0.1") == true)
        let known = try refusal("token-loop", hasPassword: true)
        #expect(known.reason.hint?.contains("/home/reader/.docker/config.json") == true)
        #expect(known.log.filter { $0.contains("/token?") }.count == 1, "a token is asked for once")
    }

    @Test func `nobody on this host sees a password, and nothing of the store holds it`() throws {
        try withRegistry { registry, scratch in
            let events = Mutex<[UInt8]>([])
            _ = try registry.pull(
                "look", in: scratch, hasPassword: true,
                report: { event in if case .output(let bytes) = event { events.withLock { $0 += bytes } } })
            _ = try registry.pull("private", in: scratch, hasPassword: true)
            let log = try registry.log
            #expect(log.contains { $0.contains("Basic cmVhZGVy") }, "it was used")
            #expect(!log.contains { $0.hasPrefix("leak") }, "\(log)")
            let user = geteuid() == 0 ? 65534 : Int(geteuid())
            #expect(log.contains("curl user=\(user) nnp=1 caps=0000000000000000"), "\(log)")
            #expect(!String(decoding: events.withLock { $0 }, as: UTF8.self).contains(TestRegistry.password))
            for build in try entries(scratch.appending("environments/builds")) {
                for name in ["build.log", "build.json"] {
                    let kept = try text(scratch.appending("environments/builds").appending(build).appending(name))
                    #expect(!kept.contains(TestRegistry.password) && !kept.contains("cmVhZGVy"))
                }
            }
        }
    }

    @Test(arguments: [
        ("to-file", "an address that is none"), ("to-user", "an address that is none"),
        ("to-itself", "more than 5 times"), ("realm-file", "which is no address"),
        ("poisoned", "answers without one"), ("tokenless", "answers without one"),
        ("document-without-end", "more than was promised"), ("long-document", "more than was promised"),
        ("heads", "not HTTP"), ("no-http", "not HTTP"), ("changed", "was to have sha256:"),
        ("short", "it ends after"), ("long", "more than was promised"), ("without-end", "more than was promised"),
        ("foreign", "it is for linux/riscv64, linux/s390x"), ("nested", "neither an image nor a list"),
        ("both", "an image and a list of images at once"), ("first-version", "of the first version"),
        ("many-layers", "513 layers"), ("no-sha256", "no SHA-256 digest"), ("climbing", "no SHA-256 digest"),
    ])
    func `what a hostile registry sends is refused`(repository: String, why: String) throws {
        let (reason, log) = try refusal(repository)
        #expect(reason.kind == .invalid && reason.description.contains(why), "\(reason)")
        #expect(!log.contains { $0.hasPrefix("failed") }, "\(log)")
    }

    @Test(arguments: ["to-inside", "to-link", "realm-inside"])
    func `a registry sends to no network that it is not in`(repository: String) throws {
        let (reason, _) = try refusal(repository)
        #expect(reason.kind == .denied && reason.description.contains("sends to `1"), "\(reason)")
    }

    @Test func `whom a registry sends to is named when nobody is there`() throws {
        let (reason, _) = try refusal("to-nobody")
        #expect(
            reason.kind == .unreachable && reason.description.contains("`127.0.0.1:1` cannot be reached"), "\(reason)")
    }

    @Test(arguments: ["negative", "enormous"])
    func `layers that are too large are not fetched`(repository: String) throws {
        let (reason, log) = try refusal(repository)
        #expect(reason.kind == .tooLarge && !log.contains { $0.contains("/blobs/") }, "\(reason) \(log)")
    }

    @Test func `what a registry says is shown without its controls, and no longer than it has to be`() throws {
        let (reason, _) = try refusal("missing")
        #expect(reason.kind == .notFound && reason.description.contains("MANIFEST_UNKNOWN: gone"))
        #expect(!reason.description.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x202E })
        #expect(try refusal("refusal-without-end").reason.kind == .notFound)
    }

    @Test func `a busy registry is asked again, and a connection that breaks is taken up where it broke`() throws {
        try withRegistry { registry, scratch in
            _ = try registry.pull("busy", in: scratch)
        }
        try withRegistry { registry, scratch in
            _ = try registry.pull("breaking", in: scratch)
            let ranges = try registry.log.filter { $0.contains("bytes=") }
            #expect(ranges.count == 1 && ranges[0].contains("bytes=200000-"), "\(ranges)")
        }
        // A server that sends all of it again.
        try withRegistry { registry, scratch in _ = try registry.pull("breaking-whole", in: scratch) }
    }

    @Test(arguments: [false, true])
    func `a pull that was cut off is gone on with, unless what it left is something else`(isDamaged: Bool) throws {
        try withRegistry { registry, scratch in
            let seen = Mutex(false)
            let error = #expect(throws: BuildError.self) {
                try registry.pull("stalling", in: scratch, isCancelled: { seen.withLock { $0 } }) { event in
                    if case .progress(let done, _) = event, done >= 200_000 { seen.withLock { $0 = true } }
                }
            }
            #expect(error == .cancelled)
            let downloads = scratch.appending("environments/downloads")
            let name = try #require(try entries(downloads).first)
            let parts = downloads.appending(name).appending("parts")
            let part = try #require(try entries(parts).first)
            if isDamaged {
                let file = try Syscall.open(parts.appending(part), O_WRONLY)
                try Syscall.writeAll(file.number, Array("damaged".utf8))
            }
            _ = try registry.pull("stalling", in: scratch)
            let asked = try registry.log.filter { $0.contains("/blobs/") && !$0.contains("Range") }
            #expect(asked.contains { $0.contains("bytes=200000-") }, "\(asked)")
            #expect(try entries(downloads).isEmpty)
        }
    }

    @Test func `what a pull left is removed by its age, unless it is in use`() throws {
        try withScratch { scratch in
            let store = try EnvironmentStore(directory: scratch.appending("environments"))
            let digest = try #require(ImageDigest("sha256:" + String(repeating: "a", count: 64)))
            var held = try store.download(digest, isCancelled: { true }, waiting: {})
            #expect(held != nil)
            #expect(try store.download(digest, isCancelled: { true }, waiting: {}) == nil, "one at a time")
            #expect(try store.removeDownloads(olderThan: 0) == 0)
            held = nil
            #expect(try store.removeDownloads(olderThan: 3600) == 0)
            #expect(try store.removeDownloads(olderThan: 0) == 1)
            #expect(try entries(scratch.appending("environments/downloads")).isEmpty)
        }
    }

    @Test(.enabled(if: Syscall.exists("/usr/bin/openssl"), "needs openssl"))
    func `HTTPS with an authority that is trusted, and no step back to HTTP`() throws {
        try withScratch { scratch in
            let key = scratch.appending("key.pem"), certificate = scratch.appending("certificate.pem")
            let program = ChildProgram(
                path: "/usr/bin/openssl",
                arguments: [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key.string, "-out", certificate.string, "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1",
                ])
            #expect(try program.run(isCancelled: { false }, errors: { _ in }, output: { _ in }) == 0)
            chmod(scratch.string, 0o755)
            let registry = try TestRegistry(in: scratch, certificate: certificate, key: key)
            let unknown = #expect(throws: BuildError.self) { try registry.pull("plain", in: scratch) }
            #expect(
                unknown?.description.contains("certificate") == true && unknown?.hint?.contains("SSL_CERT_FILE") == true
            )
            let trust = ["SSL_CERT_FILE": certificate.string]
            _ = try registry.pull("plain", in: scratch, variables: trust)
            let back = #expect(throws: BuildError.self) { try registry.pull("to-http", in: scratch, variables: trust) }
            #expect(back?.description.contains("from HTTPS to HTTP") == true)
        }
    }
}
