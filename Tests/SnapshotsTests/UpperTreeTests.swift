import Glibc
import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct UpperTreeTests {
    private static let tree = """
        set -e
        mkdir -p d/sub/deep e keep gone
        echo one > d/one; echo two > d/two; echo deep > d/sub/deep/file; echo k > keep/k; echo g > gone/g
        echo pair > pair1; ln pair1 pair2; ln pair1 pair3; ln -s d link; echo e > e/e; echo f > f
        """

    /// What a run may do to its project, each as a script; the view and what is computed have to agree.
    static let scripts = [
        "true",
        "echo changed > d/one; rm d/two; mkdir new; echo n > new/n",
        "rm -r d; mkdir d; echo other > d/other",
        "rm -r d; echo file > d",
        "rm f; mkdir f; echo x > f/x",
        "rm pair1", "echo changed > pair1", "rm pair1 pair2", "rm -r gone; chmod 700 keep; touch -d @7 keep/k",
        "mv d/sub moved || true; rm link; ln -s e link",
        "mkdir -p e/.x; chmod 600 e/e; echo y > ...; rm -r e; mkdir e; mkdir e/e",
        "rm -rf ./* ; echo only > only",
    ]

    @Test(.enabled(if: isRoot, "mounting needs root"), arguments: scripts)
    func `what a run left is read as its overlay mount shows it`(_ script: String) throws {
        try Scratch.with { scratch in
            for name in ["project", "upper", "work", "merged"] { try scratch.makeDirectory(name) }
            let made = try run(["sh", "-c", Self.tree], in: scratch, at: "project")
            try #require(made.exitCode == 0, "\(made.errors)")
            let report = try scratch.capture()
            let base = try scratch.store().manifest(of: report.snapshot.identity)
            let layer = report.snapshot.layers[0]
            try onPrivateThread {
                try enterPrivateMounts()
                try Syscall.mount(
                    source: "overlay", target: scratch.at("merged"), type: "overlay",
                    data: "lowerdir=\(layer),upperdir=\(scratch.at("upper")),workdir=\(scratch.at("work")),userxattr")
                let changed = try run(["sh", "-c", script], in: scratch, at: "merged")
                #expect(changed.exitCode == 0, "\(changed.errors)")
                let view = try scratch.open("merged")
                let shown = try SnapshotStore.read(tree: view.number, monitor: CaptureMonitor { _ in .proceed }).0
                let upper = try scratch.open("upper")
                let merged = try UpperTree(reading: upper.number).merged(over: base)
                let differences = SnapshotDifference.between(shown, merged)
                #expect(differences.map(\.description) == [], "\(script)")
            }
        }
    }

    @Test func `links and attributes of a hostile upper lead nowhere`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/d/a", "x")
            let base = try scratch.store().manifest(of: try scratch.capture().snapshot.identity)
            try scratch.makeDirectory("upper/d")
            try Syscall.symlink("/etc", scratch.at("upper/out"))
            mkfifo(scratch.at("upper/pipe").string, 0o600)
            let directory = try scratch.open("upper/d")
            for name in ["user.overlay.redirect", "user.overlay.metacopy", "user.overlay.origin"] {
                try Syscall.setAttribute(TerminatedName(name.utf8), of: directory.number, Array("/etc".utf8))
            }
            let upper = try scratch.open("upper")
            let tree = try UpperTree(reading: upper.number)
            let merged = tree.merged(over: base)
            #expect(merged.entries.map { displayName($0.path) } == [".", "d", "d/a", "out"])
            #expect(merged.entries.allSatisfy { $0.attributes.isEmpty })
            #expect(tree.special.map(\.kind) == [.fifo])
        }
    }
}
