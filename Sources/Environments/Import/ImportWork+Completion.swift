import LinuxSystem
import PlainText
import SystemPackage

extension ImportWork {
    private static let standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Completes the tree, takes stock of it, and describes it.
    func complete(
        _ origin: ImageOrigin, _ defaults: ImageDocument.Configuration.Defaults?
    ) throws(BuildError) -> BuildRecord {
        begin(.complete)
        var variables = variables(defaults?.Env ?? [])
        let path = variables["PATH"] ?? Self.standardPath
        // The home of root is of no use to others.
        if let home = variables["HOME"], home == "/root" || home == "/" || !home.hasPrefix("/") {
            variables["HOME"] = nil
        }
        let task = UnpackRequest.Task.complete(
            path: path, home: variables["HOME"], directory: origin.workingDirectory)
        let command = UnpackCommand(directory: paths.tree, task: task)
        let answer = try executing { () throws in
            try builder.executor.unpack(command, isCancelled: isCancelled, output: { _ = self.write($0) }) { _ in }
        }
        let findings: TreeFindings
        switch answer {
        case .completed(let found): findings = found
        case .failed(let error): throw .image(ImportError("the image", error))
        case .unpacked: throw .executor(.complete, "the archive's reader gave the wrong answer")
        }
        var origin = origin
        origin.system = findings.system
        origin.suite = findings.suite
        var record = draft(origin)
        variables["HOME"] = findings.home
        variables["PATH"] = path
        record.variables = variables
        record.interpreters = findings.interpreters
        if let system = findings.system { record.title = "\(system), \(record.title)" }
        if findings.addedUser { say("the user 1000 was added to /etc/passwd") }
        notes = unpackNotes + notes
        if findings.interpreters.isEmpty { notes.append("no interpreter was found: neither a shell nor Python") }
        try takeStock(&record)
        return record
    }

    /// What the image sets for everything that runs in it; a name that no shell could set is left out.
    private func variables(_ entries: [String]) -> [String: String] {
        var variables: [String: String] = [:]
        var left: [String] = []
        for entry in entries.prefix(1000) {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
            if parts.count == 2, isVariableName(parts[0]), !parts[1].utf8.contains(0), parts[1].utf8.count < 65536 {
                variables[parts[0]] = parts[1]
            } else {
                left.append(printable(parts[0], limit: 60))
            }
        }
        if !left.isEmpty { notes.append("variables left out: " + left.prefix(5).joined(separator: ", ")) }
        return variables
    }

    private func takeStock(_ record: inout BuildRecord) throws(BuildError) {
        begin(.inspect)
        let root = NamespaceCommand.mountPoint
        let size = try ask(["du", "--summarize", "--one-file-system", "--block-size=1", root])
        record.size = Int64(size.output.prefix { $0.isASCII && $0.isNumber }) ?? 0
        if record.image?.suite != nil {
            let list = "--showformat=${Package} ${Version}\\n"
            let packages = try ask(["dpkg-query", "--admindir=\(root)/var/lib/dpkg", "--show", list])
            // A list of packages that cannot be read is the image's own affair.
            if packages.outcome.succeeded {
                record.packages = packages.output.split(separator: "\n").prefix(20000).map {
                    printable(String($0), limit: 120)
                }
            }
        }
        // A record must not outlive a power cut that its tree does not.
        let synced = try ask(["sync", "--file-system", root])
        for answer in [size, synced] where !answer.outcome.succeeded {
            throw .stage(.inspect, answer.outcome, line: nil, log: nil)
        }
    }

    /// What a program of the host says of the tree.
    private func ask(_ arguments: [String]) throws(BuildError) -> (outcome: CommandOutcome, output: String) {
        var output: [UInt8] = []
        let outcome = try executing { () throws in
            try builder.executor.run(
                BuildPlan.hostCommand(arguments, paths), isCancelled: isCancelled,
                output: { if output.count < 4 << 20 { output += $0 } })
        }
        if isCancelled() { throw .cancelled }
        return (outcome, String(decoding: output, as: UTF8.self))
    }
}
