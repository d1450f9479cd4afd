import Cgroups
import Isolation
import JobScheduling
import LinuxSystem
import Policies
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What sandboxes need of this host, found by trying.
struct HostChecks {
    /// Something that was tried.
    struct Check: Encodable {
        var name: String
        /// `ok`, `weaker` where something is not enforced or not possible, `failed` where nothing runs.
        var state: String
        var detail: String
        var remedy: String?
    }

    /// Everything, in the order in which it matters.
    static func all() -> [Check] {
        [installation(), store(), room(), identity(), sandbox(), sockets(), scratch(), projectRoom()]
            + controlGroups() + programs() + tunDevice() + DeviceChecks.all(for: HostIdentity.choose())
    }

    /// What comes beside the program.
    private static func installation() -> Check {
        do {
            _ = try PythonSupport.source()
            return Check(name: "installation", state: "ok", detail: "complete")
        } catch {
            return Check(
                name: "installation", state: "failed", detail: "\(error)", remedy: Failures.failure(error)?.hint)
        }
    }

    private static func store() -> Check {
        do {
            let path = try CommandContext.storePath()
            _ = try Store.open(path)
            let status = try Syscall.lstat(path)
            guard status.mode & 0o022 == 0 else {
                return Check(
                    name: "store", state: "failed", detail: "`\(path)` can be written by others",
                    remedy: "chmod 0700 \(path)")
            }
            return Check(name: "store", state: "ok", detail: path.string)
        } catch {
            let failure = Failures.failure(error)
            return Check(name: "store", state: "failed", detail: "\(error)", remedy: failure?.hint)
        }
    }

    private static func room() -> Check {
        do {
            let directory = try Syscall.openLocation(try CommandContext.storePath())
            let system = try Syscall.fileSystem(of: directory.number)
            let free = humanBytes(system.freeBytes)
            guard system.freeBytes >= 1 << 30, system.files == 0 || system.freeFiles >= 10_000 else {
                return Check(
                    name: "disk", state: system.isFull ? "failed" : "weaker",
                    detail: "\(free) and \(system.freeFiles) files are left where the store is",
                    remedy: "remove jobs with `cloche rm`, make room, or name another directory in CLOCHE_HOME")
            }
            return Check(name: "disk", state: "ok", detail: "\(free) are left where the store is")
        } catch {
            return Check(name: "disk", state: "failed", detail: "\(error)", remedy: "see the store")
        }
    }

    private static func identity() -> Check {
        let offered = HostIdentity.choose()
        // What is wrong with the store is another check's to tell.
        let store = try? CommandContext.storePath()
        let identity = store.flatMap { try? HostIdentity.stored(in: $0) } ?? offered
        if let store, let check = changedIdentity(identity, offered, store) { return check }
        if let check = sharedIdentity(identity) { return check }
        switch identity.kind {
        case .ownerRange:
            let detail = "runs get ids \(identity.users[0].outside) and up"
            switch store.flatMap({ try? UserRanges($0).next }) {
            case .own(_, let left)?:
                return Check(
                    name: "ids", state: "ok",
                    detail:
                        "\(detail), and each user of a shared service has some of his own, for \(left + 1) users more")
            case .shared(let why, let remedy)?:
                return Check(
                    name: "ids", state: "weaker", detail: "\(detail); users of a shared service have the same: \(why)",
                    remedy: remedy)
            case nil: return Check(name: "ids", state: "ok", detail: detail)
            }
        case .userRange: return Check(name: "ids", state: "ok", detail: "a range of /etc/subuid")
        case .single:
            return Check(
                name: "ids", state: "weaker",
                detail: "only the own id: supervisor and steps share it, and bases cannot be built",
                remedy:
                    "install the package uidmap and give this user a range: "
                    + SubordinateRange.command(for: HostIdentity.userName(geteuid()) ?? "USER")
            )
        }
    }

    /// What to tell of a store whose user had other ids when it was made; nil where it is as a new one would be.
    private static func changedIdentity(_ stored: IdentityMap, _ offered: IdentityMap, _ store: FilePath) -> Check? {
        switch HostIdentity.standing(
            of: stored, offered: offered, isGranted: HostIdentity.isGranted(stored))
        {
        case .fitting: nil
        case .narrow:
            Check(
                name: "ids", state: "weaker",
                detail: "this store was made with a single id, and this user has a range by now",
                remedy: HostIdentity.remedy(for: store))
        case .lost:
            Check(
                name: "ids", state: "failed",
                detail: "this store was made with a range of ids that this user has no longer",
                remedy: HostIdentity.remedy(forLost: stored))
        }
    }

    /// What to tell where somebody else has ids of the runs, and could reach what gets out of them.
    private static func sharedIdentity(_ identity: IdentityMap) -> Check? {
        guard let other = HostIdentity.otherOwner(of: identity) else { return nil }
        let remedy =
            identity.kind == .ownerRange
            ? "make the lines of /etc/subuid and /etc/subgid for `cloche` and `\(other)` such that none overlaps"
            : "take this user's line out of /etc/subuid and /etc/subgid, and give a range that nobody has: "
                + SubordinateRange.command(for: HostIdentity.userName(geteuid()) ?? "USER")
        return Check(
            name: "ids", state: "weaker",
            detail: "ids of runs are also those of `\(other)` by /etc/subuid, who reaches their files and processes",
            remedy: remedy + "; then set CLOCHE_HOME to another directory")
    }

