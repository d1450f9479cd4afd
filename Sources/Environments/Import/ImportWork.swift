import LinuxSystem
import PlainText
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One import: what is done in its staging directory.
final class ImportWork {
    let builder: EnvironmentBuilder
    let request: ImportRequest
    let paths: BuildPaths
    /// The build in force, unless an equal one is to be made again.
    let current: BuildRecord?
    private var log: BuildLog
    let isCancelled: () -> Bool
    let report: (BuildEvent) -> Void
    private var unpacked = UnpackReport()
    var stages = 3, stage = 0
    var notes: [String] = []

    init(
        builder: EnvironmentBuilder, request: ImportRequest, paths: BuildPaths, current: BuildRecord?, log: BuildLog,
        isCancelled: @escaping () -> Bool, report: @escaping (BuildEvent) -> Void
    ) {
        self.builder = builder
        self.request = request
        self.paths = paths
        self.current = current
        self.log = log
        self.isCancelled = isCancelled
        self.report = report
    }

    /// The record of what was imported but for its identity; nil where it is in force already.
    func run(_ source: ImportSource?, _ client: RegistryClient?) throws(BuildError) -> BuildRecord? {
        if let client { return try pull(client.reference, client) }
        return try source.flatMap { source throws(BuildError) in try run(source) }
    }

    private func run(_ source: ImportSource) throws(BuildError) -> BuildRecord? {
        switch source {
        case .image(let files): return try image(files, from: nil)
        case .archive(let file, let compression):
            try refuseTag()
            // What was an archive before may be the same one; else nothing is won by reading it twice.
            if current?.image?.kind == "tar", isInForce(origin("tar", try digest(file, compression))) { return nil }
            let content = try unpack(file, compression, as: "the archive", isLayer: false).content
            return try complete(origin("tar", content), nil)
        case .compressed(let file, let compression): return try run(try look(into: file, compression))
        case .directory(let path):
            try refuseTag()
            let origin = origin("directory", try copy(path))
            return isInForce(origin) ? nil : try complete(origin, nil)
        }
    }

    private func isInForce(_ origin: ImageOrigin) -> Bool { current.map { $0.inputs == draft(origin).inputs } ?? false }

    private func refuseTag() throws(BuildError) {
        guard let tag = request.tag else { return }
        throw .image(
            ImportError(
                .invalid,
                "find the image `\(printable(tag, limit: 120))`: `\(request.source)` is a root directory, without tags",
                hint: "leave out `--tag`; if it should be an image, save it again, as with `docker save`"))
    }

    /// Unpacks an image, which was found in a registry or not.
    func image(_ files: ImageFiles, from found: FoundImage?) throws(BuildError) -> BuildRecord? {
        let manifest = try imported { () throws(ImportError) in try ImageManifest.read(files, tag: request.tag) }
        var origin = origin(found == nil ? manifest.kind : Self.registryKind, manifest.digest)
        if let found, found.named != found.manifest { origin.list = found.named.text }
        if isInForce(origin) { return nil }
        stages = stage + manifest.layers.count + 2
        for (index, layer) in manifest.layers.enumerated() {
            let file = try imported { () throws(ImportError) in try files.open(layer.file) }
            let name = "layer \(index + 1) of \(manifest.layers.count)"
            let read = try unpack(file, try compression(of: file), as: name, isLayer: true)
            try imported { () throws(ImportError) in
                try read.file.verify(layer.file, digest: layer.digest, size: layer.size)
                guard read.content != layer.content.text else { return }
                throw ImportError(
                    .invalid,
                    "verify \(name): the digest of what is in it is \(read.content), and the image says "
                        + layer.content.text,
                    hint: "the image is damaged, or was changed: copy it again")
            }
        }
        let defaults = manifest.configuration.config
        origin.user = defaults?.User.flatMap { $0.isEmpty ? nil : printable($0, limit: 120) }
        origin.workingDirectory = defaults?.WorkingDir.flatMap { $0.hasPrefix("/") ? printable($0, limit: 4096) : nil }
        origin.entrypoint = (defaults?.Entrypoint ?? []).prefix(100).map { printable($0, limit: 1000) }
        origin.command = (defaults?.Cmd ?? []).prefix(100).map { printable($0, limit: 1000) }
        return try complete(origin, defaults)
    }

    func origin(_ kind: String, _ digest: String) -> ImageOrigin {
        var origin = ImageOrigin(kind: kind, source: request.source.description, digest: digest)
        origin.replaces = request.replaces.map(\.text)
        return origin
    }

