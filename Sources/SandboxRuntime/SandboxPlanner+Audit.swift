import Isolation

#if canImport(Glibc)
    import Glibc
#endif

/// What the set-up must have led to.
extension SandboxPlanner {
    /// The mount table after these operations and the change of the root directory.
    func expectedMounts(_ operations: [LaunchPlan.Operation]) -> [ExpectedMount] {
        var mounts: [ExpectedMount] = []
        for operation in operations {
            switch operation {
            case .mount(let source, let target, let type, let flags, _):
                guard let path = Self.inside(target) else { continue }
                mounts.append(
                    ExpectedMount(
                        .one, at: path, type: type,
                        flags: type == nil ? sourceFlags(source ?? "", among: mounts) : Self.flags(flags)))
                if type == nil, flags & UInt64(MS_REC) != 0 { mounts += broughtAlong(by: source ?? "", at: path) }
            case .remount(let target, let flags):
                guard let path = Self.inside(target), let last = mounts.lastIndex(where: { $0.target == path }) else {
                    continue
                }
                mounts[last].flags.formUnion(Self.flags(flags))
            default: continue
            }
        }
        return mounts
    }

    /// A target as the sandbox sees it; nil for what stays behind in the supervisor's root.
    private static func inside(_ target: String) -> String? {
        guard target.hasPrefix(StagePath.newRoot) else { return nil }
        let path = target.dropFirst(StagePath.newRoot.count)
        return path.isEmpty ? "/" : String(path)
    }

    private static func flags(_ flags: UInt64) -> ExpectedMount.Flags {
        let pairs: [(Int, ExpectedMount.Flags)] = [
            (Int(MS_RDONLY), .readOnly), (Int(MS_NOSUID), .noSetuid), (Int(MS_NODEV), .noDevices),
            (Int(MS_NOEXEC), .noExecute),
        ]
        return pairs.reduce(into: []) { set, pair in if flags & UInt64(pair.0) != 0 { set.insert(pair.1) } }
    }

    /// What a bind takes over from the place that it is made of.
    private func sourceFlags(_ source: String, among mounts: [ExpectedMount]) -> ExpectedMount.Flags {
        if let bind = bind(source) {
            return bind.readOnly ? [.noSetuid, .noDevices, .readOnly] : [.noSetuid, .noDevices]
        }
        if source == StagePath.devices || stage.ownsDevices && source.hasPrefix(StagePath.devices + "/") {
            let flags: ExpectedMount.Flags = [.readOnly, .noSetuid, .noExecute]
            return stage.ownsDevices ? flags : flags.union(.noDevices)
        }
        if source.hasPrefix(StagePath.devices + "/") { return Self.deviceFlags }
        if source == StagePath.emptyDirectory || source.hasPrefix(StagePath.view + "/") {
            return [.noSetuid, .noDevices, .readOnly]
        }
        if source.hasPrefix(StagePath.deviceCompanions + "/") { return [.noSetuid, .noDevices, .readOnly] }
        if let path = Self.inside(source) {
            // A part of a mount that is there already: the last one that it lies in.
            return mounts.last { path == $0.target || path.hasPrefix($0.target + "/") }?.flags ?? []
        }
        return [.noSetuid, .noDevices]
    }

    /// The mounts that come along with a bind: known ones of the devices, and any of a directory of the host.
    private func broughtAlong(by source: String, at path: String) -> [ExpectedMount] {
        if source == StagePath.devices {
            let names = (stage.ownsDevices ? [] : Stage.devices) + (stage.spec.devices?.nodes ?? [])
            return names.map { ExpectedMount(.one, at: "\(path)/\($0)", type: nil, flags: Self.deviceFlags) }
        }
        guard bind(source) != nil else { return [] }
        return [ExpectedMount(.anyBelow, at: path, type: nil, flags: sourceFlags(source, among: []))]
    }

    private static let deviceFlags: ExpectedMount.Flags = [.noSetuid, .noExecute]

    private func bind(_ source: String) -> StageSpec.Bind? {
        stage.spec.binds.indices.first { StagePath.bind($0) == source }.map { stage.spec.binds[$0] }
    }

    /// Directories that the sandbox shares with others, in which it may make no socket.
    ///
    /// A descriptor that is passed through a socket carries a network, or a directory, from one sandbox to another.
    func socketless(_ spec: SandboxSpec) -> [String] {
        guard stage.facts.canForbidSockets else { return [] }
        guard spec.mounts.contains(where: { isShared($0) && !isReadOnly($0) }) else { return [] }
        // Landlock goes by what a directory is, not by where: a part of the shared one may be shown elsewhere too.
        return spec.mounts.filter { if case .bind = $0.source { true } else { false } }
            .map { $0.target.split(separator: "/") }.filter { $0.count == 1 }.map { String($0[0]) }
    }

    private func isShared(_ mount: SandboxSpec.Mount) -> Bool {
        guard case .bind = mount.source else { return false }
        return mount.target == StagePath.data
    }

    private func isReadOnly(_ mount: SandboxSpec.Mount) -> Bool {
        guard case .bind(let index) = mount.source else { return false }
        return stage.spec.binds[index].readOnly
    }

    /// What this host leaves open of what the policy closes: one sentence each, without full stop.
    package func weaknesses(_ spec: SandboxSpec) -> [String] { coreWeaknesses + socketWeaknesses(spec) }

    private var coreWeaknesses: [String] {
        guard stage.facts.startsCoreHandler else { return [] }
        return [
            "the program in this host's /proc/sys/kernel/core_pattern may get the memory of a command that crashes, "
                + "since the hard limit of core files is 0 (`ulimit -Hc`): only 1 or more would keep it from that"
        ]
    }

    private func socketWeaknesses(_ spec: SandboxSpec) -> [String] {
        // Who may only read /data can still connect to what others made there.
        guard [.none, .filtered].contains(spec.policy.network), spec.mounts.contains(where: isShared),
            !stage.facts.canForbidSockets
        else {
            return []
        }
        return [
            "a network that the policy does not open may be reached through sockets in \(StagePath.data) with the help of another run, since this "
                + "kernel has no Landlock"
        ]
    }
}
