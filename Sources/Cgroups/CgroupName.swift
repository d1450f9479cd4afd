import Glibc
import LinuxSystem
import SystemPackage

/// The names of our control groups, by which a later command knows them again.
enum CgroupName {
    private static let prefix = "cloche-"
    private static let trialPrefix = "cloche-probe-"

    /// The name of a run's group; nil where `run` is not a lower-case UUID, possibly with a hyphen and a suffix of
    /// at most 32 lower-case letters, digits and hyphens.
    static func group(ofRun run: String) -> String? {
        isRun(run[...]) ? prefix + run : nil
    }

    /// The run whose group has this name.
    static func run(ofGroup name: String) -> String? {
        guard name.hasPrefix(prefix) else { return nil }
        let run = name.dropFirst(prefix.count)
        return isRun(run) ? String(run) : nil
    }

    private static func isRun(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 || (bytes.count > 37 && bytes.count <= 69 && bytes[36] == UInt8(ascii: "-")) else {
            return false
        }
        let isUUID = bytes.prefix(36).enumerated().allSatisfy { index, byte in
            switch index {
            case 8, 13, 18, 23: byte == UInt8(ascii: "-")
            default: isDigit(byte) || (0x61...0x66).contains(byte)
            }
        }
        return isUUID
            && bytes.dropFirst(36).allSatisfy {
                isDigit($0) || (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// A name for a group that is made to find something out and removed at once.
    static func trial() -> String {
        "\(trialPrefix)\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 16))"
    }

    /// The process that made the trial's group of this name.
    static func process(ofTrial name: String) -> Int32? {
        guard name.hasPrefix(trialPrefix) else { return nil }
        let parts = name.dropFirst(trialPrefix.count).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, UInt32(parts[1], radix: 16) != nil, let process = Int32(parts[0]), process > 0 else {
            return nil
        }
        return process
    }
}
