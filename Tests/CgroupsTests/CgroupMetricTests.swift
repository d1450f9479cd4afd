import Testing

@testable import Cgroups

struct CgroupMetricTests {
    @Test(
        "numbers are found by their words",
        arguments: [
            (CgroupMetric.oomKills, CgroupGeneration.v1, "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3 as Int64?),
            (.oomKills, .v2, "low 0\nhigh 0\nmax 7\noom 9\noom_kill 2\noom_group_kill 1\n", 2),
            (.memoryLimitHits, .v2, "low 0\nhigh 0\nmax 7\noom 9\noom_kill 2\n", 7),
            (.pidsLimitHits, .v1, "max 5\n", 5), (.currentMemory, .v2, "4096\n", 4096),
            (.userTime, .v2, "usage_usec 9\nuser_usec 5\nsystem_usec 4\n", 5000), (.userTime, .v1, "5000\n", 5000),
            (.throttledTime, .v1, "nr_throttled 1\nthrottled_time 77\n", 77),
            (.oomKills, .v2, "", nil), (.oomKills, .v2, "oom_kill\n", nil), (.oomKills, .v2, "oom_kill -1\n", nil),
            (.oomKills, .v2, "oom_kill 1 2\n", nil), (.currentMemory, .v2, "max\n", nil),
            (.currentMemory, .v2, "\n", nil),
            (.systemTime, .v2, "system_usec 9223372036854775807\n", nil),
        ])
    func reads(metric: CgroupMetric, generation: CgroupGeneration, text: String, value: Int64?) {
        #expect(metric.source(generation)?.value(in: text) == value)
    }

    @Test("processor time is the exact sum, divided as its parts that were sampled")
    func dividesTime() {
        let half = CgroupAccounting.divided(4_000_000_000, user: 1_000_000_000, system: 1_000_000_000)
        #expect(half.user == 2 && half.system == 2)
        // Nothing was sampled yet.
        let short = CgroupAccounting.divided(3_000_000, user: 0, system: 0)
        #expect(short.user == 0.003 && short.system == 0)
        let sampled = CgroupAccounting.divided(nil, user: 1_000_000_000, system: 500_000_000)
        #expect(sampled.user == 1 && sampled.system == 0.5)
    }
}
