import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a path that is to be imported turned out to be.
enum ImportSource {
    /// An image with layers.
    case image(ImageFiles)
    /// The files of a root directory, in an archive.
    case archive(ImageFile, Compression?)
    /// An archive that is compressed: what is in it shows when it is unpacked.
    case compressed(ImageFile, Compression)
    /// A root directory.
    case directory(FilePath)

    /// Opens a path as the one who names it sees it.
    static func open(_ path: FilePath) throws(ImportError) -> ImportSource {
        let name = printable(path.string, limit: 4096)
        let file: OpenedFile
        let status: FileStatus
        do throws(SyscallError) {
            file = OpenedFile(try Syscall.open(path, O_RDONLY | O_NONBLOCK))
            status = try Syscall.fstat(file.number)
        } catch  where error.errno == .noSuchFileOrDirectory {
            throw ImportError(.notFound, "import `\(name)`: there is no such file or directory", hint: "check the name")
        } catch {
            throw ImportError(.invalid, "import `\(name)`: \(error.errno)", hint: "see who may read it")
        }
        if status.isDirectory {
            guard Syscall.exists("oci-layout", at: file.number),
                Syscall.exists("index.json", at: file.number) || Syscall.exists("blobs", at: file.number)
            else { return .directory(path) }
            return .image(ImageFiles(layout: file))
        }
        guard status.isRegular else {
            throw ImportError(
                .invalid, "import `\(name)`: it is neither a file nor a directory",
                hint: "write what comes out of a pipe to a file first")
        }
        let archive = ImageFile(file, offset: 0, size: status.size)
        let magic = try archive.beginning(Compression.magicLength)
        if let compression = Compression(magic: magic) { return .compressed(archive, compression) }
        try refuseOthers(magic, name)
        return try plain(file, archive, "`\(name)`")
    }

    /// An archive without compression, which messages name by `what`: an image's, or a root directory's.
    static func plain(_ file: OpenedFile, _ archive: ImageFile, _ what: String) throws(ImportError) -> ImportSource {
        let index: ArchiveIndex
        do throws(ArchiveError) {
            _ = try ArchiveError.calling { () throws(SyscallError) in try Syscall.seek(file.number, to: 0) }
            index = try ArchiveIndex(ByteSource(file.number, isSeekable: true, limit: archive.size))
        } catch {
            throw ImportError(what, error)
        }
        let files = ImageFiles(archive: file, index)
        let isImage = index.isImage || !index.isTree && ImageManifest.isNamed(in: files)
        return isImage ? .image(files) : .archive(archive, nil)
    }

    /// What other files are, for those who take them for archives.
    private static func refuseOthers(_ magic: [UInt8], _ name: String) throws(ImportError) {
        let others: [(String, [UInt8])] = [
            ("a zip archive", Array("PK".utf8)), ("compressed by lz4", [0x04, 0x22, 0x4D, 0x18]),
            ("a program", [0x7F, 0x45, 0x4C, 0x46]), ("a squashfs image", Array("hsqs".utf8)),
        ]
        guard let other = others.first(where: { magic.starts(with: $0.1) }) else { return }
        throw ImportError(
            .invalid, "import `\(name)`: it is \(other.0)",
            hint: "make a tar archive of it: plain, or compressed by gzip, xz, zstd or bzip2")
    }
}
