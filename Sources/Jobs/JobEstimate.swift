/// How long the rest of a job will probably take, judged by its runs that have ended.
package struct JobEstimate: Sendable, Hashable {
    /// The middle one of the times that finished runs took, in seconds.
    package let median: Double
    /// The time until the last run has ended, in seconds.
    package let remaining: Double

    /// Judges by the times of finished runs; nil while there are none, or where nothing is left.
    ///
    /// - Parameters:
    ///   - finished: How long runs took that did something, in seconds.
    ///   - running: How long the running ones have been running, in seconds.
    ///   - pending: How many wait.
    ///   - parallel: How many are made at once.
    package init?(finished: [Double], running: [Double], pending: Int, parallel: Int) {
        guard !finished.isEmpty, pending > 0 || !running.isEmpty else { return nil }
        let sorted = finished.sorted()
        let middle = sorted.count / 2
        let median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        // Each run takes the place that is free first; those that are over the median end at any moment.
        var places = running.map { max(0, median - $0) }
        while places.count < min(max(1, parallel), running.count + pending) { places.append(0) }
        // Whole rounds of equal runs only move the end; the last ones are dealt out one by one.
        let rounds = max(0, pending / places.count - 1)
        for _ in 0..<(pending - rounds * places.count) {
            guard let free = places.indices.min(by: { places[$0] < places[$1] }) else { break }
            places[free] += median
        }
        self.median = median
        remaining = Double(rounds) * median + (places.max() ?? 0)
    }
}
