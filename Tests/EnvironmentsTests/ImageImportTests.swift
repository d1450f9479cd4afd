import LinuxSystem
import Snapshots
import Synchronization
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// Images whose documents or bytes are not what they should be; the layouts are written by hand.
@Suite struct ImageImportTests {
    /// An OCI layout in a directory.
    private struct Layout {
        let directory: FilePath
        var architecture = ImageDocument.hostArchitecture
        var variables = "\"PATH=/bin\", \"BAD NAME=x\", \"HOME=/root\""

        static func digest(_ bytes: [UInt8]) -> String {
            var digest = StreamDigest()
            digest.add(bytes)
            return digest.hexadecimal
        }

        /// Writes a blob; gives its descriptor.
        func blob(_ bytes: [UInt8], name: String? = nil, more: String = "") throws -> String {
            let digest = name ?? Self.digest(bytes)
            try Syscall.makeDirectories(directory.appending("blobs/sha256"), mode: 0o755)
            try Syscall.writeFile(directory.appending("blobs/sha256").appending(digest), bytes)
            return "{\"digest\": \"sha256:\(digest)\", \"size\": \(bytes.count)\(more)}"
        }

        /// Writes an image of layers; gives the descriptor of its manifest.
        func image(_ layers: [[UInt8]], contents: [String]? = nil, more: String = "") throws -> String {
            let contents = (contents ?? layers.map { "sha256:" + Self.digest($0) }).map { "\"\($0)\"" }
            let configuration = try blob(
                Array(
                    """
                    {"architecture": "\(architecture)", "os": "linux", "config": {"Env": [\(variables)], "User": "app",
                     "WorkingDir": "/srv"}, "rootfs": {"type": "layers", "diff_ids": [\(contents.joined(separator: ","))]}}
                    """.utf8))
            let blobs = try layers.map { try blob($0) }.joined(separator: ",")
            return try blob(Array("{\"config\": \(configuration), \"layers\": [\(blobs)]}".utf8), more: more)
        }

        func index(_ manifests: String...) throws {
            try write("oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}", directory)
            try write("index.json", "{\"manifests\": [\(manifests.joined(separator: ","))]}", directory)
        }
    }

    private func layer(_ build: (inout TarBuilder) -> Void) -> [UInt8] {
        var tar = TarBuilder()
        build(&tar)
        return tar.archive
    }

    private var small: [UInt8] {
        layer { tar in
            tar.file("bin/sh", "#!", mode: 0o755)
            tar.file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        }
    }

    private func importing(
        _ source: FilePath, in scratch: FilePath, tag: String? = nil, limits: UnpackLimits = .standard
    ) throws -> (EnvironmentBuilder, ImportResult) {
        let builder = try EnvironmentBuilderTests.builder(scratch, FakeExecutor())
        var request = ImportRequest(name: try #require(EnvironmentName("image")), source: .path(source))
        request.tag = tag
        request.limits = limits
        let result = try builder.importImage(request, isCancelled: { false }, report: { _ in })
        return (builder, result)
    }

    /// The reason why a layout is refused; nothing of it is left then.
    private func refusal(
        limits: UnpackLimits = .standard, _ build: (inout Layout) throws -> Void
    ) throws -> ImportError {
        try withScratch { scratch in
            var layout = Layout(directory: scratch.appending("layout"))
            try Syscall.makeDirectory(layout.directory, mode: 0o755)
            try build(&layout)
            let error = try #require(throws: BuildError.self) {
                try importing(layout.directory, in: scratch, limits: limits)
            }
            let environments = scratch.appending("environments")
            #expect(try entries(environments.appending("staging")).isEmpty)
            #expect(try entries(environments.appending("builds")).isEmpty)
            #expect(try entries(environments.appending("names")).isEmpty)
            guard case .image(let reason) = error else { throw error }
            return reason
        }
    }

