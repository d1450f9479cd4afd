import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One round over the files that processes have open and that have no name any more: each is found once.
///
/// A round may be interrupted and taken up again; what is opened or closed meanwhile may be missed or found. Every thread
/// is asked, for each may have a table of descriptors of its own (clone(2), CLONE_FILES). Files in the queue of a socket
/// are in no table and are not found.
final class NamelessFiles {
    private var processes: [[UInt8]]?
    private var tables: [FilePath] = []
    private var table: OwnedFileDescriptor?
    private var seen: Set<[UInt64]> = []

    private static let mark = Array(" (deleted)".utf8)

    /// Goes on in the procfs that is open at `place` while `goesOn` says so; tells whether the round is complete.
    ///
    /// `counts` is asked about the path inside, as the kernel shows it (proc(5), `fd`); `found` gets it without the mark.
    func look(
        at place: CInt, while goesOn: () -> Bool, where counts: ([UInt8]) -> Bool,
        found: ([UInt8], FileStatus) -> Void
    ) -> Bool {
        while goesOn() {
            // A process may end at any moment, and close a file at any moment.
            if let number = table?.number {
                guard let files = (try? Syscall.nextDirectoryEntries(number, bytes: 4096)) ?? nil else {
                    table = nil
                    continue
                }
                for file in files { look(at: TerminatedName(file.name), of: number, where: counts, found: found) }
            } else if let path = tables.popLast() {
                table = try? Syscall.open(path, at: place, O_RDONLY | O_DIRECTORY)
            } else if processes == nil {
                processes = Self.numbers(".", at: place)
            } else if let process = processes?.popLast() {
                let threads = process + Array("/task".utf8)
                tables = Self.numbers(FilePath(bytes: threads), at: place).map {
                    FilePath(bytes: threads + [UInt8(ascii: "/")] + $0 + Array("/fd".utf8))
                }
            } else {
                return true
            }
        }
        return false
    }

    private func look(
        at file: TerminatedName, of table: CInt, where counts: ([UInt8]) -> Bool,
        found: ([UInt8], FileStatus) -> Void
    ) {
        guard let link = try? Syscall.readLink(file, at: table), link.suffix(Self.mark.count) == Self.mark[...],
            counts(link), let status = try? Syscall.fileStatus(file, at: table), status.isRegular, status.links == 0,
            seen.insert([status.device, status.inode]).inserted
        else { return }
        found(Array(link.dropLast(Self.mark.count)), status)
    }

    /// Names in a directory of procfs that are numbers: of processes, or of threads.
    static func numbers(_ path: FilePath, at place: CInt) -> [[UInt8]] {
        guard let directory = try? Syscall.open(path, at: place, O_RDONLY | O_DIRECTORY),
            let entries = try? Syscall.directoryEntries(directory.number)
        else { return [] }
        return entries.map(\.name).filter { $0.first.map { (48...57).contains($0) } == true }
    }
}

/// What files in memory without a name take (memfd_create(2)), counted in rounds: who has much open makes them long.
struct MemoryFiles {
    private var round: NamelessFiles?
    private var sum: Int64 = 0, last: Int64 = 0
    private var spent = 0.0, next = 0.0

    /// Bytes that the last round found, or the one that goes on where those are more.
    var bytes: Int64 { max(last, sum) }
    /// Whether `bytes` is what a look has found just now.
    private(set) var isFresh = false

    /// So many times as long as a round took, none is begun: that bounds what it costs.
    private static let restFactor = 10.0
    private static let prefix = Array("/memfd:".utf8)

    /// Begins a round in the procfs that is open at `place`, or goes on with one, while `isInTime` says so.
    mutating func look(at place: CInt, now: Double, isInTime: () -> Bool) {
        isFresh = false
        guard round != nil || now >= next else { return }
        if round == nil { (sum, spent) = (0, 0) }
        let current = round ?? NamelessFiles()
        var found: Int64 = 0
        // Who gives a file on a disk such a name has it counted as well.
        let isComplete = current.look(
            at: place, while: isInTime, where: { $0.starts(with: Self.prefix) }, found: { found += $1.allocated })
        sum += found
        isFresh = isComplete || sum > last
        let after = Syscall.monotonicSeconds()
        spent += after - now
        round = isComplete ? nil : current
        guard isComplete else { return }
        (last, sum) = (sum, 0)
        next = after + Self.restFactor * spent
    }

    /// Has the next look begin a round at once.
    mutating func hurry() { next = 0 }
}
