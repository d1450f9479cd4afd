import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Runs
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "cancel", abstract: "End a job, or one run of it.")

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        if let run = target.run {
            try JobCancellation.cancel(store, run.address)
        } else {
            try JobCancellation.cancel(store, target.job.uuid)
        }
        let job = try await_(store, target)
        if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        context.say("\(target.run.map { "run \($0.address.number) of " } ?? "")job \(job.name): cancelled")
    }

    /// Running steps get a few seconds from whoever drives the job; this waits for them, but not for ever.
    private func await_(_ store: Store, _ target: Target) throws -> JobRecord {
        let deadline = Syscall.monotonicSeconds() + 15
        while Syscall.monotonicSeconds() < deadline {
            let job = try store.database.job(target.job.uuid)
            let done = try target.run.map { try store.database.run($0.address).state.isFinal } ?? job.state.isFinal
            if done { return job }
            _ = try Syscall.poll([], milliseconds: 50)
        }
        return try store.database.job(target.job.uuid)
    }
}

struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a job or a run for good, with its files and logs.", aliases: ["remove"])

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        let confirmation = Confirmation.standard(isGranted: yes, streams: context.streams)
        if let run = target.run {
            try confirmation.require(
                "remove run \(run.address.number) of job `\(target.job.name)` with its files and logs?")
            try store.change(target.job.uuid) { document in
                try store.database.delete(run.address)
                document.will.remove(RunNumbers([run.address.number]), endedAs: run.state)
            }
            try store.removeTree(String(run.address.number), in: store.runsDirectory(target.job.uuid))
            return context.say("removed run \(run.address.number) of job \(target.job.name)")
        }
        try confirmation.require(
            "remove the job `\(target.job.name)` with its \(counted(target.job.counts.total, "run"))?",
            details: ["logs and files of the runs are removed; what they wrote to a shared /data stays"])
        // What is pending of a job that nobody drives would never be made.
        if !target.job.state.isFinal, target.job.state != .draft, !JobLock.isHeld(store, target.job.uuid) {
            _ = try store.database.apply(
                .cancel, to: target.job.uuid, at: Timestamp(seconds: Syscall.wallClockSeconds()))
        }
        // Who makes runs of it, or copies it, comes first.
        let lock = try store.lockDocument(target.job.uuid)
        defer { withExtendedLifetime(lock) {} }
        try JobRemoval.remove(target.job.uuid, from: store)
        context.say("removed job \(target.job.name)")
    }
}
