import LinuxSystem

extension SandboxSpec {
    /// Where what the sandbox writes to be kept is on the stage.
    func writtenTrees(_ stage: StageSpec) -> [RoomMeasure.Tree] {
        var trees: [RoomMeasure.Tree] = []
        if keepsRoot, let kept = stage.persistentRoot {
            trees.append(.init(path: "\(StagePath.persistentRoot)/\(kept.upper)", shown: "/"))
            trees.append(.init(path: "\(StagePath.persistentRoot)/\(kept.work)"))
        }
        for mount in mounts {
            switch mount.source {
            case .project:
                for (name, isShown) in [
                    (StageSpec.Project.upper, true), (StageSpec.Project.layers, true), (StageSpec.Project.work, false),
                ] {
                    trees.append(
                        .init(
                            path: "\(StagePath.writable)/\(name)", shown: isShown ? mount.target : nil,
                            hasLayers: name == StageSpec.Project.layers))
                }
            case .writable(let name): trees.append(.init(path: "\(StagePath.writable)/\(name)", shown: mount.target))
            case .bind, .scratchOver: break
            }
        }
        return trees
    }

    /// Whether a path inside is of what `writtenTrees` holds.
    func isProject(_ path: [UInt8]) -> Bool {
        if keepsRoot { return isThrownAway(path, others: ["/tmp", "/run"]) }
        return mounts.contains { mount in
            switch mount.source {
            case .project, .writable: Self.isBelow(path, mount.target)
            case .bind, .scratchOver: false
            }
        }
    }

    /// Where what is thrown away is on the stage, when that is a disk.
    func thrownAwayTrees(_ number: Int) -> [RoomMeasure.Tree] {
        let place = StagePath.scratchDirectory(number)
        let own = [RoomMeasure.Tree(path: "\(place)/upper", shown: "/"), RoomMeasure.Tree(path: "\(place)/work")]
        return (keepsRoot ? [] : own)
            + mounts.enumerated().flatMap { number, mount -> [RoomMeasure.Tree] in
                guard case .scratchOver = mount.source else { return [] }
                return [
                    .init(path: "\(place)/over-\(number)-upper", shown: mount.target),
                    .init(path: "\(place)/over-\(number)-work"),
                ]
            }
    }

    /// Whether a path inside is of what `thrownAwayTrees` holds.
    func isThrownAway(_ path: [UInt8]) -> Bool {
        let isOver = mounts.contains { mount in
            if case .scratchOver = mount.source { Self.isBelow(path, mount.target) } else { false }
        }
        return isOver || (!keepsRoot && isThrownAway(path, others: []))
    }

    /// Whether a path is of the root itself: below no mount.
    private func isThrownAway(_ path: [UInt8], others: [String]) -> Bool {
        path.first == UInt8(ascii: "/")
            && !(mounts.map(\.target) + ["/dev", "/proc"] + others).contains { Self.isBelow(path, $0) }
    }

    private static func isBelow(_ path: [UInt8], _ directory: String) -> Bool {
        path.starts(with: (directory + "/").utf8)
    }
}
