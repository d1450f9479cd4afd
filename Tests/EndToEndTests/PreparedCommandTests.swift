import Foundation
import Testing

/// What the shared store keeps of commands.
enum KeptCommands {
    private static let tracer = "/usr/bin/strace"

    static var canBeTraced: Bool { FileManager.default.isExecutableFile(atPath: tracer) }

    static func names() throws -> Set<String> {
        let directory = try Cloche.home.get() + "/prepared"
        return Set((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
    }

    /// Has a command kept, and gives the path of what is kept; documents count as changed for a moment.
    static func prepare(_ run: () throws -> CommandResult) throws -> String {
        // The first command of all makes directories in the store, which then has just changed.
        _ = try Cloche.run("exec", "--env-var", "A=1", "--", "true")
        let before = try names()
        Thread.sleep(forTimeInterval: 0.3)
        let first = try run()
        let new = try names().subtracting(before)
        guard new.count == 1, let name = new.first else {
            throw TestFailure("\(new.count) commands were kept: \(first.errors)")
        }
        return try Cloche.home.get() + "/prepared/" + name
    }

    /// Whether `cloche` carries out a command by what is kept of it, without the program that works it out.
    static func isUsed(_ arguments: String...) throws -> Bool {
        let traced = try StartedCommand(
            tracer, ["-f", "-e", "trace=execve", "-o", "/dev/stderr", try Cloche.program()] + arguments,
            environment: ["CLOCHE_HOME": try Cloche.home.get()]
        ).wait()
        guard traced.status == 0 else { throw TestFailure(traced.errors) }
        return !traced.errors.contains("cloche-commands")
    }
}

extension EndToEnd {
    /// What is kept of one command for the next may make that faster, and nothing else.
    @Suite("Prepared commands", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PreparedCommands {
        @Test(
            "the second command of a kind does without the program that works it out",
            .enabled(if: KeptCommands.canBeTraced, "strace(1) is not installed"))
        func isUsed() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            #expect(try KeptCommands.isUsed("exec", "--policy", policy.name, "--", "true"))
        }

        @Test("a document that is changed, replaced or removed counts at once")
        func policyChanges() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "sh", "-c", "flock /tmp true && echo may") }
            #expect(try policy.exec("--", "sh", "-c", "flock /tmp true && echo may").output == "may\n")
            let handle = try #require(FileHandle(forWritingAtPath: policy.path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data("seccomp: {deny: [flock]}\n".utf8))
            try handle.close()
            let changed = try policy.exec("--", "sh", "-c", "flock /tmp true && echo may")
            #expect(changed.output == "" && changed.status != 0, "\(changed.errors)")
            #expect(changed.errors.contains("flock"), "\(changed.errors)")
            try Data("extends: default\nlimits: {open_files: 77}\n".utf8).write(
                to: URL(filePath: policy.path), options: .atomic)
            #expect(try policy.exec("--", "sh", "-c", "ulimit -n").output == "77\n")
            try FileManager.default.removeItem(atPath: policy.path)
            let removed = try policy.exec("--", "true")
            #expect(removed.status == 5, "\(removed.errors)")
        }

        @Test("a document in the place of the one that another extends counts at once")
        func baseChanges() throws {
            let base = try PolicyFile("extends: default\n")
            let policy = try PolicyFile("extends: \(base.name)\n")
            let place = try KeptCommands.prepare { try policy.exec("--", "sh", "-c", "ulimit -n") }
            let before = try policy.exec("--", "sh", "-c", "ulimit -n").output
            try Data("extends: default\nlimits: {open_files: 66}\n".utf8).write(
                to: URL(filePath: base.path), options: .atomic)
            #expect(before != "66\n")
            #expect(try policy.exec("--", "sh", "-c", "ulimit -n").output == "66\n")
            #expect(FileManager.default.fileExists(atPath: place))
        }

        @Test("a kept command that was damaged, or that others could have written, is worked out anew")
        func damage() throws {
            let policy = try PolicyFile("extends: default\nlimits: {open_files: 55}\n")
            let place = try KeptCommands.prepare { try policy.exec("--", "sh", "-c", "ulimit -n") }
            let whole = try Data(contentsOf: URL(filePath: place))
            for position in [0, 9, 40, whole.count / 3, whole.count / 2, whole.count - 1] {
                var bytes = whole
                bytes[position] ^= 0x10
                try bytes.write(to: URL(filePath: place))
                #expect(try policy.exec("--", "sh", "-c", "ulimit -n").output == "55\n", "byte \(position)")
            }
            for length in [0, 7, 100, whole.count - 8] {
                try whole.prefix(length).write(to: URL(filePath: place))
                #expect(try policy.exec("--", "sh", "-c", "ulimit -n").output == "55\n", "\(length) bytes")
            }
        }

        @Test("what is kept under another's key is never carried out")
        func otherKey() throws {
            let loose = try PolicyFile("extends: default\nlimits: {open_files: 44}\n")
            let strict = try PolicyFile("extends: default\nlimits: {open_files: 33}\n")
            let open = try KeptCommands.prepare { try loose.exec("--", "sh", "-c", "ulimit -n") }
            let closed = try KeptCommands.prepare { try strict.exec("--", "sh", "-c", "ulimit -n") }
            try FileManager.default.removeItem(atPath: closed)
            try FileManager.default.copyItem(atPath: open, toPath: closed)
            #expect(try strict.exec("--", "sh", "-c", "ulimit -n").output == "33\n")
        }

