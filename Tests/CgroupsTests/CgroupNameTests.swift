import Testing

@testable import Cgroups

struct CgroupNameTests {
    private let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"

    @Test func `a run's group is known by its name again`() throws {
        for run in [uuid, uuid + "-7-1"] {
            let name = try #require(CgroupName.group(ofRun: run))
            #expect(name == "cloche-" + run)
            #expect(CgroupName.run(ofGroup: name) == run)
        }
    }

    @Test(
        "names that could be something else are refused",
        arguments: [
            "", "..", "host", "probe-1-a", "0f8fad5b-d9cb-469f-a165-70867728950E",
            "0f8fad5b-d9cb-469f-a165-70867728950e-",
            "0f8fad5b-d9cb-469f-a165-70867728950e/..", "0f8fad5bad9cb-469f-a165-70867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950e-" + String(repeating: "a", count: 33),
        ])
    func refuses(run: String) {
        #expect(CgroupName.group(ofRun: run) == nil)
        #expect(CgroupName.run(ofGroup: "cloche-" + run) == nil)
    }

    @Test func `a trial's group tells its process`() {
        let name = CgroupName.trial()
        #expect(CgroupName.process(ofTrial: name).map { $0 > 0 } == true)
        #expect(CgroupName.run(ofGroup: name) == nil)
        for other in ["cloche-host", "cloche-probe-", "cloche-probe-1", "cloche-probe-0-a", "cloche-probe-1-a-b"] {
            #expect(CgroupName.process(ofTrial: other) == nil)
        }
    }
}
