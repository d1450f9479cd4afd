import CSandboxLaunch
import Isolation
import Testing

@testable import SandboxLaunch

struct CommandBlockTests {
    private func plan(_ change: (inout CommandPlan) -> Void = { _ in }) -> CommandPlan {
        var plan = CommandPlan(
            arguments: ["sh", "-c", "exit 3"], candidates: ["/usr/bin/sh", "/bin/sh"],
            variables: ["HOME=/home", "PATH=/bin"], directory: "/project-dir")
        change(&plan)
        return plan
    }

    private func failure(_ change: (inout CommandPlan) -> Void) -> InvalidLaunchPlan? {
        do throws(InvalidLaunchPlan) {
            _ = try plan(change).block()
            return nil
        } catch {
            return error
        }
    }

    @Test func `the block says what the plan says`() throws {
        let plan = plan {
            $0.filter = [1, 2, 3, 4, 5, 6, 7, 8]
            $0.initFilter = Array(repeating: 9, count: 16)
            $0.filterListens = true
            $0.capabilities = 0xFB
            $0.umask = 0o077
            $0.terminal = [.input, .errors]
            $0.socketless = ["data"]
        }
        let block = ParsedCommand(bytes: try plan.block())
        let header = block.header
        #expect(header.magic == UInt32(CSandboxLaunch_commandMagic))
        #expect(Int(header.size) == block.bytes.count)
        #expect(block.words(header.arguments, header.argumentCount) == plan.arguments)
        #expect(block.words(header.variables, header.variableCount) == plan.variables)
        #expect(block.words(header.candidates, header.candidateCount) == plan.candidates)
        #expect(block.words(header.socketless, header.socketlessCount) == ["data"])
        #expect(block.text(at: header.directory) == Array("/project-dir".utf8))
        #expect(Array(block.bytes[Int(header.filterOffset)...].prefix(8)) == plan.filter)
        #expect(header.filterInstructions == 1)
        #expect(header.initFilterInstructions == 2)
        #expect(header.filterListens == 1)
        #expect([header.user, header.group, header.initUser] == [1000, 1000, IdentityMap.initProcess])
        #expect(header.capabilities == 0xFB)
        #expect(header.umask == 0o077)
        #expect(header.terminal == 5)
    }

    @Test func `tables and filters are aligned, behind the header, before the end`() throws {
        let block = ParsedCommand(bytes: try plan { $0.filter = [0, 0, 0, 0, 0, 0, 0, 0] }.block())
        let header = block.header
        let places = [
            header.arguments, header.variables, header.candidates, header.socketless, header.filterOffset,
            header.initFilterOffset,
        ]
        for place in places {
            #expect(place % 8 == 0)
            #expect(Int(place) >= MemoryLayout<CSandboxLaunch_command>.size)
            #expect(Int(place) < block.bytes.count)
        }
        #expect(block.bytes.last == 0)
    }

    @Test func `arguments that are the same keep their places`() throws {
        let arguments = ["echo"] + Array(repeating: String(repeating: "x", count: 1000), count: 1000)
        let block = ParsedCommand(bytes: try plan { $0.arguments = arguments }.block())
        #expect(block.words(block.header.arguments, block.header.argumentCount) == arguments)
    }

    @Test func `arguments that only look the same arrive byte by byte`() throws {
        let arguments = ["touch", "caf\u{E9}", "cafe\u{301}"]
        let block = ParsedCommand(bytes: try plan { $0.arguments = arguments }.block())
        let words = block.words(block.header.arguments, block.header.argumentCount)
        #expect(words.map { Array($0.utf8) } == arguments.map { Array($0.utf8) })
    }

    @Test func `an empty argument is one`() throws {
        let block = ParsedCommand(bytes: try plan { $0.arguments = ["printf", "", ""] }.block())
        #expect(block.words(block.header.arguments, block.header.argumentCount) == ["printf", "", ""])
    }

    @Test func `a zero byte is refused wherever it is`() {
        #expect(failure { $0.arguments = ["a\0b"] } == .zeroByte)
        #expect(failure { $0.variables = ["A=\0"] } == .zeroByte)
        #expect(failure { $0.candidates = ["/bin/\0"] } == .zeroByte)
        #expect(failure { $0.directory = "/\0" } == .zeroByte)
        #expect(failure { $0.socketless = ["\0"] } == .zeroByte)
    }

    @Test func `too many words are refused`() {
        let limit = Int(CSandboxLaunch_maximumWords)
        let words = Array(repeating: "a", count: limit)
        #expect(failure { $0.arguments = words } == nil)
        #expect(failure { $0.arguments = words + ["a"] } == .tooManyWords(limit: limit))
        #expect(failure { $0.variables = words + ["a"] } == .tooManyWords(limit: limit))
    }

    @Test func `too long a command is refused`() {
        let limit = Int(CSandboxLaunch_maximumCommand)
        #expect(failure { $0.arguments.append(String(repeating: "a", count: limit)) } == .tooLong(limit: limit))
    }

    @Test(
        "candidates are those of execvp",
        arguments: [
            ("./a", "/bin", ["./a"]), ("a", "/bin:/usr/bin", ["/bin/a", "/usr/bin/a"]), ("a", "", []),
            ("a", "::/bin:", ["/bin/a"]), ("a", nil, ["/usr/local/bin/a", "/usr/bin/a", "/bin/a"]),
        ] as [(String, String?, [String])])
    func candidates(name: String, path: String?, files: [String]) {
        #expect(CommandPlan.candidates(for: name, path: path) == files)
    }

    @Test func `a PATH without end has its bounds`() {
        let path = (0..<1000).map { "/\($0)" }.joined(separator: ":")
        #expect(CommandPlan.candidates(for: "a", path: path).count == 64)
    }
}
