import Isolation
import Policies
import Testing

@Suite struct LimitTests {
    private func limits(_ name: String, _ text: String) throws -> ResourceLimits {
        try lab("limits: {\(name): \(text)}").limits
    }

    @Test func `sizes have units`() throws {
        #expect(try limits("memory", "512MiB").memory == .mebibytes(512))
        #expect(try limits("memory", "1.5 GiB").memory == .mebibytes(1536))
        #expect(try limits("memory", "2g").memory == .mebibytes(2048))
        #expect(try limits("scratch", "100MB").scratch == ByteCount(100_000_000))
        #expect(try limits("output", "1B").output == ByteCount(1))
        #expect(try limits("memory", "1024TiB").memory == ByteCount(1 << 50))
    }

    @Test(
        arguments: [
            ("90", 90), ("1.5", 1.5), ("90s", 90), ("15m", 900), ("6h", 21600), ("2d", 172_800), ("1h30m", 5400),
            ("1d2h3m4s", 93784), ("1.5h", 5400), ("1s", 1), ("3650d", 315_360_000), ("0h5m", 300),
        ] as [(String, Double)])
    func `times have units or are seconds`(text: String, seconds: Double) throws {
        #expect(try limits("wall_time", text).wallTime == .seconds(seconds))
    }

    @Test func `unlimited removes a limit and what holds it`() throws {
        for name in LimitName.allCases {
            let policy = try lab("extends: strict\nlimits: {\(name.rawValue): unlimited}")
            #expect(policy.limits.value(of: name) == nil)
            #expect(!policy.hardLimits.contains(name))
        }
    }

    @Test func `the enforcement of a limit is inherited apart from its value`() throws {
        #expect(try lab("extends: strict\nlimits: {memory: 1GiB}").hardLimits == [.memory, .pids])
        let soft = try lab("extends: strict\nlimits: {memory: {enforce: best-effort}}")
        #expect(soft.hardLimits == [.pids])
        #expect(soft.limits.memory == BuiltInPolicies.strict.limits.memory)
        #expect(try lab("limits: {cpus: {value: 2, enforce: hard}}").hardLimits == [.cpus])
        let hard = ["base": "limits: {pids: {enforce: hard}}"]
        #expect(try lab("extends: base\nlimits: {pids: 100}", others: hard).hardLimits == [.pids])
    }

    @Test(
        arguments: [
            // Nothing, or less.
            ("memory", "0"), ("memory", "0GiB"), ("memory", "-1GiB"), ("memory", "-0GiB"), ("pids", "0"),
            ("pids", "-5"), ("cpus", "0"), ("cpus", "-1"), ("wall_time", "0"), ("wall_time", "0s"),
            ("wall_time", "-1h"), ("cpu_time", "0"), ("open_files", "0"), ("scratch", "0MiB"), ("output", "0B"),
            // Too little to work with, or more than there is.
            ("memory", "1023KiB"), ("pids", "1"), ("cpus", "0.009"), ("open_files", "15"), ("wall_time", "0.999"),
            ("cpu_time", "0.5"), ("scratch", "4KiB"), ("memory", "1025TiB"), ("memory", "99999999999999999999GiB"),
            ("memory", "9223372036854775807B"), ("pids", "4194305"), ("pids", "99999999999999999999"),
            ("cpus", "8193"), ("open_files", "1073741825"), ("wall_time", "3651d"), ("wall_time", "999999999999999d"),
            ("wall_time", "999999999999999"), ("wall_time", "9999999999999999999999"),
            // No unit, or none that there is.
            ("memory", "2147483648"), ("memory", "1.5"), ("scratch", "1024"), ("output", "'64'"), ("memory", "2XB"),
            ("memory", "GiB"), ("memory", "1e3MiB"), ("memory", "0x10MiB"), ("wall_time", "5w"), ("wall_time", "5ms"),
            // No numbers.
            ("pids", "many"), ("pids", "1.5"), ("pids", "1e3"), ("pids", "0x10"), ("pids", "010"), ("pids", "1_000"),
            ("pids", "5k"), ("pids", "+5"), ("pids", "'5 '"), ("pids", "''"), ("cpus", ".inf"), ("cpus", ".nan"),
            ("cpus", "inf"), ("cpus", "nan"), ("cpus", "1e1"), ("cpus", "1."), ("cpus", ".5"), ("cpus", "0x1p3"),
            ("cpus", "1.5.2"), ("pids", "\u{FF15}\u{FF10}"), ("memory", "\u{FF15}GiB"), ("wall_time", "\u{0665}s"),
            ("wall_time", "1:30:00"), ("wall_time", "h"), ("wall_time", "30m1h"), ("wall_time", "1h1h"),
            ("wall_time", "1h30"), ("wall_time", "1h 30m"), ("wall_time", "1.2345"), ("wall_time", "1..5s"),
            ("wall_time", ".5s"), ("wall_time", "''"), ("wall_time", "forever"), ("cpu_time", "1.5"),
            ("wall_time", "UNLIMITED"), ("memory", "\"1MiB\\n\""), ("memory", "[1MiB]"),
        ])
    func `a limit that means nothing is refused at its value`(name: String, text: String) {
        let found = problems(of: "limits:\n  \(name): \(text)")
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("2:\(name.count + 5): `limits.\(name)` ") == true, "\(found)")
    }

    @Test func `the messages say what would do`() {
        #expect(
            problems(of: "limits: {memory: 1025TiB, pids: x, cpus: x, wall_time: x, cpu_time: 1.5, output: -1B}") == [
                "1:18: `limits.memory` must be from 1MiB to 1024TiB, and is `1025TiB`",
                "1:33: `limits.pids` is a whole number or `unlimited`, and not `x`",
                "1:42: `limits.cpus` is a number such as `2` or `1.5`, or `unlimited`, and not `x`",
                "1:56: `limits.wall_time` is a time such as `90s`, `15m`, `6h`, `2d`, `1h30m` or `unlimited`, "
                    + "and not `x`",
                "1:69: `limits.cpu_time` must be whole seconds",
                "1:82: `limits.output` must be more than 0, and is `-1B`",
            ])
    }
}
