import Glibc
import LinuxSystem
import SystemPackage

/// The open files that a run's numbers are read from.
struct CgroupCounters: Sendable {
    /// A file, and what it tells.
    private struct Counted {
        let file: CgroupFile
        var sources: [(metric: CgroupMetric, source: CgroupMetric.Source)]
    }

    private let files: [Counted]

    /// Opens what the run's groups have; a number that a kernel does not keep is left out.
    init(of hierarchies: [RunHierarchy]) {
        var files: [Counted] = []
        for metric in CgroupMetric.allCases {
            let hierarchy = hierarchies.first { $0.controllers.contains(metric.controller) }
            guard let hierarchy, let source = metric.source(hierarchy.generation) else { continue }
            let path = hierarchy.group.path.appending(source.file)
            if let index = files.firstIndex(where: { $0.file.path == path }) {
                files[index].sources.append((metric, source))
            } else if let file = try? hierarchy.group.file(source.file, O_RDONLY) {
                // Numbers for reports alone; one that a kernel does not keep is told as unknown.
                files.append(Counted(file: file, sources: [(metric, source)]))
            }
        }
        self.files = files
    }

    /// The open file with the number.
    func file(_ metric: CgroupMetric) -> CgroupFile? { counted(metric)?.file }

    /// The number as it is now, or nil where it is not kept.
    func value(_ metric: CgroupMetric) -> Int64? {
        // As above: what cannot be read is unknown.
        guard let counted = counted(metric), let text = try? counted.file.read() else { return nil }
        return counted.sources.first { $0.metric == metric }?.source.value(in: text)
    }

    /// All numbers that are kept, as they are now.
    func values() -> [CgroupMetric: Int64] {
        var values: [CgroupMetric: Int64] = [:]
        for counted in files {
            // As above.
            guard let text = try? counted.file.read() else { continue }
            for (metric, source) in counted.sources { values[metric] = source.value(in: text) }
        }
        return values
    }

    private func counted(_ metric: CgroupMetric) -> Counted? {
        files.first { $0.sources.contains { $0.metric == metric } }
    }
}