    /// What is known of the result when the source is known.
    func draft(_ origin: ImageOrigin) -> BuildRecord {
        var inputs = BuildInputs()
        inputs.add("import", Array(origin.kind.utf8))
        inputs.add("digest", Array(origin.digest.utf8))
        for name in origin.replaces { inputs.add("replaces", Array(name.utf8)) }
        var record = BuildRecord(
            id: "", name: request.name.text, title: "imported from \(origin.source)", layers: [], variables: [:],
            interpreters: [:], created: "", size: 0, privilegedFiles: 0, inputs: builder.digest(inputs.bytes),
            packages: [])
        record.image = origin
        return record
    }
}

// MARK: - Archives

extension ImportWork {
    private func compression(of file: ImageFile) throws(BuildError) -> Compression? {
        try imported { () throws(ImportError) in
            Compression(magic: try file.beginning(Compression.magicLength))
        }
    }

    /// The digest of what is in an archive.
    private func digest(_ file: ImageFile, _ compression: Compression?) throws(BuildError) -> String {
        begin(.read)
        var copy = file
        var digest = StreamDigest()
        try executing { () throws in
            try self.stream(&copy, compression, "`\(self.request.source)`") { digest.add($0) }
        }
        return "sha256:" + digest.hexadecimal
    }

    /// Unpacks an archive into the tree; gives the file as it was read, and the digest of its content.
    private func unpack(
        _ file: ImageFile, _ compression: Compression?, as what: String, isLayer: Bool
    ) throws(BuildError) -> (file: ImageFile, content: String) {
        begin(.unpack(what))
        var file = file
        let content = try unpack(as: what, isLayer: isLayer, isHostTree: false) { write in
            try self.stream(&file, compression, what, write)
        }
        return (file, content)
    }

    /// Unpacks what `feed` writes; gives its digest.
    private func unpack(
        as what: String, isLayer: Bool, isHostTree: Bool,
        _ feed: (_ write: @escaping ([UInt8]) throws -> Void) throws -> Void
    ) throws(BuildError) -> String {
        var digest = StreamDigest()
        let limits = request.limits.without(unpacked)
        var command = UnpackCommand(directory: paths.tree, task: .unpack(limits, isLayer: isLayer))
        command.isHostTree = isHostTree
        let answer = try executing { () throws in
            try builder.executor.unpack(command, isCancelled: isCancelled, output: { _ = self.write($0) }) { write in
                try feed { part in
                    digest.add(part)
                    try write(part)
                }
            }
        }
        switch answer {
        case .unpacked(let report):
            unpacked.add(report)
            for line in report.lines { say("\(what): \(line)") }
            return "sha256:" + digest.hexadecimal
        case .failed(let error):
            say("\(what): \(error)")
            throw .image(ImportError(what, error))
        case .completed: throw .executor(.unpack(what), "the archive's reader gave the wrong answer")
        }
    }

    /// Passes a file on without its compression.
    private func stream(
        _ file: inout ImageFile, _ compression: Compression?, _ what: String, _ write: ([UInt8]) throws -> Void
    ) throws {
        guard let compression else {
            while case let part = try file.read(), !part.isEmpty {
                if isCancelled() { throw BuildError.cancelled }
                try write(part)
                report(.progress(done: file.bytesRead, of: file.size))
            }
            return
        }
        guard let program = compression.arguments.first, Syscall.exists(FilePath(program)) else {
            throw ImportError(
                .host, "decompress \(what): there is no `\(compression.rawValue)` on this host",
                hint: "install Debian's package `\(compression.package)`")
        }
        let outcome = try builder.executor.decompress(
            compression, root: paths.work, from: { try file.read() }, isCancelled: isCancelled,
            output: { _ = self.write($0) }
        ) { part in
            try write(part)
            report(.progress(done: file.bytesRead, of: file.size))
        }
        if isCancelled() { throw BuildError.cancelled }
        guard outcome.succeeded else {
            if let failure = CommandOutcome.notStarted(outcome.status, log.tail) {
                throw ImportError(.host, "decompress \(what): \(failure.why)", hint: failure.hint)
            }
            let said = printable(
                trimmed(String(decoding: log.tail, as: UTF8.self).split(separator: "\n").last ?? ""), limit: 120)
            let why = outcome.verdict ?? "\(compression.rawValue) ended with status \(outcome.status)"
            throw ImportError(
                .invalid, "decompress \(what): \(why)" + (said.isEmpty ? "" : ": \(said)"),
                hint: "see whether the file is whole")
        }
    }

