/// The processor time of all processes of a sandbox, from looks at those that are there.
///
/// What a process has used goes to who waits for it; of one that nobody waits for (its parent ignores SIGCHLD), what was
/// seen last is kept here. A process that begins and ends between two looks and that nobody waits for is not seen: the
/// kernel adds its time to nothing but control groups.
struct ProcessorTime {
    private var lost = 0.0
    private var last: [Int32: SandboxProcesses.Sample] = [:]

    /// Seconds of all processes until now, as far as they have been seen.
    mutating func seconds(_ samples: [Int32: SandboxProcesses.Sample]) -> Double {
        let gone = last.filter { samples[$0.key]?.beginning != $0.value.beginning }.values
        var missing = gone.reduce(0) { $0 + $1.cpuSeconds + $1.childrenSeconds }
        for (number, sample) in samples {
            let known = last[number].flatMap { $0.beginning == sample.beginning ? $0.childrenSeconds : nil } ?? 0
            missing -= sample.childrenSeconds - known
        }
        lost += max(0, missing)
        last = samples
        return samples.values.reduce(lost) { $0 + $1.cpuSeconds + $1.childrenSeconds }
    }
}

/// The memory of all processes of a sandbox with each page counted once, read in slices: the exact numbers take
/// milliseconds for a process, and whoever reads them has other work.
struct ProportionalMemory {
    private var known: [Int32: (beginning: UInt64, own: Int64, shared: Int64)] = [:]

    /// Looks at processes that this round has not seen, the largest first, while there is time and `most` is not exceeded.
    ///
    /// `inMemoryFiles` is what files in memory take, bytes; a mapped one counts once. The result is a sum for `most` to be
    /// compared with, and nil while it is not complete.
    mutating func sum(
        _ samples: [Int32: SandboxProcesses.Sample], inMemoryFiles: Int64, most: Int64,
        isInTime: () -> Bool, read: (Int32) -> (own: Int64, shared: Int64)?
    ) -> Int64? {
        known = known.filter { samples[$0.key]?.beginning == $0.value.beginning }
        let tables = samples.values.reduce(0) { $0 + $1.tables }
        var total: Int64 {
            tables + known.values.reduce(0) { $0 + $1.own }
                + max(inMemoryFiles, known.values.reduce(0) { $0 + $1.shared })
        }
        let unknown = samples.filter { known[$0.key] == nil }
            .sorted { $0.value.memory + $0.value.shared > $1.value.memory + $1.value.shared }
        for (number, sample) in unknown {
            guard total <= most else { break }
            guard isInTime() else { return nil }
            let memory = read(number) ?? (0, 0)
            known[number] = (sample.beginning, memory.own, memory.shared)
        }
        let sum = total
        known = [:]
        return sum
    }
}
