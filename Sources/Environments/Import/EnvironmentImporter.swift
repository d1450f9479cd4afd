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
        var source: ImportSource?
        var client: RegistryClient?
        switch request.source {
        case .path(let path):
            do throws(ImportError) { source = try ImportSource.open(path) } catch { throw .image(error) }
        case .registry(let reference, let allowsPlain):
            client = registryClient(reference, allowsPlain: allowsPlain, isCancelled: isCancelled)
            _ = try? store.removeDownloads(olderThan: Self.downloadLife)
        }
        let lock = try stored { () throws(StoreError) in
            try store.lock(request.name, isCancelled: isCancelled) { report(.waiting) }
        }
        guard let lock else { throw .cancelled }
        // The lock ends with the descriptor, at the end of this function.
        defer { _ = lock.number }
        let staged = try stored { () throws(StoreError) in try store.stage() }
        let directory = staged.directory
        do throws(BuildError) {
            let known = try? store.current(request.name)
            // One that is damaged is made again.
            let current = known.flatMap { (try? store.requireSound($0)) == nil ? nil : $0 }
            let file = try create(staged.log)
            let work = ImportWork(
                builder: self, request: request, paths: staged.paths, current: request.refresh ? nil : current,
                log: BuildLog(file.number, secrets: Set(client?.credentials?.secrets ?? [])), isCancelled: isCancelled,
                report: report)
            // The log is open as long as its writer works.
            defer { _ = file.number }
            guard let record = try work.run(source, client) else {
                try discard(directory)
                report(.unchanged)
                guard let current else { throw BuildError.cancelled }
                return ImportResult(record: current, isUnchanged: true, notes: [])
            }
            var finished = record
            let time = now()
            finished.nonce = directory.lastComponent?.string
            finished.created = Date(timeIntervalSince1970: Double(time)).formatted(.iso8601)
            finished.content = try takeContent(directory, isCancelled: isCancelled)
            finished = try identified(finished, hasTree: true)
            try clear(staged.paths)
            try store(staged, finished, request.name)
            return ImportResult(record: finished, isUnchanged: false, notes: work.notes)
        } catch {
            let failure = keepingLog(error, request.name, directory)
            // What cannot be removed now is found again by `removeAbandoned`.
            try? discard(directory)
            throw isCancelled() ? .cancelled : failure
        }
    }

    /// How long what a pull left that was cut off is kept for the next one, in seconds.
    private static let downloadLife: Int64 = 7 * 86400

    private func registryClient(
        _ reference: ImageReference, allowsPlain: Bool, isCancelled: @escaping () -> Bool
    ) -> RegistryClient {
        RegistryClient(
            reference, allowsPlain: allowsPlain,
            credentials: RegistryCredentials.find(reference.host, files: host, variables: settings.variables),
            transfer: WebTransfer(variables: settings.variables), isCancelled: isCancelled)
    }
}
