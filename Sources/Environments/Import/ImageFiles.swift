import LinuxSystem
import PlainText
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The files of an image: in the directory of an OCI layout, or in an archive.
struct ImageFiles {
    private enum Place {
        case directory(OpenedFile)
        case archive(OpenedFile, ArchiveIndex)
    }

    private let place: Place

    /// The files of a layout, an open directory.
    init(layout: OpenedFile) { place = .directory(layout) }

    /// The files of an archive that is open and not compressed.
    init(archive: OpenedFile, _ index: ArchiveIndex) { place = .archive(archive, index) }

    func has(_ name: String) -> Bool {
        switch place {
        case .directory(let directory): Syscall.exists(FilePath(name), at: directory.number)
        case .archive(_, let index): index[name] != nil
        }
    }

    /// Opens a file for reading it once.
    func open(_ name: String) throws(ImportError) -> ImageFile {
        let missing = ImportError(
            .invalid, "read the image: the file `\(printable(name, limit: 120))` that it names is not in it",
            hint: "see whether the image is whole; copy it again")
        do throws(SyscallError) {
            switch place {
            case .directory(let directory):
                let file = try Syscall.open(
                    FilePath(name), at: directory.number, O_RDONLY | O_NONBLOCK, resolve: [.beneath, .noSymlinks])
                let status = try Syscall.fstat(file.number)
                guard status.isRegular else { throw SyscallError("open", name, errno: .invalidArgument) }
                return ImageFile(OpenedFile(file), offset: 0, size: status.size)
            case .archive(let archive, let index):
                guard let place = index[name] else { throw SyscallError("open", errno: .noSuchFileOrDirectory) }
                return ImageFile(archive, offset: place.offset, size: place.size)
            }
        } catch  where error.errno == .noSuchFileOrDirectory {
            throw missing
        } catch  where error.errno == .tooManySymbolicLinkLevels {
            throw ImportError(
                .invalid, "read the image: `\(printable(name, limit: 120))` is a link, and links are not followed",
                hint: "copy the layout with the files that are meant, as with `cp -rL`")
        } catch {
            throw ImportError(
                .invalid, "read the image: \(printable(error.description, limit: 120))", hint: "see who may read it")
        }
    }

    /// Reads a document, and verifies it where its digest and size are known.
    func document(_ name: String, digest: ImageDigest? = nil, size: Int64? = nil) throws(ImportError) -> [UInt8] {
        var file = try open(name)
        guard file.size <= Int64(ImageDocument.limit) else {
            throw ImportError(
                .invalid, "read the image: `\(name)` has \(file.size) bytes, more than a document of images has")
        }
        var bytes: [UInt8] = []
        while case let part = try file.read(), !part.isEmpty { bytes += part }
        try file.verify(name, digest: digest, size: size)
        return bytes
    }
}

/// One file of an image, read from its beginning to its end, with the digest of what was read.
struct ImageFile {
    private let file: OpenedFile
    private let offset: Int64
    let size: Int64
    private var position: Int64 = 0
    private var digest = StreamDigest()

    init(_ file: OpenedFile, offset: Int64, size: Int64) {
        self.file = file
        self.offset = offset
        self.size = size
    }

    /// How many bytes were read.
    var bytesRead: Int64 { position }

    /// The next part; empty at the end.
    mutating func read() throws(ImportError) -> [UInt8] {
        let most = Int(min(256 << 10, size - position))
        guard most > 0 else { return [] }
        do throws(SyscallError) {
            _ = try Syscall.seek(file.number, to: offset + position)
            let part = try Syscall.read(file.number, upTo: most)
            position += Int64(part.count)
            digest.add(part)
            return part
        } catch {
            throw ImportError(.host, "read the image: \(printable(error.description, limit: 120))")
        }
    }

    /// The first bytes, without reading them.
    func beginning(_ count: Int) throws(ImportError) -> [UInt8] {
        var copy = self
        return Array(try copy.read().prefix(count))
    }

    /// What is read has to be what was promised.
    func verify(_ name: String, digest expected: ImageDigest?, size expectedSize: Int64?) throws(ImportError) {
        let hint = "the image is damaged, or was changed: copy it again"
        if let expectedSize, expectedSize != position {
            throw ImportError(
                .invalid, "verify `\(name)`: it has \(position) bytes, and its image says \(expectedSize)", hint: hint)
        }
        let found = digest.hexadecimal
        if let expected, expected.hexadecimal != found {
            throw ImportError(
                .invalid, "verify `\(name)`: its digest is sha256:\(found), and its image says \(expected.text)",
                hint: hint)
        }
    }
}
