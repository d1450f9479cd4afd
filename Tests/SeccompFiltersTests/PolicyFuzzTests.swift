import Isolation
import SeccompFilters
import SystemPackage
import Testing

@testable import Policies

/// Policy documents made at random, from the text to the filter.
///
/// `CLOCHE_TEST_SWEEP=full` tries many more.
@Suite struct PolicyFuzzTests {
    private static let rounds = FilterFuzzTests.isFull ? 4000 : 160

    /// A document, and what it says of system calls.
    private struct Sample {
        var base = "default"
        var allowed: [String] = [], denied: [String] = []
        var only: [String]?
        var text = ""
    }

    private static let calls = SystemCallTable.x86_64.names
    private static let groups = SeccompPolicy.steps().groups.keys.map(\.rawValue).sorted()

    @Test func `whatever is read is refused by the filter as the document says, and never less`() throws {
        var random = FuzzNumbers(seed: 0x0D0C)
        var (read, refused) = (0, 0)
        for round in 0..<Self.rounds {
            let sample = Self.sample(&random)
            do throws(PolicyError) {
                let resolved = try PolicyCatalogue().resolve(
                    reading: Array(sample.text.utf8), name: "lab", file: "lab.yaml")
                read += 1
                try check(resolved.policy, sample, round)
            } catch {
                refused += 1
                checkPlaces(error, lines: sample.text.utf8.count { $0 == 0x0A } + 1)
            }
        }
        #expect(read > Self.rounds / 8 && refused > Self.rounds / 8, "\(read) \(refused)")
    }

    @Test func `a document with damage is refused with places, or means what stands there`() throws {
        var random = FuzzNumbers(seed: 0xDA3A)
        var read = 0
        for round in 0..<Self.rounds * 4 {
            let bytes = Self.damaged(Array(Self.sample(&random).text.utf8), &random)
            do throws(PolicyError) {
                let resolved = try PolicyCatalogue().resolve(reading: bytes, name: "lab", file: "lab.yaml")
                read += 1
                // The document alone, read once more, is what the policy has to be measured by.
                let document = try PolicyDocument(reading: bytes, name: "lab", file: "lab.yaml")
                var sample = Sample(base: document.base ?? "default")
                sample.allowed = document.allowed.map(\.value)
                sample.denied = document.denied.map(\.value)
                sample.only = document.only?.value.map(\.value)
                sample.text = String(decoding: bytes, as: UTF8.self)
                if round.isMultiple(of: 8) { try check(resolved.policy, sample, round) }
            } catch {
                checkPlaces(error, lines: bytes.count { $0 == 0x0A } + 1)
            }
        }
        #expect(read > Self.rounds / 20, "\(read)")
    }

