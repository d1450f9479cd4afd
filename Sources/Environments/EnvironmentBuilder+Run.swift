import FoundationEssentials
import LinuxSystem
import PlainText
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension EnvironmentBuilder {
    /// Makes what is asked for under the lock of its name, or returns what is in force and was made from the same inputs.
    func build(
        _ request: BuildRequest, isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws(BuildError) -> BuildRecord {
        var waited = false
        let lock = try stored { () throws(StoreError) in
            try store.lock(request.name, isCancelled: isCancelled) {
                waited = true
                report(.waiting)
            }
        }
        guard let lock else { throw .cancelled }
        // The lock ends with the descriptor, at the end of this function.
        defer { _ = lock.number }
        // A damaged record does not keep its environment from being built again.
        let current = try? store.current(request.name)
        if let current, current.inputs == request.draft.inputs, waited || !request.refresh,
            (try? store.requireSound(current)) != nil
        {
            report(.unchanged)
            return current
        }
        let staged = try stored { () throws(StoreError) in try store.stage() }
        let directory = staged.directory
        do throws(BuildError) {
            return try finish(staged, request, isCancelled: isCancelled, report: report)
        } catch {
            let failure = keepingLog(error, request.name, directory)
            // What cannot be removed now is found again by `removeAbandoned`.
            try? discard(directory)
            throw failure
        }
    }

    private func finish(
        _ staged: consuming StagedBuild, _ request: BuildRequest, isCancelled: () -> Bool,
        report: (BuildEvent) -> Void
    ) throws(BuildError) -> BuildRecord {
        var record = request.draft
        let time = now()
        record.nonce = staged.directory.lastComponent?.string
        record.created = Date(timeIntervalSince1970: Double(time)).formatted(.iso8601)
        if let prepared = try prepare(request, staged.paths) {
            let paths = staged.paths
            try stored { () throws(StoreError) in
                try store.write(prepared.configuration, below: paths.configuration, mode: 0o644)
                try store.write(prepared.recipe, below: paths.recipe, mode: 0o755)
            }
            try checkHost(for: prepared.plan, of: request)
            let inventory = try run(prepared, log: staged.log, isCancelled: isCancelled, report: report)
            record.size = inventory.size
            record.privilegedFiles = inventory.privilegedFiles
            if !inventory.packages.isEmpty { record.packages = inventory.packages }
            record.interpreters.merge(inventory.interpreters) { known, _ in known }
            record.content = try takeContent(staged.directory, isCancelled: isCancelled)
        }
        try clear(staged.paths)
        let result = try identified(record, hasTree: record.content != nil)
        try store(staged, result, request.name)
        return result
    }

    func store(
        _ staged: consuming StagedBuild, _ record: BuildRecord, _ name: EnvironmentName
    ) throws(BuildError) {
        do throws(StoreError) {
            let held = try store.publish(staged, record)
            try store.putIntoForce(name, record)
            withExtendedLifetime(held) {}
            try store.clearFailure(of: name)
        } catch {
            throw .store(error)
        }
    }

    /// Refuses what this host cannot carry out, before minutes are spent on what comes before it.
    private func checkHost(for plan: BuildPlan, of request: BuildRequest) throws(BuildError) {
        // A base is known by its name, and what its project calls an environment is its title.
        let name = if case .base = request.work { request.name.text } else { request.draft.title }
        for case (let stage, .sandbox(let command)) in plan.steps.map({ ($0.stage, $0.command) }) {
            if let obstacle = executor.obstacle(to: command) { throw .host(stage, of: name, obstacle) }
        }
    }

    private func run(
        _ prepared: PreparedBuild, log path: FilePath, isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws(BuildError) -> Inventory {
        let file = try create(path)
        defer { _ = file.number }
        var log = BuildLog(file.number, secrets: prepared.secrets)
        var inventory = Inventory()
        let stages = prepared.plan.stages
        var shown: BuildPlan.Stage?
        for note in prepared.notes { report(.output(log.write(Array("\(note)\n".utf8)))) }
        for (index, step) in prepared.plan.steps.enumerated() {
            if shown != step.stage, let number = stages.firstIndex(of: step.stage) {
                report(.stage(step.stage, number: number + 1, of: stages.count))
                report(.output(log.write(Array("== \(step.stage)\n".utf8))))
                shown = step.stage
            }
            let outcome = try run(
                step, &log, &inventory, staging: path.removingLastComponent(), isCancelled: isCancelled, report: report)
            let rest = log.finish()
            if !rest.isEmpty { report(.output(rest)) }
            if let failure = log.failure { throw .store(.system(failure)) }
            if isCancelled() || !outcome.succeeded {
                keepPackages(
                    after: index, of: prepared.plan, staging: path.removingLastComponent(), isCancelled: isCancelled)
            }
            if isCancelled() { throw .cancelled }
            guard outcome.succeeded else {
                let line = step.stage == .setup ? prepared.failedLine(log.tail) : nil
                if line == nil, let failure = CommandOutcome.notStarted(outcome.status, log.tail), failure.hint != nil {
                    throw .executor(step.stage, failure.why, hint: failure.hint)
                }
                var outcome = outcome
                outcome.said =
                    step.stage == .setup ? SetupScript.syntaxError(log: log.tail) : log.complaint
                throw .stage(step.stage, outcome, line: line, log: path)
            }
        }
        return inventory
    }

    func create(_ log: FilePath) throws(BuildError) -> OwnedFileDescriptor {
        do throws(SyscallError) {
            return try Syscall.open(log, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        } catch {
            throw .store(.system(error))
        }
    }

    private func run(
        _ step: BuildPlan.Step, _ log: inout BuildLog, _ inventory: inout Inventory, staging: FilePath,
        isCancelled: () -> Bool, report: (BuildEvent) -> Void
    ) throws(BuildError) -> CommandOutcome {
        if let said = keepPackages(step.command, staging: staging, isCancelled: isCancelled) {
            report(.output(log.write(Array(said.utf8))))
            return CommandOutcome(status: 0)
        }
        var collected: [UInt8] = []
        var hasFailed = false
        let output = { (bytes: [UInt8]) in
            if step.output == .log {
                let visible = log.write(bytes)
                if !visible.isEmpty { report(.output(visible)) }
                hasFailed = log.failure != nil
            } else if collected.count < Inventory.limit {
                collected += bytes
            }
        }
        let outcome: CommandOutcome
        do {
            switch step.command {
            case .namespace(let command):
                outcome = try executor.run(command, isCancelled: { hasFailed || isCancelled() }, output: output)
            case .sandbox(let command):
                outcome = try executor.run(command, isCancelled: { hasFailed || isCancelled() }, output: output)
            case .packages, .pipFiles:
                outcome = CommandOutcome(status: 0)
            }
        } catch {
            throw .executor(step.stage, "\(error)")
        }
        inventory.take(collected, step.output)
        return outcome
    }

    func keepingLog(_ error: BuildError, _ name: EnvironmentName, _ directory: FilePath) -> BuildError {
        let kept = try? store.keepLog(of: name, directory.appending("build.log"))
        guard case .stage(let stage, let outcome, let line, _, _) = error else { return error }
        return .stage(stage, outcome, line: line, log: kept)
    }

    /// Removes what a build needs only while it is made.
    func clear(_ paths: BuildPaths) throws(BuildError) {
        try remove(tree: paths.work)
        for folder in [paths.configuration, paths.recipe] { try remove(own: folder) }
        try removeView(in: paths)
    }

    private func removeView(in paths: BuildPaths) throws(BuildError) {
        try removing { () throws(SyscallError) in
            let folder = try Syscall.open(paths.packages.removingLastComponent(), O_RDONLY | O_DIRECTORY)
            guard Syscall.exists(paths.packages) else { return }
            try TreeRemoval.remove(directory: folder.number, name: FilePath(BuildPaths.packagesName))
        }
    }

    /// Keeps what was fetched by what did not come to its end: the next attempt need not fetch it again.
    private func keepPackages(
        after index: Int, of plan: BuildPlan, staging: FilePath, isCancelled: () -> Bool
    ) {
        for step in plan.steps.dropFirst(index + 1) {
            var command = step.command
            if case .packages(var taking) = command {
                taking.isCutOff = true
                command = .packages(taking)
            }
            guard keepPackages(command, staging: staging, isCancelled: isCancelled) != nil else { return }
        }
    }

    /// Keeps packages for the next build; says in a line what came of it, for a build is as good without.
    ///
    /// Gives nil for a command that is not about that.
    private func keepPackages(
        _ command: BuildPlan.Command, staging: FilePath, isCancelled: () -> Bool
    ) -> String? {
        do {
            let count: Int
            let bytes: Int64
            switch command {
            case .packages(let taking): (count, bytes) = try store.packages.take(taking, now: now())
            case .pipFiles(let taking):
                guard executor.isOnline(taking.command) else { return "" }
                (count, bytes) = try withoutActuallyEscaping(isCancelled) { isCancelled in
                    try store.packages.take(
                        taking, settings: settings, scratch: staging, now: now(), isCancelled: isCancelled)
                }
            case .namespace, .sandbox: return nil
            }
            return count == 0 ? "" : "kept \(count) new packages for other builds, \(bytes) bytes\n"
        } catch is ChildProgram.Stopped {
            return ""
        } catch {
            return "kept no packages for other builds: \(error)\n"
        }
    }

    /// Removes a staging directory or a build.
    func discard(_ directory: FilePath) throws(BuildError) {
        // Without its record it is no build any more, whatever happens next.
        for name in [
            "build.json", "build.json.new", "build.log", StagedBuild.lockName, EnvironmentStore.contentName,
            EnvironmentStore.damagedName, PackageCache.incomingName,
        ] {
            try removing { () throws(SyscallError) in try Syscall.unlink(directory.appending(name)) }
        }
        let paths = BuildPaths(staging: directory)
        for folder in [paths.configuration, paths.recipe] { try remove(own: folder) }
        try removeView(in: paths)
        for folder in [paths.work, paths.tree] { try remove(tree: folder) }
        try removing { () throws(SyscallError) in try Syscall.unlink(directory, directory: true) }
    }

    /// Removes a directory that was only mounted read-only: all in it belongs to the caller.
    private func remove(own directory: FilePath) throws(BuildError) {
        try removing { () throws(SyscallError) in
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            for entry in try Syscall.directoryEntries(opened.number) {
                let path = directory.pushing(entry.path)
                guard try Syscall.lstat(path).isDirectory else {
                    try Syscall.unlink(path)
                    continue
                }
                let inner = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                for entry in try Syscall.directoryEntries(inner.number) {
                    try Syscall.unlink(entry.path, at: inner.number)
                }
                try Syscall.unlink(path, directory: true)
            }
            try Syscall.unlink(directory, directory: true)
        }
    }

    /// Removes a directory whose contents belong to ids of the namespace.
    private func remove(tree: FilePath) throws(BuildError) {
        guard Syscall.exists(tree) else { return }
        do {
            let outcome = try executor.run(
                BuildPlan.removal(of: tree), isCancelled: { false }, output: { _ in })
            guard outcome.succeeded else { throw BuildError.stage(.clean, outcome, line: nil, log: nil) }
        } catch let error as BuildError {
            throw error
        } catch {
            throw .executor(.clean, "\(error)")
        }
        try removing { () throws(SyscallError) in try Syscall.unlink(tree, directory: true) }
    }

    private func removing(_ body: () throws(SyscallError) -> Void) throws(BuildError) {
        do throws(SyscallError) {
            try body()
        } catch  where error.errno == .noSuchFileOrDirectory {
        } catch {
            throw .store(.system(error))
        }
    }

    func stored<Value: ~Copyable>(
        _ body: () throws(StoreError) -> Value
    ) throws(BuildError) -> Value {
        do throws(StoreError) {
            return try body()
        } catch {
            throw .store(error)
        }
    }
}

/// What the last commands of a build found out.
private struct Inventory {
    /// How many bytes of output are taken.
    static let limit = 4 << 20

    var size: Int64 = 0
    var privilegedFiles = 0
    var packages: [String] = []
    var interpreters: [String: String] = [:]

    mutating func take(_ bytes: [UInt8], _ output: BuildPlan.Output) {
        switch output {
        case .log: break
        case .privilegedFiles: privilegedFiles += bytes.count { $0 == 0x2E }
        case .size: size = Int64(String(decoding: bytes.prefix { (0x30...0x39).contains($0) }, as: UTF8.self)) ?? 0
        case .interpreters:
            for line in String(decoding: bytes.prefix(65536), as: UTF8.self).split(separator: "\n") {
                let words = line.split(separator: " ", maxSplits: 1)
                guard words.count == 2, Recipe.programs[String(words[0])] != nil, words[1].hasPrefix("/") else {
                    continue
                }
                interpreters[String(words[0])] = String(words[1])
            }
        case .packages:
            packages = String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix(20000).map { String($0) }
        }
    }
}

extension PreparedBuild {
    /// The line of the script that ended it, as far as the log tells.
    fileprivate func failedLine(_ log: [UInt8]) -> BuildError.ScriptLine? {
        guard let number = SetupScript.failedLine(log: log), number > 0 else { return nil }
        let lines = script.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard number <= lines.count else { return nil }
        let text = String(decoding: lines[number - 1], as: UTF8.self)
        return BuildError.ScriptLine(number: number, text: printable(trimmed(text), limit: 120))
    }
}
