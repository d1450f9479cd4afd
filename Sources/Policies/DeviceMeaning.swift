package import Isolation

/// What the devices of a policy mean: for people, differences, ceilings and scores.
extension SandboxPolicy {
    /// The devices as a document writes them.
    package var devicesText: String {
        guard let devices else { return "none" }
        return "[\(devices.families.map(\.rawValue).joined(separator: ", "))]"
    }

    /// What devices a sandbox has, in a sentence without full stop.
    var deviceSentence: String {
        guard let devices else { return "it has no device of the host but null, zero, full, random, urandom and tty" }
        let names = devices.families.map { family in
            switch family {
            case .nvidia: "NVIDIA's graphics processors with their libraries"
            case .rocm: "AMD's graphics processors for computing"
            case .dri: "the render nodes of graphics processors"
            }
        }
        let need =
            switch devices.need {
            case .all: "each must be there, or nothing runs"
            case .any: "one of these must be there, or nothing runs"
            case .none: "it runs without those that are not there"
            }
        return "it has \(names.joined(separator: ", ")) of the host; \(need)"
    }

    /// What the devices leave open.
    var deviceDoors: [PolicyScore.Door] {
        guard let devices else { return [] }
        let name =
            switch devices.families[0] {
            case .nvidia: "nvidiactl"
            case .rocm: "kfd"
            case .dri: "dri/renderD128"
            }
        return [
            PolicyScore.Door(
                key: "devices", points: 1.2,
                opens:
                    "it talks to the host's graphics driver, a large part of the kernel, and to the memory of processors "
                    + "that other programs use as well",
                cost: "nothing computes on graphics processors", closing: "devices: none", question: "open /dev/\(name)"
            )
        ]
    }
}

extension PolicyDifference {
    /// What devices one of two policies has that the other has not.
    static func devices(_ before: SandboxPolicy, _ after: SandboxPolicy) -> [PolicyDifference] {
        let first = Set(before.devices?.families ?? []), second = Set(after.devices?.families ?? [])
        var differences: [PolicyDifference] = []
        if first != second {
            let effect: Effect = first.isSubset(of: second) ? .more : second.isSubset(of: first) ? .less : .other
            differences.append(
                PolicyDifference(
                    effect: effect, key: "devices", before: before.devicesText, after: after.devicesText))
        }
        if let old = before.devices?.need, let new = after.devices?.need, old != new {
            // It decides where something runs, and not what that may do.
            differences.append(
                PolicyDifference(effect: .other, key: "devices.need", before: old.rawValue, after: new.rawValue))
        }
        return differences
    }
}

extension PolicyCeiling {
    /// Keeps of a policy's devices what the ceiling names as well.
    static func clip(
        _ policy: inout SandboxPolicy, _ most: PolicyDocument.Placed<[DeviceAccess.Family]>?, _ clips: inout [Clip]
    ) {
        guard let most, let wanted = policy.devices else { return }
        let clipped = wanted.within(most.value)
        guard clipped != wanted else { return }
        let before = policy.devicesText
        policy.devices = clipped
        clips.append(Clip(key: "devices", text: "devices \(before) to \(policy.devicesText)", place: most.place))
    }
}
