import Isolation
import LinuxSystem
package import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The project as the steps of a run see it: the snapshot, the layers that steps before have left, and on top the
/// directory that takes what is written now.
///
/// While no step runs, what has been written can be set aside as one more layer, which nothing changes any more. The
/// mount is made anew then: the launcher clones the sandboxes of later steps from the same mount namespace.
package final class ProjectOverlay {
    /// What came of an attempt to set aside what has been written.
    package enum Sealing: Sendable, Hashable {
        /// Nothing has been written since the last time.
        case unchanged
        /// It is the layer of that name in the directory `layers`.
        case sealed(String)
        /// Somebody still has a file of the project open; the project goes on as it was.
        case inUse
    }

    private let project: StageSpec.Project
    private let identity: IdentityMap
    private let keeper: Int32
    private var layers: [String] = []
    private var mounts = 1
    private var watch: UnmountWatch
    private var beginning: FileStatus

    private static let work = FilePath("\(StagePath.writable)/\(StageSpec.Project.work)")
    private static let upper = FilePath("\(StagePath.writable)/\(StageSpec.Project.upper)")
    private static let fresh = FilePath("\(StagePath.writable)/\(StageSpec.Project.layers)/new")
    private static let sealed = FilePath("\(StagePath.writable)/\(StageSpec.Project.layers)")

    /// Mounts the project at its place on the stage; the supervisor has its own id already.
    ///
    /// `keeper` is the parent with whom this process ends.
    init(_ project: StageSpec.Project, identity: IdentityMap, keeper: Int32) throws(LaunchError) {
        self.project = project
        self.identity = identity
        self.keeper = keeper
        let model = project.kept == nil ? nil : FilePath(StagePath.projectLower(0))
        let made = try LaunchError.during("lay the run's directory over the project") {
            () throws(SyscallError) -> Mounted in
            try Self.asAuthor(identity, keeper) { () throws(SyscallError) in
                // There already where the file system limits what is in them.
                try Syscall.makeDirectories(Self.sealed, mode: 0o755)
                try Syscall.makeDirectories(Self.work, mode: 0o755)
                try Self.makeUpper(like: model)
            }
            return try Self.mount(project, layers: [], number: 1, identity, keeper)
        }
        beginning = made.beginning
        watch = made.watch
    }

    private struct Mounted: ~Copyable {
        var watch: UnmountWatch
        var beginning: FileStatus
    }

    /// Sets aside what has been written: the caller knows that no step runs.
    package func seal() throws(LaunchError) -> Sealing {
        do throws(SyscallError) {
            return try sealWritten()
        } catch {
            throw LaunchError(step: "set aside what the steps have written", error)
        }
    }

    private func sealWritten() throws(SyscallError) -> Sealing {
        guard try isChanged() else { return .unchanged }
        let target = FilePath(StagePath.project)
        do throws(SyscallError) {
            try Syscall.unmount(target)
        } catch let error where error.errno == .resourceBusy {
            return .inUse
        }
        // The processes of steps have ended, but one may have handed an open file to another run.
        let isGone = try watch.wait(milliseconds: Self.patience)
        var outcome = Sealing.inUse
        if isGone {
            let name = String(layers.count + 1)
            let model = Self.sealed.appending(name)
            try Syscall.rename(Self.upper, to: model, replacing: false)
            layers.append(name)
            try Self.asAuthor(identity, keeper) { () throws(SyscallError) in try Self.makeUpper(like: model) }
            outcome = .sealed(name)
        }
        mounts += 1
        let made = try Self.mount(project, layers: layers, number: mounts, identity, keeper)
        beginning = made.beginning
        watch = made.watch
        return outcome
    }

    private static let patience: Int32 = 1000

    private func isChanged() throws(SyscallError) -> Bool {
        let upper = try Syscall.open(Self.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        // The clock of a file system is coarse: two changes can have one time.
        if try Syscall.fstat(upper.number).changed != beginning.changed { return true }
        return try !Syscall.directoryListing(upper.number).items.isEmpty
    }

    /// Makes an empty upper directory; what is seen of the project's own directory is what its model has.
    private static func makeUpper(like model: FilePath?) throws(SyscallError) {
        // Made where new directories come under the limit of what is there.
        try Syscall.makeDirectory(Self.fresh, mode: 0o755)
        try Syscall.rename(Self.fresh, to: Self.upper, replacing: false)
        guard let model else { return }
        let old = try Syscall.open(model, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let new = try Syscall.open(Self.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        for name in try Syscall.attributeNames(old.number)
        where name.starts(with: "user.".utf8) && !name.starts(with: "user.overlay.".utf8) {
            let name = TerminatedName(name)
            try Syscall.setAttribute(name, of: new.number, try Syscall.attribute(name, of: old.number))
        }
        let status = try Syscall.fstat(old.number)
        try Syscall.changeMode(of: new.number, status.permissions)
        try Syscall.setModificationTime(of: new.number, status.modified)
    }

    /// Mounts the project with these layers of the run itself, the oldest first.
    ///
    /// `volatile` leaves the syncing of the whole file system, which the end of every such mount means otherwise, to the
    /// supervisor: once, at the end of the run. The kernel marks the work directory of such a mount as used; as removing
    /// the mark costs some milliseconds, each mount has a new one.
    private static func mount(
        _ project: StageSpec.Project, layers: [String], number: Int, _ identity: IdentityMap, _ keeper: Int32
    ) throws(SyscallError) -> Mounted {
        let work = Self.work.appending(String(number))
        let lowers =
            layers.reversed().map { "\(sealed.string)/\($0)" }
            + project.layerCount.map { StagePath.projectLower($0) }
        let data =
            "lowerdir=\(lowers.joined(separator: ":")),upperdir=\(upper.string),workdir=\(work.string),userxattr,volatile"
        try asAuthor(identity, keeper) { () throws(SyscallError) in
            try Syscall.makeDirectory(work, mode: 0o755)
            try Syscall.mount(
                source: "project", target: FilePath(StagePath.project), type: "overlay",
                flags: UInt(MS_NOSUID | MS_NODEV), data: data)
        }
        let beginning = try Syscall.lstat(upper)
        return Mounted(watch: try UnmountWatch(FilePath(StagePath.project)), beginning: beginning)
    }

    /// Makes files as the author's id, so that what overlayfs makes in the work directory is the author's to remove.
    private static func asAuthor(
        _ identity: IdentityMap, _ keeper: Int32, _ body: () throws(SyscallError) -> Void
    ) throws(SyscallError) {
        guard identity.hasRange else { return try body() }
        try Syscall.setFileIdentity(user: IdentityMap.user, group: IdentityMap.user)
        try body()
        try Syscall.setFileIdentity(user: IdentityMap.supervisor, group: IdentityMap.supervisor)
        // A change of ids forgets both.
        try Syscall.endWithParent(keeper)
        try Syscall.setDumpable(false)
    }
}
