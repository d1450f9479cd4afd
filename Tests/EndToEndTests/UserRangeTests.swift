import Foundation
import Testing

private let usersHaveRanges =
    (try? Cloche.run("system", "doctor").output.contains("each user of a shared service has some of his own")) ?? false

extension EndToEnd {
    @Suite(
        "The ids of a service's users", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making users needs root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "the helper for users needs /dev/net/tun"),
        .enabled(if: usersHaveRanges, "the file system of the store cannot show files as those of other ids"))
    struct UserRanges {
        private static let probe = """
            import os
            print("own", os.getuid(), oct(os.stat("/project-dir/private").st_mode & 0o777), open("/project-dir/private").read())
            print("environment", os.stat("/usr/bin/env").st_uid, os.stat("/home/jovyan").st_uid, open("/etc/hostname").read())
            open("/home/jovyan/mine", "w").write("thrown away")
            open("/data/mine", "w").write("kept")
            open("/project-dir/mine", "w").write("kept")

            """

        private static func owner(_ path: String) throws -> UInt32 {
            var status = stat()
            guard lstat(path, &status) == 0 else { throw TestFailure("there is no `\(path)`") }
            return status.st_uid
        }

        private static func project(_ text: String = probe) throws -> TestProject {
            let project = try TestProject([.init(file: "one.py", text: text)])
            try project.directory.write("secret", to: "private")
            chmod(project.path + "/private", 0o600)
            return project
        }

        @Test("each has a range of his own, and environments that are built once", .timeLimit(.minutes(4)))
        func apart() throws {
            let service = try SharedTestService()
            let (alice, bob, old) = (try service.user(), try service.user(), try service.user())
            let home = try Cloche.home.get()
            // One whose store is older than that has the ids of the service, for good.
            let before = "\(home)/owners/\(old.id)"
            try FileManager.default.createDirectory(atPath: before, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: home + "/identity.json", toPath: before + "/identity.json")
            try Data("{\"user\": \(old.id), \"name\": \"\(old.name)\"}".utf8).write(
                to: URL(filePath: before + "/owner.json"))

            let project = try Self.project()
            var ranges: Set<UInt32> = []
            for user in [alice, bob, old] {
                chown(project.path + "/private", uid_t(user.id), 0)
                let run = try user.run(["run", "main.orchest", "--name", "mine"], in: project.path)
                let log = try user.run(["logs", "mine/0", "--raw"]).output
                #expect(run.status == 0, "\(run.errors) \(log) \(service.log)")
                #expect(log.contains("own 1000 0o600 secret") && log.contains("environment 0 1000"), "\(log)")
                let store = "\(home)/owners/\(user.id)"
                let job = try #require(try user.run(["show", "mine", "--json"]).value("job", "uuid") as? String)
                let own = try Self.owner(store + "/data/shared/mine")
                #expect(try Self.owner("\(store)/runs/\(job)/0/attempts/1/project/mine") == own)
                let snapshot = try #require(
                    try (user.run(["snapshot", "ls", "--json"]).value("snapshots") as? [[String: Any]])?.first)
                let identity = try #require(snapshot["identity"] as? String)
                #expect(try Self.owner("\(store)/snapshots/\(identity)/tree/private") == own)
                ranges.insert(own - 1000)
                // A retry lies on what was written with them.
                #expect(try user.run(["diff", "mine/0"]).output.contains("mine"))
            }
            let identity =
                try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(filePath: home + "/identity.json"))) as? [String: Any]
            let first = try #require((identity?["users"] as? [[String: Any]])?.first?["outside"] as? UInt32)
            #expect(ranges.count == 3 && ranges.contains(first), "\(ranges)")
            #expect(
                ranges.allSatisfy { one in ranges.allSatisfy { $0 == one || max($0, one) - min($0, one) >= 65536 } })
            // Whoever runs the service sees that, and works with what is theirs.
            let status = try Cloche.run("system", "status").output
            #expect(status.contains("ids of their own"), "\(status)")
            let inside = try service.asOwner(
                alice, "exec", "--", "sh", "-c", "id -u; cat /data/mine; stat -c %u /usr/bin/env")
            #expect(inside.output.split(separator: "\n") == ["1000", "kept0"], "\(inside)")
            let again = try service.asOwner(
                alice, "exec", "--", "sh", "-c", "id -u; cat /data/mine; stat -c %u /usr/bin/env")
            #expect(again.output == inside.output, "\(again)")
        }

        @Test("a project's environment is built of files of its author's ids", .timeLimit(.minutes(4)))
        func build() throws {
            let service = try SharedTestService()
            let alice = try service.user()
            let project = try Self.project("print(open('/etc/copy').read())")
            let uuid = "11111111-0000-4000-8000-000000000002"
            try project.bringEnvironment(
                uuid, "set -e\ncat private > /etc/copy\nstat -c 'of %u' private\ntouch written\n")
            chown(project.path + "/private", uid_t(alice.id), 0)
            let run = try alice.run(["run", "main.orchest", "--name", "built"], in: project.path)
            #expect(run.status == 0 && run.errors.contains("of 1000"), "\(run.errors)")
            #expect(try alice.run(["logs", "built/0", "--raw"]).output == "secret\n")
            // The environment is the service's, whoever had it built.
            let home = try Cloche.home.get()
            let build =
                try (alice.run(["show", "built", "--json"]).value("environments") as? [String: [String: Any]])?
                .values.first?["build"] as? String
            let service0 = try Self.owner("\(home)/environments/builds/\(try #require(build))/tree/etc/copy")
            #expect(try Self.owner("\(home)/owners/\(alice.id)/runs") == 0)
            #expect(service0 != 0)
            let identity =
                try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(filePath: home + "/identity.json"))) as? [String: Any]
            #expect((identity?["users"] as? [[String: Any]])?.first?["outside"] as? UInt32 == service0)
        }
    }
}
