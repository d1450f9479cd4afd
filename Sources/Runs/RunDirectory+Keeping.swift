import Isolation
package import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What somebody asked of the attempts that follow: the content of `from-start.json`.
private struct FromStart: Codable {
    /// Nothing of the attempts up to this one is kept.
    var ignored: Int

    static let name = "from-start.json"
}

extension RunDirectory {
    /// What an attempt takes over that is made after those before `number`; nil means after all.
    package func keptResults(for spec: RunSpec, before number: Int? = nil, boot: String) -> KeptResults {
        let earlier = attempts().filter { $0 < number ?? .max }.map { number in
            let directory = attempt(number)
            return KeptResults.Attempt(number: number, events: directory.events(), isSynced: directory.isSynced())
        }
        return KeptResults(earlier, ignored: ignoredAttempts(), steps: spec.steps, boot: boot)
    }

    /// The number up to which attempts do not count for those that follow; 0 for none.
    package func ignoredAttempts() -> Int {
        guard let bytes = try? Syscall.readFile(path.appending(FromStart.name), limit: 4096) else { return 0 }
        return JSONFile.decode(FromStart.self, bytes)?.ignored ?? 0
    }

    /// Notes that nothing of the attempts up to this one is kept; 0 takes it back.
    package func ignoreAttempts(upTo number: Int) throws(SyscallError) {
        guard let bytes = JSONFile.encode(FromStart(ignored: number)) else { return }
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try Syscall.replaceFile(FilePath(FromStart.name), at: directory.number, bytes)
    }

    /// The directories that hold what an attempt has made of the project, the lowest first, above the snapshot: paths
    /// for `open(layer:)`.
    package func projectLayers(of number: Int) -> [String] {
        var layers: [String] = []
        for event in attempt(number).events() {
            switch event.occurrence {
            case .keeping(.begun(let beginning)): layers = beginning.layers
            case .keeping(.sealed(let seal)):
                if let layer = seal.layer { layers.append("attempts/\(number)/layers/\(layer)") }
            default: break
            }
        }
        return layers.filter(KeptResults.isLayer) + ["attempts/\(number)/project"]
    }

    /// Opens a directory of `projectLayers(of:)`; nil where it is not there, as in an attempt that failed to begin.
    ///
    /// What attempts have left was in the hands of their supervisors: no link is followed.
    package func open(layer: String) throws(SyscallError) -> OwnedFileDescriptor? {
        let above = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        do throws(SyscallError) {
            return try Syscall.open(
                FilePath(layer), at: above.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                resolve: [.beneath, .noSymlinks])
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    /// The attempt that has the log of a step: an earlier one for a step that was kept.
    package func attempt(withLogOf step: String, shownBy attempt: AttemptDirectory) -> AttemptDirectory {
        guard case .kept(let number) = attempt.origins()[step] else { return attempt }
        return self.attempt(number)
    }
}

extension AttemptDirectory {
    /// Where the results of the steps come from, as far as the attempt has told; empty for a first one.
    package func origins() -> [String: StepOrigin] {
        var origins: [String: StepOrigin] = [:]
        for event in events() {
            switch event.occurrence {
            case .keeping(.begun(let beginning)):
                for (step, reason) in beginning.reasons { origins[step] = .runs(because: reason) }
            case .keeping(.kept(let kept)): origins[kept.step] = .kept(from: kept.attempt)
            default: break
            }
        }
        return origins
    }

    private static let synced = "synced"

    /// Whether all that was set aside has reached the disk.
    func isSynced() -> Bool { Syscall.exists(path.appending(Self.synced)) }

    /// Waits for the disk, and notes it.
    static func sync(_ directory: CInt) throws(SyscallError) {
        try markSynced(directory)
        try Syscall.fsync(directory)
    }

    /// Waits for the disk, and notes it; the note is on the disk when the directory is.
    static func markSynced(_ directory: CInt) throws(SyscallError) {
        try Syscall.syncFileSystem(of: directory)
        try Syscall.writeFile(FilePath(synced), at: directory, [])
    }

    /// The first bytes of the metrics, which steps may have replaced by anything.
    func metricsText(first count: Int64) -> [UInt8] {
        guard count > 0, count <= 4 << 20,
            let file = try? Syscall.open(
                path.appending("exchange").appending("metrics.jsonl"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            (try? Syscall.fstat(file.number).isRegular) == true
        else { return [] }
        var text: [UInt8] = []
        while text.count < count,
            let part = try? Syscall.read(file.number, upTo: Int(count) - text.count), !part.isEmpty
        { text += part }
        return text
    }
}

/// The boot of the host (random(4)).
package enum HostBoot {
    /// Its identity; another one at each call where it cannot be read, so that it is never taken for the same.
    package static func identity() -> String {
        if let bytes = try? Syscall.readFile("/proc/sys/kernel/random/boot_id", limit: 100) {
            return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        }
        return "unknown-\(Syscall.monotonicSeconds())-\(getpid())"
    }
}
