import FoundationEssentials
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension EnvironmentBuilder {
    /// Imports an image as an environment, and puts it into force.
    ///
    /// All its layers become one tree: what container engines show of an image is the sum of its layers, one tree costs
    /// each sandbox one lower directory instead of dozens, and no stored tree then holds marks that only overlays
    /// understand. An image of the same digest as the one in force is not unpacked again.
    package func importImage(
        _ request: ImportRequest, isCancelled: @escaping () -> Bool, report: @escaping (BuildEvent) -> Void
    ) throws(BuildError) -> ImportResult {
        let source: ImportSource
        do throws(ImportError) { source = try ImportSource.open(request.source) } catch { throw .image(error) }
        let lock = try stored { () throws(StoreError) in
            try store.lock(request.name, isCancelled: isCancelled) { report(.waiting) }
        }
        guard let lock else { throw .cancelled }
        // The lock ends with the descriptor, at the end of this function.
        defer { _ = lock.number }
        let staged = try stored { () throws(StoreError) in try store.stage() }
        let directory = staged.directory
        do throws(BuildError) {
            let current = try? store.current(request.name)
            let file = try create(staged.log)
            let work = ImportWork(
                builder: self, request: request, paths: staged.paths, current: request.refresh ? nil : current,
                log: BuildLog(file.number, secrets: []), isCancelled: isCancelled, report: report)
            // The log is open as long as its writer works.
            defer { _ = file.number }
            guard let record = try work.run(source) else {
                try discard(directory)
                report(.unchanged)
                guard let current else { throw BuildError.cancelled }
                return ImportResult(record: current, notes: [])
            }
            var finished = record
            let time = now()
            finished.id = digest(Array("\(record.inputs) \(time) \(directory.lastComponent?.string ?? "")".utf8))
            finished.layers = [finished.id]
            finished.created = Date(timeIntervalSince1970: Double(time)).formatted(.iso8601)
            try clear(staged.paths)
            try store(staged, finished, request.name)
            return ImportResult(record: finished, notes: work.notes)
        } catch {
            let failure = keepingLog(error, request.name, directory)
            // What cannot be removed now is found again by `removeAbandoned`.
            try? discard(directory)
            throw isCancelled() ? .cancelled : failure
        }
    }
}