    /// Sets up a whole sandbox and runs a program in it: `cloche-init`, which is small and needs no library.
    private static func sandbox() -> Check {
        do {
            let outcome = try ProbeSandbox.run("cloche-init", [], under: BuiltInPolicies.standard)
            // Its answer to a call by hand: it ran.
            if outcome.code == 64 {
                return Check(name: "sandbox", state: "ok", detail: "namespaces, overlay, filter and limits were set up")
            }
            return Check(
                name: "sandbox", state: "failed",
                detail: outcome.complaint.isEmpty ? "it ended with \(outcome.code)" : outcome.complaint,
                remedy: outcome.hint)
        } catch {
            return Check(name: "sandbox", state: "failed", detail: "\(error)", remedy: Failures.failure(error)?.hint)
        }
    }

    private static func sockets() -> Check {
        Syscall.landlockVersion() >= 2
            ? Check(name: "landlock", state: "ok", detail: "no sockets in /data")
            : Check(
                name: "landlock", state: "weaker",
                detail: "runs without a network may reach one through a socket in /data, if another run helps",
                remedy: "use a kernel with Landlock (Linux 5.19, boot parameter `lsm=landlock,...`), or policies with "
                    + "`data: none`")
    }

    /// Where changes that are thrown away are kept.
    private static func scratch() -> Check {
        guard ScratchPlace.isDisk else {
            return Check(
                name: "limit scratch", state: "ok", detail: "throw-away changes are in memory, of limited size")
        }
        return Check(
            name: "limit scratch", state: "weaker",
            detail: "throw-away changes are on the disk: a watchdog holds this limit, a moment too late",
            remedy: "use Linux 6.6 or later, in Debian 12 from backports, and leave `CLOCHE_SCRATCH` alone")
    }

    /// What holds the room of what runs write to their projects.
    private static func projectRoom() -> Check {
        let name = "limit project"
        // A store that cannot be opened holds no quota either; what is the matter with it is a check of its own.
        guard geteuid() == 0, let store = try? Syscall.open(try CommandContext.storePath(), O_RDONLY | O_DIRECTORY),
            Syscall.holdsProjectLimits(store.number)
        else {
            return Check(
                name: name, state: "weaker",
                detail: "no project quota where the store is: a watchdog holds this limit, a moment too late",
                remedy:
                    "for runs of root on ext4: `tune2fs -O quota,project DEVICE` while it is not mounted, and the mount "
                    + "option `prjquota`")
        }
        return Check(name: name, state: "ok", detail: "a project quota of the file system where the store is")
    }

    private static func controlGroups() -> [Check] {
        let host = CgroupHost.probe()
        let unseen = host.unseen().map { obstacle in
            Check(
                name: "left groups", state: "weaker",
                detail: "\(obstacle.reason): control groups of sandboxes that were killed are not removed there",
                remedy: obstacle.remedy ?? "let the user of Cloche read that directory")
        }
        return unseen
            + [CgroupController.memory, .pids, .cpu].map { controller in
                let name = "limit \(controller.rawValue)"
                if let obstacle = host.obstacle(to: controller) {
                    let instead =
                        switch controller {
                        case .memory: "a watchdog holds this limit, a moment too late"
                        case .pids: "a resource limit holds it"
                        default: "this limit is not enforced"
                        }
                    return Check(
                        name: name, state: "weaker", detail: "\(obstacle.reason): \(instead)", remedy: obstacle.remedy)
                }
                let generation = host.hierarchy(for: controller).map { "version \($0.generation.rawValue)" } ?? ""
                return Check(name: name, state: "ok", detail: "control groups \(generation)")
            }
    }

    private static func programs() -> [Check] {
        [
            ("mmdebstrap", "/usr/bin/mmdebstrap", "building bases"),
            ("passt", "/usr/bin/pasta", "builds and policies with a network"),
            ("iproute2", "/usr/sbin/ip", "builds and policies with a network"),
        ].map { package, path, purpose in
            Syscall.exists(FilePath(path))
                ? Check(name: package, state: "ok", detail: "for \(purpose)")
                : Check(
                    name: package, state: "weaker", detail: "missing: no \(purpose)",
                    remedy: "sudo apt-get install \(package)")
        }
    }

    private static func tunDevice() -> [Check] {
        OutboundNetwork.deviceTrouble().map { trouble in
            [
                // Without an environment there is nothing to run anything in.
                Check(
                    name: "tun device", state: Completion.builtEnvironments.isEmpty ? "failed" : "weaker",
                    detail: "no environment can be built, and no policy with a network works", remedy: trouble)
            ]
        } ?? []
    }
}
