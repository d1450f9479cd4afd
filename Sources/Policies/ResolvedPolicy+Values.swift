import Isolation

extension ResolvedPolicy {
    /// Every value that the policy has in the end, in the order of a document.
    ///
    /// Rules for system calls are there where a document gave them; the others are those of the built-in policy.
    package var values: [PolicyValue] {
        var values: [PolicyValue] = []
        if let users { values.append(value("users", users.entries.joined(separator: ", "))) }
        values += [value("network", policy.networkText), value("data", policy.data.rawValue)]
        if policy.data != .none { values.append(value("data.scope", policy.dataScope.rawValue)) }
        values.append(value("identity", policy.needsRange ? "range" : "any"))
        values.append(value("devices", policy.devicesText))
        if let devices = policy.devices { values.append(value("devices.need", devices.need.rawValue)) }
        for name in LimitName.allCases {
            let key = "limits.\(name.rawValue)"
            values.append(value(key, policy.limits.value(of: name).map(name.text(of:)) ?? "unlimited"))
            guard policy.limits.value(of: name) != nil else { continue }
            values.append(value(key + ".enforce", policy.hardLimits.contains(name) ? "hard" : "best-effort"))
        }
        for key in origins.keys.filter({ $0.hasPrefix("seccomp.") }).sorted() {
            let text =
                key == "seccomp.only"
                ? "\(policy.seccomp.rules.values.count { $0.verdicts.contains(.allow) }) calls"
                : key.hasPrefix("seccomp.deny.") ? "refused" : "allowed"
            values.append(value(key, text))
        }
        return values
    }

    /// Where the value of a key was set; nil where it is the built-in policy's.
    package func origin(of key: String) -> PolicyPlace? { origins[key] }

    /// Whether a value is the ceiling's.
    package func isClipped(_ key: String) -> Bool {
        origins[key].map { layers[$0.file] == .ceiling } ?? false
    }

    private func value(_ key: String, _ text: String) -> PolicyValue {
        guard let place = origins[key] else {
            return PolicyValue(key: key, value: text, layer: .builtIn, policy: lineage.last ?? policy.name)
        }
        let name = place.file.split(separator: "/").last.map(String.init) ?? place.file
        return PolicyValue(
            key: key, value: text, layer: layers[place.file] ?? .file,
            policy: name.hasSuffix(PolicyName.suffix) ? String(name.dropLast(PolicyName.suffix.count)) : name,
            place: place)
    }
}