        @Test(
            "what others may write, own or lead elsewhere is not believed",
            .enabled(if: KeptCommands.canBeTraced, "strace(1) is not installed"))
        func ownership() throws {
            let policy = try PolicyFile("extends: default\n")
            let place = try KeptCommands.prepare { try policy.exec("--", "true") }
            let directory = URL(filePath: place).deletingLastPathComponent().path
            func isUsed() throws -> Bool { try KeptCommands.isUsed("exec", "--policy", policy.name, "--", "true") }
            #expect(try isUsed())
            // The command that is worked out anew replaces the file, not the directory.
            func check(_ path: String, _ change: (String) throws -> Void, _ back: (String) throws -> Void) throws {
                let content = try Data(contentsOf: URL(filePath: place))
                try change(path)
                #expect(try !isUsed(), "\(path)")
                try back(path)
                try? FileManager.default.removeItem(atPath: place)
                try content.write(to: URL(filePath: place))
                chmod(place, 0o600)
                #expect(try isUsed(), "\(path)")
            }
            for (path, mode) in [(place, 0o600), (directory, 0o700)] as [(String, mode_t)] {
                try check(path, { chmod($0, mode | 0o020) }, { chmod($0, mode) })
                try check(path, { chmod($0, mode | 0o002) }, { chmod($0, mode) })
                if Cloche.isRoot { try check(path, { chown($0, 4711, 0) }, { chown($0, 0, 0) }) }
                let aside = directory + ".aside"
                try check(
                    path,
                    {
                        try FileManager.default.moveItem(atPath: $0, toPath: aside)
                        try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: aside)
                    },
                    {
                        try FileManager.default.removeItem(atPath: $0)
                        try FileManager.default.moveItem(atPath: aside, toPath: $0)
                    })
            }
            // Nobody writes to it: an open that waits for that would wait for ever.
            try check(
                place,
                {
                    try FileManager.default.removeItem(atPath: $0)
                    mkfifo($0, 0o600)
                }, { _ in })
        }

        @Test("what is wrong with the store is told as the first time")
        func brokenStore() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            let register = try Cloche.home.get() + "/sandboxes"
            try FileManager.default.moveItem(atPath: register, toPath: register + ".aside")
            try Data().write(to: URL(filePath: register))
            let kept = try policy.exec("--", "true")
            let anew = try policy.exec("--env-var", "A=1", "--", "true")
            try FileManager.default.removeItem(atPath: register)
            try FileManager.default.moveItem(atPath: register + ".aside", toPath: register)
            #expect(kept.status == anew.status && kept.status != 0)
            #expect(kept.errors == anew.errors && kept.errors.contains("sandboxes"), "\(kept.errors)")
        }

        @Test("neither secrets nor variables that may be some are kept")
        func secrets() throws {
            let before = try KeptCommands.names()
            Thread.sleep(forTimeInterval: 0.3)
            let value = UUID().uuidString
            for _ in 0..<2 {
                let result = try Cloche.run("exec", "--env-var", "TOKEN=\(value)", "--", "sh", "-c", "echo $TOKEN")
                #expect(result.output == value + "\n")
            }
            let secret = "kept-\(UUID().uuidString.prefix(8).lowercased())"
            let input = Pipe()
            try input.fileHandleForWriting.write(contentsOf: Data(value.utf8))
            try input.fileHandleForWriting.close()
            #expect(try Cloche.run("secret", "set", secret, stdin: input.fileHandleForReading).status == 0)
            defer { _ = try? Cloche.run("secret", "rm", secret, "--yes") }
            Thread.sleep(forTimeInterval: 0.3)
            for _ in 0..<2 {
                let result = try Cloche.run("exec", "--secret", "\(secret)=TOKEN", "--", "sh", "-c", "echo $TOKEN")
                #expect(result.output == value + "\n", "\(result.errors)")
            }
            #expect(try KeptCommands.names() == before)
        }

        @Test("refusals and failures are told as the first time")
        func telling() throws {
            let policy = try PolicyFile("extends: default\n")
            let program = "import socket\nsocket.socket(16, 3, 9)"
            let first = try policy.exec("--", "python3", "-c", program)
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            let second = try policy.exec("--", "python3", "-c", program)
            func told(_ result: CommandResult) -> [String] {
                result.errors.split(separator: "\n").filter { $0.hasPrefix("cloche:") || $0.hasPrefix("hint:") }.map {
                    String($0).replacing(/pid \d+/, with: "pid")
                }
            }
            #expect(told(first).contains { $0.contains("AF_NETLINK") }, "\(first.errors)")
            #expect(told(first) == told(second))
            #expect(first.status == second.status)
            #expect(try policy.exec("--", "no-such-program").status == 127)
            #expect(try policy.exec("--", "/etc/passwd").status == 126)
            #expect(try policy.exec("--", "sh", "-c", "exit 7").status == 7)
        }

        @Test("what is shown beside has to be there each time")
        func binds() throws {
            let policy = try PolicyFile("extends: default\n")
            let directory = try TemporaryDirectory()
            try directory.write("one\n", to: "shown/file")
            let shown = directory.path + "/shown"
            func cat() throws -> CommandResult {
                try policy.exec("--bind-ro", "\(shown):/mnt/it", "--", "cat", "/mnt/it/file")
            }
            _ = try KeptCommands.prepare(cat)
            try directory.write("two\n", to: "shown/file")
            #expect(try cat().output == "two\n")
            try FileManager.default.removeItem(atPath: shown)
            let missing = try cat()
            #expect(missing.status == 5 && missing.errors.contains("no such file"), "\(missing.errors)")
        }
    }
}
