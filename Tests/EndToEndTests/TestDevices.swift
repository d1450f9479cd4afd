import Foundation

/// A host with devices of its own for tests: a mount namespace in which `/dev` is another one, with the usual harmless
/// nodes and those that a test makes.
///
/// Behind the numbers of graphics processors there is no driver here: whoever opens such a node gets ENXIO, and EACCES
/// where devices have no effect.
final class TestDevices {
    let directory: TemporaryDirectory

    private static let script = """
        set -e
        mount -t tmpfs -o mode=0755 devices "$0/dev"
        cd "$0/dev"
        for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
            set -- $node "$@"; mknod -m 0666 $1 c $2 $3; shift 3
        done
        mkdir net pts shm; ln -s pts/ptmx ptmx
        mknod -m 0666 net/tun c 10 200
        mount --rbind /dev/pts pts
        . "$0/prepare"
        mount --rbind "$0/dev" /dev
        cd /
        exec "$@"
        """

    /// `prepare` is a shell script that makes nodes in the current directory, `$0/dev`.
    init(_ prepare: String) throws {
        directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        try FileManager.default.createDirectory(
            atPath: directory.path + "/dev", withIntermediateDirectories: false)
        try directory.write(prepare + "\n", to: "prepare")
    }

    /// Runs `cloche` on this host.
    func cloche(_ arguments: String...) throws -> CommandResult { try run(arguments) }

    /// The same.
    func run(_ arguments: [String]) throws -> CommandResult {
        try StartedCommand(
            "/usr/bin/unshare",
            ["--mount", "--propagation", "private", "/bin/sh", "-c", Self.script, directory.path, try Cloche.program()]
                + arguments, environment: ["CLOCHE_HOME": try Cloche.home.get()]
        ).wait()
    }
}
