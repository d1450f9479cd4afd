import Glibc
import LinuxSystem

/// The open files that a run's numbers are read from.
struct CgroupCounters: Sendable {
    private let files: [CgroupMetric: (file: CgroupFile, source: CgroupMetric.Source)]

    /// Opens what the run's groups have; a number that a kernel does not keep is left out.
    init(of hierarchies: [RunHierarchy]) {
        var files: [CgroupMetric: (file: CgroupFile, source: CgroupMetric.Source)] = [:]
        for metric in CgroupMetric.allCases {
            let hierarchy = hierarchies.first { $0.controllers.contains(metric.controller) }
            guard let hierarchy else { continue }
            // Numbers for reports alone; one that a kernel does not keep is told as unknown.
            guard let source = metric.source(hierarchy.generation),
                let file = try? hierarchy.group.file(source.file, O_RDONLY)
            else { continue }
            files[metric] = (file, source)
        }
        self.files = files
    }

    /// The open file with the number.
    func file(_ metric: CgroupMetric) -> CgroupFile? { files[metric]?.file }

    /// The number as it is now, or nil where it is not kept.
    func value(_ metric: CgroupMetric) -> Int64? {
        guard let (file, source) = files[metric], let text = try? file.read() else { return nil }
        return source.value(in: text)
    }
}
