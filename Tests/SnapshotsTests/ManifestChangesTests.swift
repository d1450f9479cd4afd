import Glibc
import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

/// Of the manifest of a layer only the changes are stored.
@Suite struct ManifestChangesTests {
    private static let header = "cloche-manifest 1\n"

    /// What `cloche help snapshots` tells, to make a manifest without Cloche.
    static let program = #"""
        NR == FNR { if (n) { add[at] = add[at] $0 "\n"; n--; next }
                    at = substr($1, 2) + 0; n = $2 + 0
                    if ($1 ~ /^d/) while (n) { out[at++] = 1; n-- }
                    next }
        !(FNR in out) { print }
        { printf "%s", add[FNR] }
        """#

    private static func read(_ below: FilePath, _ changes: FilePath) throws -> [UInt8] {
        let files = SnapshotStore.ManifestFiles(
            whole: HeldDescriptor(try Syscall.open(below, O_RDONLY)),
            changes: HeldDescriptor(try Syscall.open(changes, O_RDONLY)))
        var reader = try files.reader()
        var bytes: [UInt8] = []
        while case let part = try reader.read(), !part.isEmpty { bytes += part }
        return bytes
    }

    /// A project whose manifest does not fit into one piece.
    private static func fill(_ scratch: Scratch) throws {
        for number in 0..<3000 {
            try scratch.write("project/d\(number / 100)/a-name-that-is-rather-long-\(number)", "\(number)")
        }
        Syscall.sleep(nanoseconds: 130_000_000)
    }

    @Test(arguments: [1, 2, 3, 4])
    func `changes are what diff -n says, also across pieces and in long lines`(_ seed: UInt64) throws {
        try Scratch.with(inMemory: true) { scratch in
            var random = SeededGenerator(state: seed)
            func line() -> String {
                let isLong = Int.random(in: 0..<50, using: &random) == 0
                return String(repeating: "x", count: isLong ? 100_000 : Int.random(in: 0..<200, using: &random)) + "\n"
            }
            let old = (0..<3000).map { _ in line() }
            var new: [String] = []
            for text in old {
                switch Int.random(in: 0..<40, using: &random) {
                case 0: break
                case 1: new += [text, line(), line()]
                case 2: new.append(line())
                default: new.append(text)
                }
            }
            try scratch.write("old", Self.header + old.joined())
            try scratch.write("new", Self.header + new.joined() + line())
            let difference = try run(["sh", "-c", "diff -n old new > changes"], in: scratch)
            #expect(difference.exitCode == 1, "\(difference.errors)")
            #expect(
                try Self.read(scratch.at("old"), scratch.at("changes"))
                    == Syscall.readFile(scratch.at("new"), limit: 1 << 26))
        }
    }

    @Test(arguments: [
        "d2\n", "d0 1\n", "d2 0\n", "x2 1\n", "d2 99\n", "a1 2\nx\n", "a1 1", "d3 1\nd2 1\n", "d-1 1\n",
        "d2 1 \n", "d99999999999999999999 1\n", "\n", "d2 1\nnoise\n", "a3 1\nx\na2 1\nx\n",
    ])
    func `changes that do not fit end the text`(_ changes: String) throws {
        try Scratch.with(inMemory: true) { scratch in
            try scratch.write("old", Self.header + "one\ntwo\n")
            try scratch.write("changes", changes)
            let text = try Self.read(scratch.at("old"), scratch.at("changes"))
            #expect(!text.ends(with: "two\n".utf8), "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test func `two snapshots share what is equal of their manifests, and other tools make the whole again`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try Self.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d7/a-name-that-is-rather-long-700", "changed")
            try scratch.write("project/d8/new", "new")
            try Syscall.unlink(scratch.at("project/d9/a-name-that-is-rather-long-900"))
            let second = try scratch.capture().snapshot
            #expect(second.base == first.identity)
            #expect(!Syscall.exists(second.manifestPath))
            // Two directories and two files.
            let changes = try Syscall.readFile(second.place.appending("changes"), limit: 1 << 20)
            #expect(changes.count < 1000, "\(String(decoding: changes, as: UTF8.self))")
            let store = try scratch.store()
            let paths = store.manifestPaths(of: second.identity)
            #expect(paths == [first.manifestPath, second.place.appending("changes")])
            let made = try run(
                ["sh", "-c", "awk \"$0\" \(paths[1].string) \(paths[0].string) | sha256sum", Self.program], in: scratch)
            #expect(made.text.prefix(64) == second.identity.description, "\(made.errors)")
            #expect(try store.verify(second.identity).isEmpty)
        }
    }

    @Test(arguments: [true, false])
    func `a flipped bit is found where it is, and healed`(_ isBelow: Bool) throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            #expect(try run(["cp", "-a", "project", "kept"], in: scratch).exitCode == 0)
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            // The manifest below counts as well when it is no snapshot's own any more.
            try store.prune([first.identity], references: { [second.identity] })
            let file = isBelow ? first.manifestPath : second.place.appending("changes")
            let sound = try Syscall.readFile(file, limit: 1 << 20)
            for place in stride(from: 5, to: sound.count, by: isBelow ? 7000 : 30) {
                var bytes = sound
                bytes[place] ^= 4
                try Syscall.writeFile(file, bytes)
                let error = #expect(throws: SnapshotError.self) { try store.verify(second.identity) }
                #expect(error?.description.contains("does not have ") == true)
                #expect(error?.description.contains("\(first.identity)") == isBelow)
                #expect((store.damage(of: first.identity) != nil) == isBelow)
                #expect(throws: SnapshotError.self) { try store.manifest(of: second.identity) }
                #expect(throws: SnapshotError.self) { try store.snapshot(second.identity) }
            }
            // The same content takes the place of what is damaged.
            let healed = try scratch.capture()
            #expect(healed.snapshot.identity == second.identity && healed.isNew)
            #expect(try store.verify(second.identity).isEmpty)
            #expect(try run(["sh", "-c", "rm -r project; cp -a kept project"], in: scratch).exitCode == 0)
            #expect(try scratch.capture().snapshot.identity == first.identity)
            #expect(try store.verify(first.identity).isEmpty && store.verify(second.identity).isEmpty)
        }
    }

    @Test(arguments: [("changes", "its manifest is missing"), ("manifest", "of the tree below it, of ")])
    func `what is missing is named`(_ file: String, _ words: String) throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            let place = file == "changes" ? second.place : first.place
            try Syscall.unlink(place.appending(file))
            for _ in 0..<2 {
                let error = #expect(throws: SnapshotError.self) { try store.verify(second.identity) }
                #expect(error?.description.contains(words) == true, "\(String(describing: error))")
                #expect(error?.description.contains("\(first.identity)") == (file == "manifest"))
            }
            #expect(throws: SnapshotError.self) { try store.snapshot(second.identity) }
            #expect(try scratch.capture().isNew && store.verify(second.identity).isEmpty)
        }
    }

    @Test func `the manifest below stays while a layer needs it, and goes with the last`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            var later: [Snapshot] = []
            for number in 0..<2 {
                try scratch.write("project/d0/s0/f0", "changed \(number)")
                Syscall.sleep(nanoseconds: 130_000_000)
                later.append(try scratch.capture().snapshot)
            }
            let store = try scratch.store()
            try store.prune([first.identity], references: { [] })
            for snapshot in later {
                #expect(snapshot.base == first.identity)
                #expect(try store.manifest(of: snapshot.identity).identity == snapshot.identity)
            }
            try store.prune([later[0].identity], references: { [later[1].identity] })
            #expect(try store.verify(later[1].identity).isEmpty)
            #expect(
                try scratch.names("store/snapshots").filter { $0.count == 64 }
                    == [first.identity, later[1].identity].map(\.description).sorted())
            try store.prune([later[1].identity], references: { [] })
            #expect(try scratch.names("store/snapshots").filter { $0.count == 64 }.isEmpty)
        }
    }

    @Test func `a layer with a manifest of its own, as they were stored before, is read, and built on`() throws {
        try Scratch.with(inMemory: true) { scratch in
            try LayerTests.fill(scratch)
            let first = try scratch.capture().snapshot
            try scratch.write("project/d0/s0/f0", "changed")
            Syscall.sleep(nanoseconds: 130_000_000)
            let second = try scratch.capture().snapshot
            let store = try scratch.store()
            try Syscall.writeFile(
                second.manifestPath, try store.manifest(of: second.identity).bytes, mode: 0o600)
            try Syscall.unlink(second.place.appending("changes"))
            #expect(store.manifestPaths(of: second.identity) == [second.manifestPath])
            #expect(try store.verify(second.identity).isEmpty && store.snapshot(second.identity) == second)
            try store.export(second.identity) { _ in }
            #expect(try !scratch.capture().isNew)
            try scratch.write("project/d0/s0/f0", "changed again")
            let third = try scratch.capture().snapshot
            #expect(third.base == first.identity && Syscall.exists(third.place.appending("changes")))
            #expect(try store.verify(third.identity).isEmpty)
            // Its own manifest is looked at, not what could be made of the one below.
            var bytes = try Syscall.readFile(second.manifestPath, limit: 1 << 20)
            bytes[100] ^= 4
            try Syscall.writeFile(second.manifestPath, bytes)
            #expect(throws: SnapshotError.self) { try store.verify(second.identity) }
        }
    }

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func `a disk that is full before the changes are written leaves no half snapshot`() throws {
        try Scratch.with { scratch in
            try LayerTests.fill(scratch)
            try scratch.makeDirectory("store")
            try onPrivateThread {
                try enterPrivateMounts()
                try Syscall.mount(source: "tmpfs", target: scratch.at("store"), type: "tmpfs", data: "size=2m")
                let first = try scratch.capture().snapshot
                // Links take no block of such a disk: the first that are needed are those of the changes.
                for number in 0..<60 { try Syscall.symlink("d0", scratch.at("project/d1/link-\(number)")) }
                var outcomes: [Bool] = []
                for room in 0..<7 where outcomes.last != true {
                    var filler: [UInt8] = []
                    while (try? Syscall.writeFile(scratch.at("store/filler"), filler)) != nil {
                        filler += [UInt8](repeating: 1, count: 4096)
                    }
                    try Syscall.writeFile(scratch.at("store/filler"), Array(filler.dropLast(4096 * (1 + room))))
                    let error: SnapshotError?
                    do { (_, error) = (try scratch.capture(), nil) } catch let failure as SnapshotError {
                        error = failure
                    }
                    outcomes.append(error == nil)
                    try Syscall.unlink(scratch.at("store/filler"))
                    guard let error else { break }
                    guard case .diskFull = error.reason else { throw error }
                    #expect(try scratch.store().list().snapshots == [first])
                    #expect(try scratch.names("store/snapshots/staging").isEmpty)
                }
                #expect(outcomes.count > 3 && outcomes.last == true, "\(outcomes)")
                let second = try scratch.capture().snapshot
                #expect(try second.base == first.identity && scratch.store().verify(second.identity).isEmpty)
            }
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with bytes: some Collection<UInt8>) -> Bool { suffix(bytes.count).elementsEqual(bytes) }
}