    /// What a compressed archive is: an image's is written out, for its files are needed in an order of their own.
    private func look(into file: ImageFile, _ compression: Compression) throws(BuildError) -> ImportSource {
        begin(.read)
        struct Enough: Error {}
        let what = "`\(request.source)`"
        var first: [UInt8] = []
        try executing { () throws in
            var copy = file
            do {
                try self.stream(&copy, compression, what) { part in
                    first += part
                    if first.count >= 1 << 20 { throw Enough() }
                }
            } catch is Enough {}
        }
        let start = first
        return try executing { () throws in
            let memory = try Syscall.sealedMemory(name: "archive", bytes: start, executable: false)
            _ = try Syscall.seek(memory.number, to: 0)
            // One that is longer than its first part is cut off here, which is not its fault.
            if let index = try? ArchiveIndex(ByteSource(memory.number)), index.isTree {
                return .archive(file, compression)
            }
            return try self.writeOut(file, compression, what)
        }
    }

    private func writeOut(_ file: ImageFile, _ compression: Compression, _ what: String) throws -> ImportSource {
        let path = paths.tree.removingLastComponent().appending("archive")
        let plain = OpenedFile(
            try Syscall.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600))
        try Syscall.unlink(path)
        var copy = file
        var size: Int64 = 0
        try stream(&copy, compression, what) { part in
            size += Int64(part.count)
            guard size <= request.limits.bytes else {
                throw ImportError(
                    what, ArchiveError(.tooLarge, "it unpacks to more than \(request.limits.bytes) bytes"))
            }
            try Syscall.writeAll(plain.number, part, 0..<part.count)
        }
        return try ImportSource.plain(plain, ImageFile(plain, offset: 0, size: size), "what is compressed in \(what)")
    }

    /// Copies a directory through an archive, so that the rules for archives hold for it as well; gives its digest.
    ///
    /// GNU tar reads it, as the one who asks for it: it follows no links and stays on the file system.
    private func copy(_ directory: FilePath) throws(BuildError) -> String {
        begin(.unpack("the directory"))
        return try unpack(as: "the directory", isLayer: false, isHostTree: true) { write in
            let program = ChildProgram(
                path: "/usr/bin/tar",
                arguments: [
                    "tar", "--create", "--format=pax", "--xattrs", "--sparse", "--numeric-owner", "--one-file-system",
                    "--sort=name", "--directory", directory.string, "--", ".",
                ])
            var done: Int64 = 0
            let status: Int32
            do {
                status = try program.run(isCancelled: self.isCancelled, errors: { _ = self.write($0) }) { part in
                    try write(part)
                    done += Int64(part.count)
                    self.report(.progress(done: done, of: nil))
                }
            } catch is ChildProgram.Stopped {
                throw BuildError.cancelled
            }
            guard status != 0 else { return }
            throw ImportError(
                .invalid,
                "read the directory: "
                    + printable(trimmed(String(decoding: self.log.tail, as: UTF8.self)), limit: 500),
                hint: status == 1
                    ? "it changed meanwhile: import it again" : "see whether all of it may be read")
        }
    }
}

// MARK: - The log, and errors

extension ImportWork {
    func begin(_ next: BuildPlan.Stage) {
        // A look into an archive is no stage of what comes of it.
        if case .read = next {} else { stage += 1 }
        report(.stage(next, number: max(1, stage), of: stages))
        say("== \(next)")
    }

    /// Writes a line to the log.
    func say(_ line: String) { report(.output(write(Array((line + "\n").utf8)))) }

    func write(_ bytes: [UInt8]) -> [UInt8] { log.write(bytes) }

    /// Notes for the one who asked.
    var unpackNotes: [String] { unpacked.lines }

    func imported<Value>(_ body: () throws(ImportError) -> Value) throws(BuildError) -> Value {
        do throws(ImportError) { return try body() } catch { throw .image(error) }
    }

    func executing<Value>(_ body: () throws -> Value) throws(BuildError) -> Value {
        do {
            let value = try body()
            if let failure = log.failure { throw BuildError.store(.system(failure)) }
            return value
        } catch let error as BuildError {
            throw error
        } catch let error as ImportError {
            throw .image(error)
        } catch let error as SyscallError {
            throw .store(.system(error))
        } catch {
            throw .executor(.unpack("the image"), "\(error)")
        }
    }
}