    @Test func `layers become one tree, and what the image sets is kept as far as it has a meaning`() throws {
        try withScratch { scratch in
            let layout = Layout(directory: scratch.appending("layout"))
            let upper = layer { tar in
                tar.file("etc/.wh.old")
                tar.file("etc/new", "new")
            }
            let lower = layer { $0.file("etc/old") }
            try layout.index(try layout.image([small, lower, upper]))
            let (builder, result) = try importing(layout.directory, in: scratch)
            let record = result.record
            #expect(record.layers == [record.id])
            #expect(record.variables == ["PATH": "/bin", "HOME": "/home/jovyan"])
            #expect(record.interpreters == ["bash": "/bin/sh"])
            #expect(record.image?.user == "app" && record.image?.workingDirectory == "/srv")
            #expect(result.notes == ["variables left out: BAD NAME"])
            let tree = try #require(builder.store.layers(of: record).first)
            #expect(try entries(tree) == ["bin", "etc", "home", "srv"])
            #expect(try entries(tree.appending("etc")) == ["new", "passwd"])
            #expect(try text(tree.appending("etc/passwd")).hasSuffix("\njovyan:x:1000:1000::/home/jovyan:/bin/sh\n"))
            #expect(try builder.store.current(try #require(EnvironmentName("image"))) == record)
            #expect(try importing(layout.directory, in: scratch).1.record == record, "an equal image is known")
        }
    }

    @Test func `every digest is verified: of the manifest, the configuration, each layer and its content`() throws {
        let other = layer { $0.file("etc/passwd", "other") }
        let documents = try refusal { layout in
            let manifest = try layout.image([small])
            _ = try layout.blob(Array("{}".utf8), name: String(manifest.dropFirst(19).prefix(64)))
            try layout.index(manifest)
        }
        #expect(documents.description.contains("verify `blobs/sha256/") && documents.kind == .invalid)
        let blob = try refusal { layout in
            try layout.index(try layout.image([small]))
            // As long as the right one.
            var changed = small
            changed[600] ^= 1
            _ = try layout.blob(changed, name: Layout.digest(small))
        }
        #expect(blob.description.contains("its digest is sha256:"), "\(blob)")
        let content = try refusal { layout in
            try layout.index(try layout.image([small], contents: ["sha256:" + Layout.digest(other)]))
        }
        #expect(content.description.contains("the image says sha256:\(Layout.digest(other))"), "\(content)")
        let size = try refusal { layout in
            try layout.index(try layout.image([small]).replacing("\"size\": ", with: "\"size\": 1"))
        }
        #expect(size.description.contains("bytes, and its image says"), "\(size)")
    }

    @Test func `an image for another machine, without its files, or with documents that make no sense is refused`()
        throws
    {
        let foreign = try refusal { layout in
            layout.architecture = "s390x"
            try layout.index(try layout.image([small]))
        }
        #expect(foreign.description.contains("it is for linux/s390x"), "\(foreign)")
        let platforms = try refusal { layout in
            try layout.index(
                try layout.image([small], more: ", \"platform\": {\"os\": \"linux\", \"architecture\": \"riscv64\"}"),
                try layout.image([small], more: ", \"platform\": {\"os\": \"windows\", \"architecture\": \"amd64\"}"))
        }
        #expect(platforms.description.contains("linux/riscv64, windows/amd64"), "\(platforms)")
        let missing = try refusal { layout in
            let manifest = try layout.image([small])
            try Syscall.unlink(layout.directory.appending("blobs/sha256").appending(Layout.digest(small)))
            try layout.index(manifest)
        }
        #expect(missing.description.contains("is not in it"), "\(missing)")
        let link = try refusal { layout in
            let manifest = try layout.image([small])
            let blob = layout.directory.appending("blobs/sha256").appending(Layout.digest(small))
            try Syscall.rename(blob, to: layout.directory.appending("elsewhere"))
            try Syscall.symlink("../../elsewhere", blob)
            try layout.index(manifest)
        }
        #expect(link.kind == .invalid, "a link in a layout is not followed")
        for index in [
            "{", "[]", "{\"manifests\": []}", "{\"manifests\": [{\"digest\": \"sha512:00\", \"size\": 1}]}",
            "{\"manifests\": [{\"digest\": \"sha256:../../../etc/passwd\", \"size\": 1}]}",
        ] {
            let error = try refusal { layout in
                try layout.index()
                try write("index.json", index, layout.directory)
            }
            #expect(error.kind == .invalid, "\(index)")
        }
        let large = try refusal { layout in
            try layout.index()
            try write("index.json", String(repeating: " ", count: 5 << 20), layout.directory)
        }
        #expect(large.description.contains("more than a document of images has"), "\(large)")
    }

