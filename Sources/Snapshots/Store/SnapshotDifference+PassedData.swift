extension [SnapshotDifference] {
    /// These without what steps leave where data is passed on, `.orchest/pipelines/*/{logs,data}`.
    ///
    /// Nor are the directories above it told that are there, or are gone, for its sake alone.
    package var withoutPassedData: [SnapshotDifference] {
        var kept: [SnapshotDifference] = []
        var pipelines: Set<String> = []
        // A directory comes before what is in it.
        for difference in reversed() {
            guard difference.path.starts(with: ".orchest".utf8) else {
                kept.append(difference)
                continue
            }
            let parts = difference.path.split(separator: UInt8(ascii: "/"), maxSplits: 4)
                .map { String(decoding: $0, as: UTF8.self) }
            if parts.count > 3, parts.starts(with: [".orchest", "pipelines"]), ["logs", "data"].contains(parts[3]) {
                pipelines.insert(parts[2])
                continue
            }
            let isAbove =
                parts == [".orchest"] || parts == [".orchest", "pipelines"]
                ? !pipelines.isEmpty
                : parts.count == 3 && parts.starts(with: [".orchest", "pipelines"]) && pipelines.contains(parts[2])
            let inside = difference.path + [UInt8(ascii: "/")]
            if isAbove, !difference.isChange, !kept.contains(where: { $0.path.starts(with: inside) }) { continue }
            kept.append(difference)
        }
        return kept.reversed()
    }
}

extension SnapshotDifference {
    fileprivate var isChange: Bool {
        if case .changed = kind { true } else { false }
    }
}
