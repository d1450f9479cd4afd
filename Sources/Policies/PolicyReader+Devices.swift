import Isolation
import PlainText
import Yams

/// The key `devices`: a list of families, `none`, or a map with what the host must have of them.
extension PolicyReader {
    mutating func readDevices(_ node: Node) {
        guard node.mapping != nil else { return readFamilies(node, "devices") }
        let values = map(node, "devices", keys: ["allow", "need"])
        read(values["allow"], "devices.allow") { $0.readFamilies($1, "devices.allow") }
        read(values["need"], "devices.need") { reader, value in
            reader.document.deviceNeed = reader.choice(value, "devices.need", ["all", "any", "none"])
        }
        if let families = document.devices, families.value.isEmpty, let need = document.deviceNeed {
            report("`devices.need` has no meaning where `devices.allow` is `none`", at: need.place)
        }
        if values.isEmpty { report("`devices` is an empty map: give `allow`, `need` or both", node) }
    }

    private mutating func readFamilies(_ node: Node, _ key: String) {
        let names = DeviceAccess.Family.allCases.map(\.rawValue)
        let place = text.place(node.mark)
        if let scalar = node.scalar {
            guard scalar.string == "none" else {
                report("`\(key)` must be a list, as in `[nvidia]`, or `none`, and not \(quoted(scalar.string))", node)
                return
            }
            document.devices = .init(value: [], place: place)
            return
        }
        guard let sequence = node.sequence else {
            report("`\(key)` must be a list of kinds of devices, as in `[nvidia]`, or `none`", node)
            return
        }
        if sequence.isEmpty { report("`\(key)` is empty: `devices: none` says so", node) }
        var families: [DeviceAccess.Family] = []
        for element in sequence.prefix(2 * names.count) {
            guard let entry = scalar(element, key, what: "each entry of ") else { continue }
            guard let family = DeviceAccess.Family(rawValue: entry.value) else {
                report(
                    "\(quoted(entry.value)) is no kind of devices that a policy can open; there are "
                        + names.map { "`\($0)`" }.joined(separator: ", ")
                        + didYouMean(EditDistance.nearest(to: entry.value, in: names)), at: entry.place)
                continue
            }
            if families.contains(family) { report("\(quoted(entry.value)) is listed twice", at: entry.place) }
            families.append(family)
        }
        document.devices = .init(value: families, place: place)
    }
}
