package import Jobs
import LinuxSystem
import Pipelines
import PlainText
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The time zones of this host.
package struct TimeZoneDirectory: Sendable {
    private let path: FilePath

    /// Zones in a directory of files in the form of `/usr/share/zoneinfo`.
    package init(_ path: FilePath = "/usr/share/zoneinfo") { self.path = path }

    /// The rules of the zone of that IANA name; `UTC` needs no file.
    package func rules(_ name: String) throws(TimeZoneError) -> TimeZoneRules {
        if name == "UTC" { return .utc }
        guard Self.isName(name) else { throw TimeZoneError(name, .invalid, hint: Self.form) }
        let bytes: [UInt8]
        do throws(SyscallError) {
            let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
            // Names of the same zone are links within the directory.
            let file = try Syscall.open(
                FilePath(name), at: directory.number, O_RDONLY | O_NONBLOCK, resolve: [.beneath, .noMagicLinks])
            bytes = try Self.content(file)
        } catch {
            throw TimeZoneError(name, .missing(error), hint: hint(for: name))
        }
        do throws(InvalidTimeZoneFile) {
            return try TimeZoneRules(fileContent: bytes)
        } catch {
            throw TimeZoneError(name, .unreadable(error.reason), hint: hint(for: name))
        }
    }

    private static func content(_ file: borrowing OwnedFileDescriptor) throws(SyscallError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < mostBytes {
            let more = try Syscall.read(file.number, upTo: 65_536)
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    private static func isName(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return name.utf8.count <= 100
            && parts.allSatisfy { part in
                guard let first = part.first, first != UInt8(ascii: "."), first != UInt8(ascii: "-") else {
                    return false
                }
                return part.allSatisfy {
                    (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                        || "_-+.".utf8.contains($0)
                }
            }
    }

    private func hint(for name: String) -> String {
        let names = names()
        if names.isEmpty { return "install the time zones of this host: apt-get install tzdata" }
        return EditDistance.nearest(to: name, in: names).map { "did you mean `\($0)`?" } ?? Self.form
    }

    /// The zones by their names, two levels deep: areas and places.
    private func names() -> [String] {
        var names: [String] = []
        for area in Self.entries(path) where area.first?.isUppercase == true {
            let places = Self.entries(path.appending(area))
            names += places.isEmpty ? [area] : places.map { "\(area)/\($0)" }
        }
        return names
    }

    private static func entries(_ directory: FilePath) -> [String] {
        // What cannot be listed is not proposed.
        guard let opened = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY),
            let entries = try? Syscall.directoryEntries(opened.number)
        else { return [] }
        return entries.map { String(decoding: $0.name, as: UTF8.self) }.sorted()
    }

    private static let mostBytes = 1 << 20
    private static let form = "write an IANA name, such as `Europe/Berlin` or `UTC`"
}

/// A time zone that cannot be used.
package struct TimeZoneError: Error, Sendable, CustomStringConvertible {
    enum Reason: Sendable {
        case invalid
        case missing(SyscallError)
        case unreadable(String)
    }

    private let name: String
    private let reason: Reason
    /// What to do about it.
    package let hint: String

    init(_ name: String, _ reason: Reason, hint: String) {
        self.name = name
        self.reason = reason
        self.hint = hint
    }

    /// One sentence, safe to show.
    package var description: String {
        let problem =
            switch reason {
            case .invalid: "that is no name of one"
            case .missing(let error) where error.errno == .noSuchFileOrDirectory: "this host does not know it"
            case .missing(let error): "\(error)"
            case .unreadable(let reason): reason
            }
        return "use the time zone `\(printable(name, limit: 100))`: \(problem)"
    }
}