    @Test(arguments: [
        ("sha256:DIGEST", "LAYER.tar.gz", nil), ("DIGEST.json", "l0/layer.tar", nil),
        ("DIGEST.json", "LAYER/layer.tar", "README.md"), ("config.json", "layer.tar", nil),
    ])
    func `an archive whose manifest names its parts is an image, whatever these are called`(
        config: String, layer: String, other: String?
    ) throws {
        try withScratch { scratch in
            let configuration = Array(
                """
                {"architecture": "\(ImageDocument.hostArchitecture)", "os": "linux",
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:\(Layout.digest(small))"]}}
                """.utf8)
            let digest = Layout.digest(configuration)
            let config = config.replacing("DIGEST", with: digest)
            let layer = layer.replacing("LAYER", with: Layout.digest(small))
            var tar = TarBuilder()
            if let other { tar.file(other) }
            tar.add(layer, content: small)
            tar.add(config, content: configuration)
            tar.file("manifest.json", "[{\"Config\": \"\(config)\", \"Layers\": [\"\(layer)\"]}]")
            let source = scratch.appending("image.tar")
            try Syscall.writeFile(source, tar.archive)
            let record = try importing(source, in: scratch).1.record
            #expect(record.image?.kind == "docker-archive" && record.image?.digest == "sha256:" + digest)
            #expect(record.interpreters == ["bash": "/bin/sh"])
        }
    }

    @Test func `a root directory may have a manifest, and a layout without its index is refused`() throws {
        try withScratch { scratch in
            let tree = layer { tar in
                tar.file("manifest.json", "[{\"Config\": \"a\", \"Layers\": []}]")
                tar.file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
            }
            let source = scratch.appending("root.tar")
            try Syscall.writeFile(source, tree)
            #expect(try importing(source, in: scratch).1.record.image?.kind == "tar")
        }
        let missing = try refusal { layout in
            _ = try layout.image([small])
            try write("oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}", layout.directory)
        }
        #expect(missing.description.contains("neither an `index.json` nor a `manifest.json`"), "\(missing)")
        #expect(missing.hint != nil)
        let archived = layer { tar in
            tar.file("oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}")
            tar.file("blobs/sha256/" + Layout.digest(small), "x")
        }
        try withScratch { scratch in
            let source = scratch.appending("layout.tar")
            try Syscall.writeFile(source, archived)
            #expect(throws: BuildError.self) { try importing(source, in: scratch) }
        }
    }

    @Test func `a tag is refused where nothing has tags, and an archive that is imported again is known`() throws {
        try withScratch { scratch in
            let source = scratch.appending("root.tar")
            try Syscall.writeFile(source, small)
            let error = try #require(throws: BuildError.self) { try importing(source, in: scratch, tag: "zz") }
            #expect(error.description.contains("`zz`") && error.hint?.contains("--tag") == true, "\(error)")
            let first = try importing(source, in: scratch).1
            let second = try importing(source, in: scratch).1
            #expect(!first.isUnchanged && second.isUnchanged && second.record == first.record)
            try Syscall.unlink(source)
            try Syscall.writeFile(source, layer { $0.file("etc/passwd", "root:x:0:0::/root:/bin/sh\n") })
            #expect(try !importing(source, in: scratch).1.isUnchanged)
        }
    }

    @Test func `all layers of an image share the limit`() throws {
        let part = layer { $0.file("a", String(repeating: "x", count: 600)) }
        let error = try refusal(limits: UnpackLimits(bytes: 1000, entries: 100)) { layout in
            try layout.index(try layout.image([part, part]))
        }
        #expect(error.kind == .tooLarge && error.hint?.contains("--max-size") == true, "\(error)")
    }
}
