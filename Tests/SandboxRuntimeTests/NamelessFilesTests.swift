import Foundation
import LinuxSystem
import SystemPackage
import Testing

@testable import SandboxRuntime

/// What is found of this process's own open files, by their names: other tests open files meanwhile.
struct NamelessFilesTests {
    /// Calls `body` with a directory like a procfs in which this process is the only one, in so many copies.
    private func withProcesses(_ copies: Int = 1, _ body: (CInt) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/cloche-nameless-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        for number in 1...copies {
            try FileManager.default.createSymbolicLink(
                atPath: "\(path)/\(number)", withDestinationPath: "/proc/self")
        }
        let directory = try Syscall.open(FilePath(path), O_RDONLY | O_DIRECTORY)
        try body(directory.number)
    }

    /// A file in memory with something in it.
    private func memoryFile(_ name: String, mebibytes: Int) throws -> OwnedFileDescriptor {
        try Syscall.sealedMemory(name: name, bytes: [UInt8](repeating: 1, count: mebibytes << 20), executable: false)
    }

    @Test func `a file that is open twice, and in several processes, is found once, with what it takes`() throws {
        let name = UUID().uuidString
        let file = try memoryFile(name, mebibytes: 3)
        let again = try file.duplicate()
        try withProcesses(3) { place in
            var found: [Int64] = []
            let isComplete = NamelessFiles().look(
                at: place, while: { true }, where: { $0 == Array("/memfd:\(name) (deleted)".utf8) },
                found: { found.append($1.allocated) })
            #expect(isComplete && found == [3 << 20])
        }
        #expect(again.number != file.number)
    }

    @Test func `a file of a thread that has descriptors of its own is found`() throws {
        let name = UUID().uuidString
        let isReady = DispatchSemaphore(value: 0), mayEnd = DispatchSemaphore(value: 0)
        let thread = Thread {
            // CLONE_FILES: from here on nobody else has what it opens.
            try? Syscall.unshare(NamespaceFlags(rawValue: 0x400))
            let file = try? self.memoryFile(name, mebibytes: 1)
            isReady.signal()
            mayEnd.wait()
            _ = file?.number
        }
        thread.start()
        isReady.wait()
        defer { mayEnd.signal() }
        try withProcesses { place in
            var found = 0
            _ = NamelessFiles().look(
                at: place, while: { true }, where: { $0.starts(with: "/memfd:\(name)".utf8) },
                found: { _, _ in found += 1 })
            #expect(found == 1)
        }
    }

    @Test func `a round that is interrupted goes on where it was`() throws {
        let name = UUID().uuidString
        let file = try memoryFile(name, mebibytes: 1)
        try withProcesses { place in
            let round = NamelessFiles()
            var found = 0, looks = 0, isComplete = false
            while !isComplete, looks < 100_000 {
                var steps = 0
                looks += 1
                isComplete = round.look(
                    at: place,
                    while: {
                        steps += 1
                        return steps == 1
                    }, where: { $0.starts(with: "/memfd:\(name)".utf8) }, found: { _, _ in found += 1 })
            }
            #expect(isComplete && looks > 3 && found == 1)
        }
        #expect(file.number >= 0)
    }

    @Test func `memory files are counted, those of a round that is not complete as well, and forgotten when closed`()
        throws
    {
        try withProcesses { place in
            var files = MemoryFiles()
            files.look(at: place, now: Syscall.monotonicSeconds(), isInTime: { false })
            #expect(files.bytes == 0 && !files.isFresh)
            let large = 48 << 20
            do {
                let file = try memoryFile("large", mebibytes: 48)
                files.look(at: place, now: Syscall.monotonicSeconds(), isInTime: { true })
                #expect(files.bytes >= large && files.isFresh)
                // The round before has taken some time, in which no other is begun.
                files.look(at: place, now: 0, isInTime: { true })
                #expect(files.bytes >= large && !files.isFresh)
                #expect(file.number >= 0)
            }
            files.hurry()
            files.look(at: place, now: Syscall.monotonicSeconds(), isInTime: { true })
            #expect(files.bytes < large && files.isFresh)
        }
    }

    @Test func `segments count by what they take, in memory and swapped`() {
        let table = """
                   key      shmid perms                  size  cpid  lpid nattch   uid   gid                   rss                  swap
                     0          0   600              62914560   123   124      0  1000  1000              62910464                  4096
                    17          1   600                  4096   123   124      1  1000  1000                  4096                     0

            """
        #expect(SandboxProcesses.segmentMemory(Array(table.utf8)) == 62_914_560 + 4096)
        #expect(SandboxProcesses.segmentMemory([]) == 0)
    }
}
