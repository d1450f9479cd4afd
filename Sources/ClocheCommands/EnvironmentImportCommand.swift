import ArgumentParser
import Environments
import JobScheduling
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

struct EnvironmentImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make an environment of an image or a directory.",
        discussion: """
            SOURCE is a directory, a tar archive (plain, gzip, xz, zstd, bzip2), an OCI image layout as a directory or an \
            archive, what `docker save` writes, or an image in a registry: docker://HOST[:PORT]/REPOSITORY with :TAG or \
            @sha256:DIGEST, on Docker Hub without a host. Jobs and projects use it by its name, as `base_image` and with \
            `cloche exec --environment NAME`.

            Registries are asked as the image's reader: with the names and passwords that `docker login` or `skopeo login` \
            have written, over HTTPS, and over HTTP only on this machine or with --insecure. What is pulled again and has \
            not changed is not fetched again; a pull that was cut off goes on where it ended.

            Examples:
              cloche env import python-3.13 docker://python:3.13-slim
              cloche env import ubuntu rootfs.tar.xz
              docker save mine:latest -o mine.tar
              cloche env import mine mine.tar --replaces mine
            """)
    @Argument(help: "The name of the environment.", completion: Completion.environments) var name: String
    @Argument(help: "What is imported.", completion: .file()) var source: String
    @Option(help: ArgumentHelp("Projects mean it by this `base_image` too; any number.", valueName: "image"))
    var replaces: [String] = []
    @Option(help: "Which image of several.") var tag: String?
    @Option(help: "How much it may unpack to, such as 64G.") var maxSize: String = "32G"
    @Option(help: "How many files it may unpack to.") var maxFiles: Int = UnpackLimits.standard.entries
    @Flag(help: "Import even where the image in force is the same.") var refresh = false
    @Flag(help: "Ask the registry over HTTP where it has no HTTPS, also over the network.") var insecure = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let request = try request()
        let store = try context.openStore()
        let provider = try context.environments(store)
        guard !provider.baseNames.contains(name) else {
            throw CommandFailure(
                .alreadyExists, "import `\(name)`: that is the name of a base",
                hint: "give the environment another name"
            )
        }
        let result = try EnvironmentBuild(context).run(name) {
            try provider.importImage(request, isCancelled: $0, report: $1)
        }
        for note in result.notes { context.say("note: \(note)") }
        let record = result.record
        if result.isUnchanged {
            context.say("`\(printable(name))` is up to date: \(record.image?.digest ?? record.id)")
        }
        if output.json { return try context.print(Documents.object([("environment", Documents.value(record))])) }
        try context.print("\(printable(name)): build \(record.id), \(humanBytes(record.size))")
        if let system = record.image?.system { try context.print("system    \(printable(system))") }
        if !record.interpreters.isEmpty { try context.print("programs  \(printable(programs(record)))") }
    }

    private func request() throws -> ImportRequest {
        guard let environment = EnvironmentName(name) else {
            throw ValidationError(
                "`\(printable(name, limit: 120))` is not a name: at most \(EnvironmentName.limit) letters, digits, `.`, "
                    + "`_` and `-`, of which the first is a letter or a digit")
        }
        guard let bytes = Self.size(maxSize), bytes > 0 else {
            throw ValidationError("`\(printable(maxSize))` is not a size: a number, and K, M, G or T")
        }
        guard maxFiles > 0, maxFiles <= 100_000_000 else {
            throw ValidationError("--max-files is a number from 1 to 100000000")
        }
        var request = ImportRequest(name: environment, source: try place())
        request.tag = tag
        request.refresh = refresh
        request.limits = UnpackLimits(bytes: bytes, entries: maxFiles)
        for text in replaces {
            guard let image = ImageName(text) else {
                throw ValidationError("`\(printable(text))` is not the name of an image")
            }
            request.replaces.append(image)
        }
        return request
    }

    private func place() throws -> ImportPlace {
        guard ImageReference.isMeant(by: source) else {
            guard !insecure else { throw ValidationError("--insecure is for images in registries (docker://…)") }
            return .path(FilePath(source))
        }
        guard tag == nil else { throw ValidationError("the tag of an image in a registry is a part of its name") }
        guard let reference = ImageReference(source) else {
            throw ValidationError(
                "`\(printable(source))` is not the name of an image: docker://HOST[:PORT]/REPOSITORY in lower-case letters,"
                    + " then :TAG or @sha256:DIGEST")
        }
        return .registry(reference, allowsPlain: insecure)
    }

    /// A number of bytes, with a unit of powers of 1024.
    private static func size(_ text: String) -> Int64? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        guard let number = Int64(String(decoding: digits, as: UTF8.self)) else { return nil }
        let units: [String: Int64] = ["": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        var unit = String(decoding: text.utf8.dropFirst(digits.count), as: UTF8.self).uppercased()
        for ending in ["IB", "B"] where unit.hasSuffix(ending) {
            unit.removeLast(ending.count)
            break
        }
        guard let factor = units[unit] else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }
}

/// Languages with their programs, for people.
func programs(_ record: BuildRecord) -> String {
    record.interpreters.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
}
