import Foundation
import Testing

extension EndToEndBeside {
    @Suite("The identity of snapshots", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct SnapshotIdentities {
        /// Written from `cloche help snapshots` alone.
        private static let program = #"""
            import hashlib, os, stat, sys
            def escaped(text):
                return "".join(chr(b) if 0x21 <= b <= 0x7e and b != 0x5c else "\\x%02x" % b for b in text)
            def moment(status):
                return "%d.%09d" % divmod(status.st_mtime_ns, 10**9)
            def digest(path, size):
                hash, position = hashlib.sha256(), 0
                with open(path, "rb") as file:
                    if size <= 4294967296:
                        for part in iter(lambda: file.read(1 << 20), b""): hash.update(part)
                        return hash.hexdigest()
                    while position < size:
                        try: position = os.lseek(file.fileno(), position, os.SEEK_DATA) // 4096 * 4096
                        except OSError: break
                        block = os.pread(file.fileno(), 4096, position)
                        if block.strip(b"\0"): hash.update(position.to_bytes(8, "little") + block)
                        position += 4096
                return "blocks:" + hash.hexdigest()
            def attributes(path):
                names = sorted(os.fsencode(name) for name in os.listxattr(path))
                return "".join("x %s 0x%s\n" % (escaped(name), os.getxattr(path, name).hex())
                    for name in names if name.startswith(b"user.") and not name.startswith(b"user.overlay."))
            root = os.fsencode(sys.argv[1])
            paths = []
            for folder, folders, files in os.walk(root):
                paths += [os.path.relpath(os.path.join(folder, name), root) for name in folders + files]
            text, first = "cloche-manifest 1\n", {}
            for path in [b"."] + sorted(paths):
                full = os.path.join(root, path)
                status = os.lstat(full)
                mode, name = "%04o" % (status.st_mode & 0o777), escaped(path)
                if stat.S_ISDIR(status.st_mode):
                    text += "d %s %s %s\n" % (mode, moment(status), name) + attributes(full)
                elif stat.S_ISLNK(status.st_mode):
                    text += "l %s %s %s\n" % (moment(status), escaped(os.readlink(full)), name)
                elif stat.S_ISREG(status.st_mode):
                    if status.st_nlink > 1 and status.st_ino in first:
                        text += "h %s %s\n" % (escaped(first[status.st_ino]), name)
                        continue
                    first[status.st_ino] = path
                    text += "f %s %s %d %s %s\n" % (mode, moment(status), status.st_size,
                        digest(full, status.st_size), name) + attributes(full)
            print(hashlib.sha256(text.encode()).hexdigest())
            """#

        private static let content = #"""
            import os, sys
            os.chdir(os.fsencode(sys.argv[1]))
            for name in [b"a", b"a-b", b"a b", b"\xff\n\\", "é".encode(), b"z" * 255]:
                open(name, "wb").write(name * 1000)
            os.makedirs("d/e/empty"); open("d/one", "w").write("x"); os.link("d/one", "another"); os.link("d/one", "d/two")
            os.symlink("/etc/passwd", "link"); os.symlink(b"\x01 \xfe", "odd")
            os.utime("a", ns=(0, -500000000)); os.utime("a-b", ns=(0, 1)); os.chmod("a-b", 0o6751)
            os.mkfifo("pipe")
            for path in ["a", "d"]:
                try: os.setxattr(path, "user.note", b"\x00\xff"); os.setxattr(path, "user.A b", b"")
                except OSError: pass
            with open("sparse", "wb") as file:
                file.truncate(5 << 30)
                for place in [0, 4096 * 3 + 7, (4 << 30) + 1, (5 << 30) - 1]:
                    file.seek(place); file.write(b"data"[:1])
            with open("odd-sized", "wb") as file: file.truncate((4 << 30) + 5); file.seek((4 << 30) + 3); file.write(b"xy")
            os.utime("d", ns=(0, 1234567890123456789))
            """#

        @Test("a program written from the documentation comes to the same identity", .timeLimit(.minutes(2)))
        func identity() throws {
            #expect(try Cloche.run("help", "snapshots").output.contains("f MODE MTIME SIZE DIGEST PATH"))
            let store = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            func python(_ program: String) throws -> String {
                let result = try StartedCommand(
                    "/usr/bin/python3", ["-c", program, project.path], environment: ["PATH": "/usr/bin:/bin"]
                ).wait(timeout: 60)
                #expect(result.status == 0, "\(result.errors)")
                return result.output
            }
            _ = try python(Self.content)
            let taken = try Cloche.start(
                ["snapshot", "create", "--yes", project.path], environment: ["CLOCHE_HOME": store.path]
            ).wait(timeout: 100)
            #expect(taken.status == 0, "\(taken.errors)")
            let expected = try python(Self.program)
            #expect(taken.output == expected)
        }

        private static func sum(_ script: String, _ paths: [String] = []) throws -> String {
            let result = try StartedCommand(
                "/bin/sh", ["-c", "set -e; \(script)", "sh"] + paths,
                environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"]
            ).wait(timeout: 60)
            #expect(result.status == 0, "\(result.errors)")
            return String(result.output.prefix(64))
        }

        private static func fill(_ project: TemporaryDirectory) throws {
            for number in 0..<400 { try project.write("\(number)", to: "d\(number / 20)/f\(number)") }
            usleep(150_000)
        }

        @Test("the manifest of a layer is printed, and made again by the program of the documentation")
        func layer() throws {
            let (store, project) = (try TemporaryDirectory(), try TemporaryDirectory())
            func cloche(_ arguments: String...) throws -> CommandResult {
                try Cloche.start(arguments, environment: ["CLOCHE_HOME": store.path]).wait(timeout: 60)
            }
            try Self.fill(project)
            #expect(try cloche("snapshot", "create", project.path).status == 0)
            try project.write("changed", to: "d1/f20")
            try project.write("new", to: "d2/new")
            try FileManager.default.removeItem(atPath: project.path + "/d3/f60")
            let identity = try cloche("snapshot", "create", project.path).output.prefix(64)
            let printed = try cloche("snapshot", "show", String(identity), "--manifest")
            try store.write(printed.output, to: "printed")
            #expect(try Self.sum("sha256sum < $1", [store.path + "/printed"]) == identity)
            let wrong = try cloche("snapshot", "show", String(identity), "d1", "--manifest")
            #expect(wrong.status == 64 && wrong.errors.contains("leave out the path"), "\(wrong.errors)")

            let help = try Cloche.run("help", "snapshots").output
            let start = try #require(help.range(of: "awk '"))
            let end = try #require(help.range(of: "' changes manifest"))
            let shown = try cloche("snapshot", "show", String(identity)).output
            let paths = shown.split(whereSeparator: \.isWhitespace).map(String.init).filter { $0.hasPrefix(store.path) }
            #expect(paths.count == 2)
            let awk = String(help[start.lowerBound..<end.upperBound])
                .replacingOccurrences(of: "changes manifest", with: "\"$2\" \"$1\" | sha256sum")
            #expect(try Self.sum(awk, paths) == identity)
            let size = try FileManager.default.attributesOfItem(atPath: paths[1])[.size] as? Int
            #expect(try #require(size) < printed.output.utf8.count / 20)
        }

        @Test("a capture that is killed at any moment leaves no half snapshot", .timeLimit(.minutes(3)))
        func killed() throws {
            let (store, project) = (try TemporaryDirectory(), try TemporaryDirectory())
            func start(_ arguments: String...) throws -> StartedCommand {
                try Cloche.start(arguments, environment: ["CLOCHE_HOME": store.path])
            }
            try Self.fill(project)
            #expect(try start("snapshot", "create", project.path).wait(timeout: 60).status == 0)
            let began = DispatchTime.now().uptimeNanoseconds
            for number in 0..<40 { try project.write("first \(number)", to: "d\(number % 20)/f\(number * 10)") }
            #expect(try start("snapshot", "create", project.path).wait(timeout: 60).status == 0)
            let usual = UInt32((DispatchTime.now().uptimeNanoseconds - began) / 1000)
            for moment in 0..<20 {
                for number in 0..<40 {
                    try project.write("moment \(moment) \(number)", to: "d\(number % 20)/f\(number * 10)")
                }
                let command = try start("snapshot", "create", project.path)
                usleep(usual / 20 * UInt32(moment))
                command.signal(SIGKILL)
                _ = command.wait(timeout: 60)
            }
            let verified = try start("snapshot", "verify").wait(timeout: 60)
            #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
            let last = try start("snapshot", "create", project.path).wait(timeout: 60)
            #expect(last.status == 0, "\(last.errors)")
            #expect(try start("snapshot", "verify").wait(timeout: 60).status == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: store.path + "/snapshots/staging").isEmpty)
        }
    }
}
