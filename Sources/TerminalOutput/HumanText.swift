/// A duration as a person says it: `350ms`, `4.2s`, `1m 12s`, `2h 5m`, `3d 4h`.
package func humanDuration(_ duration: Duration) -> String {
    if duration < .zero { return "-" + humanDuration(.zero - duration) }
    let milliseconds = duration.milliseconds
    if milliseconds < 1000 { return "\(milliseconds)ms" }
    // Rounded to a tenth, all from here on has ten seconds or more.
    if milliseconds < 9950 {
        let tenths = (milliseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10)s"
    }
    return elapsedTime(duration + .milliseconds(500))
}

/// A duration that still grows, in whole seconds, so that it does not flicker: `0s`, `1m 12s`, `2h 5m`, `3d 4h`.
package func elapsedTime(_ duration: Duration) -> String {
    let seconds = max(duration.components.seconds, 0)
    switch seconds {
    case ..<60: return "\(seconds)s"
    case ..<3600: return "\(seconds / 60)m \(seconds % 60)s"
    case ..<86_400: return "\(seconds / 3600)h \(seconds % 3600 / 60)m"
    default: return "\(seconds / 86_400)d \(seconds % 86_400 / 3600)h"
    }
}

/// A number of bytes in units of 1024: `512 B`, `1.5 KiB`, `12 MiB`.
package func humanBytes(_ bytes: Int64) -> String {
    let sign = bytes < 0 ? "-" : ""
    if bytes.magnitude < 1024 { return "\(sign)\(bytes.magnitude) B" }
    var amount = Double(bytes.magnitude) / 1024
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if amount < 9.95 {
            let tenths = Int((amount * 10).rounded())
            return "\(sign)\(tenths / 10).\(tenths % 10) \(unit)"
        }
        if amount < 1023.5 { return "\(sign)\(Int(amount.rounded())) \(unit)" }
        amount /= 1024
    }
    return "\(sign)\(Int(amount.rounded())) EiB"
}

/// How long ago something was: `just now`, `2 minutes ago`; a negative age lies ahead: `in 2 minutes`.
package func relativeTime(age: Duration) -> String {
    let seconds = age.components.seconds
    let distance = seconds.magnitude
    if distance < 5 { return "just now" }
    let units: [(UInt64, String)] = [
        (31_536_000, "year"), (2_592_000, "month"), (604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"),
    ]
    let (length, name) = units.first { distance >= $0.0 } ?? (1, "second")
    let text = counted(Int(distance / length), name)
    return seconds < 0 ? "in \(text)" : "\(text) ago"
}

/// A number and a noun in the right form: `1 run`, `2 runs`.
package func counted(_ count: Int, _ noun: String, plural: String? = nil) -> String {
    "\(count) " + (count == 1 ? noun : plural ?? noun + "s")
}

extension Duration {
    /// The nearest number of milliseconds, at most as many as fit.
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = (self + .microseconds(500)).components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max : product + attoseconds / 1_000_000_000_000_000
    }
}