    @Test func `no bytes at all make the way from text to filter fail otherwise than by an error`() {
        var random = FuzzNumbers(seed: 0x4A3)
        for _ in 0..<Self.rounds * 10 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            do throws(PolicyError) {
                let resolved = try PolicyCatalogue().resolve(reading: bytes, name: "lab", file: "lab.yaml")
                #expect(throws: Never.self) { try FilterCompiler().compile(resolved.policy.seccomp) }
            } catch {
                checkPlaces(error, lines: bytes.count { $0 == 0x0A } + 1)
            }
        }
    }

    // MARK: - What has to hold

    /// The filter decides as the policy means, and the policy allows no call that the text does not.
    private func check(_ policy: SandboxPolicy, _ sample: Sample, _ round: Int) throws(PolicyError) {
        do {
            for mode in round.isMultiple(of: 2) ? [FilterCompiler.Mode.notify] : [.learn] {
                let program = try FilterCompiler(architecture: .x86_64, mode: mode).compile(policy.seccomp)
                let fault = try FilterCheck(policy.seccomp, .x86_64, mode).fault(in: program, mixtures: 6)
                if let fault { Issue.record("\(fault) in \(sample.text)") }
            }
            let program = try FilterCompiler(architecture: .x86_64, mode: .silent).compile(policy.seccomp)
            let simulator = try FilterSimulator(bytes: program.bytes)
            let base = BuiltInPolicies.named(sample.base)?.seccomp ?? .steps()
            let opened = Set(
                sample.allowed.flatMap { base.calls(refusedBy: SeccompGroup.ID(rawValue: $0)) + [$0] })
            let every = PolicyMeaning(policy: policy.seccomp, architecture: .x86_64, mode: .silent)
            for call in Self.calls {
                guard let number = SystemCallTable.x86_64.number(of: call) else { continue }
                let isDenied = sample.denied.contains(call)
                let isListed =
                    sample.only.map { $0.contains(call) || SeccompPolicy.indispensable.contains(call) } ?? true
                for arguments in every.arguments(near: number, atMost: 12) {
                    let data = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
                    guard try simulator.run(data).action == .allow else { continue }
                    let isAllowed =
                        base.verdict(call: call, arguments: arguments) == .allow || opened.contains(call)
                    if isDenied || !isListed || !isAllowed {
                        Issue.record("\(call)\(arguments) is allowed by \(sample.text)")
                        return
                    }
                }
            }
            for (call, arguments) in [("chmod", [0, 0o4755]), ("mknod", [0, 0o020_666])] as [(String, [UInt64])] {
                let number = try #require(SystemCallTable.x86_64.number(of: call))
                let data = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
                #expect(try simulator.run(data).action != .allow, "\(call) in \(sample.text)")
            }
        } catch {
            Issue.record("\(error) in \(sample.text)")
        }
    }

    /// Each problem has its place in the document, but for those of the document as a whole.
    private func checkPlaces(_ error: PolicyError, lines: Int) {
        let whole = ["the policy is empty", "the policy is not UTF-8", "not valid YAML", "the policy is larger than"]
        for line in error.description.split(separator: "\n") where !line.hasPrefix("and ") {
            if whole.contains(where: { line.hasPrefix("lab.yaml: " + $0) }) { continue }
            let parts = line.split(separator: ":", maxSplits: 3)
            let place = parts.count > 3 ? (Int(parts[1]), Int(parts[2])) : (nil, nil)
            guard parts.first == "lab.yaml", let row = place.0, let column = place.1 else {
                Issue.record("no place: \(line)")
                return
            }
            // An error at the end of the text is on the line behind it.
            #expect((1...(lines + 1)).contains(row) && column >= 1, "\(line)")
        }
    }

    // MARK: - Documents

    private static func sample(_ random: inout FuzzNumbers) -> Sample {
        func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        func some(_ names: [String], _ most: Int) -> [String] {
            Array(names.shuffled(using: &random).prefix(Int.random(in: 0...most, using: &random)))
        }
        var sample = Sample()
        sample.base = pick(["default", "default", "strict", "online"])
        sample.denied = some(calls.filter { !SeccompPolicy.indispensable.contains($0) }, 6)
        sample.allowed = some(["ptrace", "bpf", "mount", "io_uring_setup", "debug", "keyrings", "namespaces"], 2)
            .filter { !sample.denied.contains($0) }
        if Bool.random(using: &random) {
            let usual = calls.filter { BuiltInPolicies.strict.seccomp.rules[$0]?.verdicts.contains(.allow) == true }
            let only = some(usual, 60).filter { !sample.denied.contains($0) }
            sample.only = only + sample.allowed.filter { SystemCallTable.knows($0) && !only.contains($0) }
        }
        var lines = ["extends: \(sample.base)"]
        // One in three documents has something wrong with it.
        if pick([true, false, false]) {
            lines.append(
                pick([
                    "netwrk: none", "data: everything", "limits: {memory: lots}", "limits: {pids: 0}", "network:",
                    "identity: [any]", "limits: {cpus: {value: 1, enforce: hard, hard: 1}}", "extends: nobody",
                    "network: {mode: filtered}", "network: &a none", "data: !x ro", "- none",
                ]))
        }
        lines += some(["network: none", "data: ro", "identity: range", "limits: {memory: 1GiB, pids: 99}"], 3)
        lines.append("seccomp:")
        let isBlock = Bool.random(using: &random)
        for (key, names) in [("allow", sample.allowed), ("deny", sample.denied), ("only", sample.only)] {
            guard let names else { continue }
            if isBlock, !names.isEmpty {
                lines.append("  \(key):")
                lines += names.map { "    - \($0)" + pick(["", "", "  # seen once"]) }
            } else {
                lines.append("  \(key): [\(names.joined(separator: pick([", ", ","])))]")
            }
        }
        sample.text = lines.joined(separator: pick(["\n", "\n", "\r\n"])) + pick(["", "\n"])
        return sample
    }

    private static func damaged(_ text: [UInt8], _ random: inout FuzzNumbers) -> [UInt8] {
        var bytes = text
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0...5, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: place)
            case 3: bytes = Array(bytes[..<place])
            case 4: bytes.insert(contentsOf: bytes[place...].prefix(30), at: place)
            default: bytes.insert(contentsOf: Array(pieces[Int(random.next() % UInt64(pieces.count))].utf8), at: place)
            }
        }
        return bytes
    }

    private static let pieces = [
        "\n", "\n  ", ": ", "- ", "[", "]", "{", "}", "&a ", "*a", "!t ", "? ", "| ", "> ", "#", "\"", "'", "---\n",
        "~",
        "\u{85}", "\u{FEFF}", "\u{202E}", "read", "only: [", "allow: [mounts]\n", "\u{0}",
    ]
}
