import Isolation
import Testing

@testable import Policies

/// The key `devices`.
@Suite struct PolicyDeviceTests {
    @Test func `a list, a map and a word are read, and what a base says stays`() throws {
        #expect(try lab("devices: [dri, nvidia]").devices == DeviceAccess([.nvidia, .dri], need: .all))
        #expect(try lab("devices: {allow: [nvidia], need: any}").devices == DeviceAccess([.nvidia], need: .any))
        #expect(
            try lab("extends: gpu\ndevices: {need: none}").devices == DeviceAccess([.nvidia, .rocm, .dri], need: .none))
        #expect(try lab("extends: gpu\ndevices: [dri]").devices == DeviceAccess([.dri], need: .any))
        for none in ["devices: none", "devices: {allow: none}", "{}"] { #expect(try lab("\(none)\n").devices == nil) }
        #expect(try lab("extends: gpu\ndevices: none").devices == nil)
        for policy in BuiltInPolicies.all where policy.name != "gpu" { #expect(policy.devices == nil) }
    }

    @Test(
        "whatever is not a known kind of devices is refused, with its place",
        arguments: [
            ("devices: [nvidea]", "1:11: `nvidea` is no kind of devices that a policy can open"),
            ("devices: [kvm]", "there are `nvidia`, `rocm`, `dri`"), ("devices: [/dev/mem]", "is no kind of devices"),
            ("devices: [nvidia, nvidia]", "is listed twice"), ("devices: []", "is empty: `devices: none` says so"),
            ("devices: all", "must be a list"), ("devices: {}", "is an empty map"),
            ("devices: {allow: none, need: any}", "has no meaning"), ("devices: {need: any}", "there are no `devices`"),
            ("devices: {allow: [dri], need: some}", "is one of `all`, `any`, `none`"),
            ("devices: {allow: [dri], nodes: [sda]}", "unknown key `devices.nodes`"),
        ])
    func wrong(text: String, part: String) {
        #expect(problems(of: text).contains { $0.contains(part) }, "\(problems(of: text))")
    }

    @Test func `a ceiling leaves what it names, and says what it took`() throws {
        func clipped(_ text: String) throws -> SandboxPolicy {
            var policy = BuiltInPolicies.gpu
            try PolicyCeiling(reading: Array(text.utf8), file: "ceiling.yaml").clip(&policy)
            return policy
        }
        let some = try clipped("devices: [dri]")
        #expect(some.devices == DeviceAccess([.dri], need: .any))
        #expect(some.clipped == ["devices [nvidia, rocm, dri] to [dri], by ceiling.yaml:1:10"])
        #expect(try clipped("devices: none").devices == nil)
        #expect(try clipped("data: rw").devices == BuiltInPolicies.gpu.devices)
        #expect(throws: PolicyError.self) { try clipped("devices: {allow: [dri], need: all}") }
    }

    @Test func `differences, scores and words tell of devices`() throws {
        let less = try lab("extends: gpu\ndevices: [dri]"), none = try lab("extends: gpu\ndevices: none")
        let more = PolicyDifference.between(less, BuiltInPolicies.gpu)
        #expect(more.map(\.key) == ["devices"] && more.map(\.effect) == [.more])
        #expect(PolicyDifference.between(less, none).map(\.effect) == [.less])
        #expect(
            PolicyDifference.between(less, try lab("extends: gpu\ndevices: {allow: [dri], need: none}")).map(\.key) == [
                "devices.need"
            ])
        #expect(PolicyScore(BuiltInPolicies.gpu).score == 3.4 && PolicyScore(none).score == 2.2)
        #expect(none.sentences.contains { $0.contains("no device of the host but null") })
        #expect(less.sentences.contains { $0.contains("render nodes") && $0.contains("one of these must be there") })
    }
}
