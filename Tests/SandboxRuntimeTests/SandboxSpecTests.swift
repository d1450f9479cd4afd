import Isolation
import Policies
import SandboxLaunch
import SandboxRuntime
import SystemPackage
import Testing

struct SandboxSpecTests {
    private func refusal(_ change: (inout SandboxSpec) -> Void) -> LaunchError? {
        var spec = SandboxSpec(policy: BuiltInPolicies.standard, arguments: ["sh"], variables: ["PATH": "/bin"])
        change(&spec)
        do throws(LaunchError) {
            try spec.check()
            return nil
        } catch {
            return error
        }
    }

    @Test func `more words than a command may have are counted`() {
        let words = Array(repeating: "a", count: CommandPlan.wordLimit)
        #expect(refusal { $0.arguments = words } == nil)
        let error = refusal { $0.arguments = words + ["b"] }
        #expect(error?.isRequestWrong == true)
        #expect(error?.reason == "16384 arguments are more than the 16383 that a command may have")
    }

    private func refusal(targets: [String]) -> LaunchError? {
        refusal { spec in spec.mounts = targets.map { .init(.project, at: $0) } }
    }

    @Test func `what is asked for by default is accepted`() {
        #expect(refusal { _ in } == nil)
    }

    @Test(
        "mounts at plain absolute paths are accepted",
        arguments: [
            ["/project-dir", "/data"], ["/a/b", "/a/bc", "/ab"], ["/procs", "/device", "/system"], ["/home/a b"],
            ["/..."], ["/a.b/.c"], ["/tmp/a"], ["/etc/hosts"],
        ])
    func targets(targets: [String]) {
        #expect(refusal(targets: targets) == nil)
    }

    @Test(
        "mounts at other paths are refused",
        arguments: ["", "/", "a", "./a", "a/b", "/..", "/a/../b", "/a/..", "/./a", "/a/.", "../a"])
    func relativeTargets(target: String) throws {
        let error = try #require(refusal(targets: [target]))
        #expect(error.step == "mount at `\(target)`")
        #expect(error.errno == .invalidArgument)
        #expect(error.remedy != nil)
    }

    @Test("what is the sandbox's own is not covered", arguments: ["/proc", "/dev", "/sys"])
    func ownPlaces(place: String) throws {
        for target in [place, place + "/", place + "/a", place + "/a/b"] {
            let error = try #require(refusal(targets: [target]))
            #expect(error.reason.contains("`\(place)`"))
        }
    }

    @Test(
        "another spelling of the same path is the same path",
        arguments: [["//proc"], ["//dev/shm"], ["///sys"], ["/a/b", "/a//b"], ["/a", "//a/b"]])
    func spellings(targets: [String]) {
        #expect(refusal(targets: targets) != nil)
    }

    @Test("nothing is mounted in what is mounted", arguments: [["/a", "/a/b"], ["/a/b/c", "/d", "/a"]])
    func nestedTargets(targets: [String]) throws {
        let error = try #require(refusal(targets: targets))
        #expect(error.step.hasPrefix("mount at `/a/b"))
        #expect(error.reason.contains("`/a`"))
    }

    @Test func `there is one mount at a place`() throws {
        let error = try #require(refusal(targets: ["/a", "/b", "/a"]))
        #expect(error.step == "mount at `/a`")
        #expect(error.reason.contains("already"))
        #expect(refusal(targets: ["/a", "/a/"]) != nil)
    }

    @Test("a command has a name", arguments: [[], [""], ["", "a"]])
    func arguments(arguments: [String]) {
        #expect(refusal { $0.arguments = arguments }?.step == "execute a command")
    }

    @Test func `arguments behind the name may be empty`() {
        #expect(refusal { $0.arguments = ["printf", "", ""] } == nil)
    }

    @Test("the working directory is absolute", arguments: ["", "a", "./a", "~"])
    func directory(directory: String) {
        #expect(refusal { $0.directory = directory }?.step == "enter `\(directory)`")
    }

    @Test("names of variables are those that a process can have", arguments: ["", "=", "A=B", "A="])
    func variables(name: String) {
        #expect(refusal { $0.variables[name] = "" }?.step == "set the variable `\(name)`")
    }

    @Test func `values of variables may be anything`() {
        #expect(refusal { $0.variables = ["A": "", "B.c-d": "=", "E": "a\nb", "ü": "ü"] } == nil)
    }

    @Test func `the host name has 1 to 64 bytes`() {
        #expect(refusal { $0.hostName = String(repeating: "a", count: 64) } == nil)
        for name in ["", String(repeating: "a", count: 65), String(repeating: "ü", count: 33)] {
            #expect(refusal { $0.hostName = name }?.step == "set the host name `\(name)`")
        }
    }
}
