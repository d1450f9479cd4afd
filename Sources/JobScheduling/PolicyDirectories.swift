import LinuxSystem
package import Policies
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension PolicyCatalogue {
    /// Where the administrator's policies are.
    package static let systemDirectory: FilePath = "/etc/cloche/policies"

    /// The built-in policies, the administrator's, and those of a store, below the administrator's ceiling.
    ///
    /// In a store that a service keeps for a user, these are those of the service's store.
    package static func standard(store: FilePath) throws -> PolicyCatalogue {
        let store = try StoreOwner.sharedStore(of: store)
        return PolicyCatalogue(
            layers: [
                layer(.system, systemDirectory, belongsToRoot: true),
                layer(.store, store.appending("policies"), belongsToRoot: false),
            ], ceiling: try ceiling())
    }

    /// The paths of all documents of which a change could change what the policies of these names come to, and of the
    /// directories in which such documents are made and removed.
    package static func sources(of names: [String], store: FilePath) throws -> [String] {
        let store = try StoreOwner.sharedStore(of: store)
        let directories = [systemDirectory, store.appending("policies")]
        return directories.map(\.string) + [systemDirectory.appending(PolicyCeiling.fileName).string]
            + directories.flatMap { directory in names.map { directory.appending($0 + PolicyName.suffix).string } }
    }

    private static func ceiling() throws(PolicyError) -> PolicyCeiling? {
        let file = systemDirectory.appending(PolicyCeiling.fileName).string
        let bytes: [UInt8]?
        do throws(SyscallError) {
            bytes = try read(PolicyCeiling.fileName, in: systemDirectory, belongsToRoot: true)
        } catch {
            throw .unreadable(file: file, reason: "\(error)")
        }
        return try bytes.map { bytes throws(PolicyError) in try PolicyCeiling(reading: bytes, file: file) }
    }

    private static func layer(_ kind: PolicyLayer, _ directory: FilePath, belongsToRoot: Bool) -> Layer {
        Layer(
            kind, directory: directory.string,
            fileNames: {
                // A directory that cannot be read has no policies that anybody could use.
                guard let opened = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY),
                    let entries = try? Syscall.directoryEntries(opened.number)
                else { return [] }
                // The ceiling of the system is no policy, and none that is misplaced.
                return entries.map { String(decoding: $0.name, as: UTF8.self) }
                    .filter { !belongsToRoot || $0 != PolicyCeiling.fileName }
            },
            read: { name in try read(name, in: directory, belongsToRoot: belongsToRoot) })
    }

    private static func read(
        _ name: String, in directory: FilePath, belongsToRoot: Bool
    ) throws(SyscallError) -> [UInt8]? {
        let opened: OwnedFileDescriptor
        do throws(SyscallError) {
            opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return nil
        }
        do throws(SyscallError) {
            // A link may lead to where an administrator keeps the document; what it leads to is looked at.
            let file = try Syscall.open(FilePath(name), at: opened.number, O_RDONLY | O_NONBLOCK)
            let status = try Syscall.fstat(file.number)
            guard status.isRegular else { throw SyscallError("open", name, errno: .invalidArgument) }
            if belongsToRoot {
                for status in [status, try Syscall.fstat(opened.number)] where !status.isOfRootAlone {
                    throw SyscallError("trust", "\(directory)/\(name)", errno: .notPermitted)
                }
            }
            return try Syscall.readAll(file.number, limit: PolicyDocument.sizeLimit + 1)
        } catch let error where error.errno == .noSuchFileOrDirectory {
            // A link that leads nowhere is a policy that is missing, not one that nobody wrote.
            guard !Syscall.exists(FilePath(name), at: opened.number) else { throw error }
            return nil
        }
    }
}

extension FileStatus {
    /// Whether nobody but root can have written it.
    fileprivate var isOfRootAlone: Bool { user == 0 && mode & 0o022 == 0 }
}
