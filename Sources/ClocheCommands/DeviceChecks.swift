import Isolation
import LinuxSystem
import PlainText
import SandboxLaunch
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What the devices of policies come to on this host.
enum DeviceChecks {
    /// Refuses what the host lacks, before anything is made or started, and tells what will not work.
    static func check(_ policy: SandboxPolicy, for identity: IdentityMap, _ context: CommandContext) throws {
        guard policy.devices != nil else { return }
        let search = DeviceSearch(policy.devices, for: identity)
        do throws(LaunchError) {
            try search.check(policy: policy.name)
        } catch {
            throw CommandFailure(.hostUnsupported, error.description, hint: error.remedy)
        }
        for lack in search.lacks {
            context.say("note: no devices of `\(lack.family.rawValue)`: \(printable(lack.reason))")
        }
        for note in search.notes { context.say("note: \(printable(note))") }
    }

    /// Opens each node once: a rule of a control group, and a driver that is gone, are seen in no other way.
    private static func openingTrouble(_ plan: DevicePlan) -> (reason: String, remedy: String)? {
        for node in plan.nodes {
            let path = "/dev/\(node)"
            do throws(SyscallError) {
                _ = try Syscall.open(FilePath(path), O_RDWR | O_NONBLOCK | O_NOCTTY)
            } catch {
                switch error.errno {
                case .notPermitted:
                    return (
                        "`\(path)` cannot be opened: \(error)",
                        "let the control group of this process have the device: in a unit of systemd `DeviceAllow=\(path) rw`, "
                            + "in a container `--device \(path)`"
                    )
                case .noSuchAddressOrDevice, .operationNotSupportedByDevice:
                    return ("`\(path)` has no driver behind it: \(error)", "load the driver, or remove the node")
                // Sandboxes have other ids than the caller, whose rights say nothing of theirs.
                default: continue
                }
            }
        }
        return nil
    }

    /// A check for each kind of devices; a host without any lacks nothing.
    static func all(for identity: IdentityMap) -> [HostChecks.Check] {
        DeviceAccess.Family.allCases.map { family in
            let search = DeviceSearch(DeviceAccess([family], need: .none), for: identity)
            let name = "devices \(family.rawValue)"
            guard let plan = search.found else {
                let lack = search.lacks.first
                // A node that is there and cannot be had is a fault; that there is none is not.
                let isAbsent = lack?.reason.hasPrefix("there is no ") ?? true
                return HostChecks.Check(
                    name: name, state: isAbsent ? "ok" : "weaker",
                    detail: isAbsent ? "none found" : printable(lack?.reason ?? ""),
                    remedy: isAbsent ? nil : lack?.remedy)
            }
            let nodes = plan.nodes.joined(separator: ", ")
            if let trouble = openingTrouble(plan) {
                return HostChecks.Check(name: name, state: "weaker", detail: trouble.reason, remedy: trouble.remedy)
            }
            guard search.notes.isEmpty else {
                return HostChecks.Check(
                    name: name, state: "weaker", detail: nodes,
                    remedy: search.notes.map { printable($0) }.joined(separator: "; "))
            }
            return HostChecks.Check(
                name: name, state: "ok", detail: "\(nodes), and \(counted(plan.companions.count, "file")) of the driver"
            )
        }
    }
}
