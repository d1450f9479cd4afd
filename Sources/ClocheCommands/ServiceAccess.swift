import ArgumentParser
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import SystemPackage
import TerminalOutput

extension CommandContext {
    /// Where the service of the store is found.
    static func servicePlace() throws -> ServicePlace {
        ServicePlace(try storePath(), runtime: runtimeDirectory)
    }

    /// The user's directory for sockets, where there is one.
    static var runtimeDirectory: FilePath? {
        environmentVariable("XDG_RUNTIME_DIR").flatMap { $0.hasPrefix("/") ? FilePath($0) : nil }
    }

    /// Lets the service look at what has changed; false where none runs.
    static func wakeService() -> Bool {
        guard let service = try? ServiceClient.connect(servicePlace()) else { return false }
        // One that ends meanwhile looks at everything when it is started again.
        return (try? service.wake()) != nil
    }
}

/// The option of commands that need not wait for what they begin.
struct DetachOption: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Leave it to the service, and print the job's name at once.")
    var detach = false

    /// Refuses, before anything is made, what is left to the service when there is none, or one that is ending.
    func check(_ purpose: String) throws {
        let place = try CommandContext.servicePlace()
        guard detach else {
            try ServiceClient.connect(place)?.requireStarting(purpose)
            return
        }
        let purpose = purpose + " detached"
        try ServiceClient.require(place, for: purpose).requireStarting(purpose)
    }

    /// Tells the service of a job, and prints the job's name.
    func handOver(_ job: JobRecord, _ context: CommandContext, _ store: Store, json: Bool) throws {
        // One that has ended meanwhile goes on with the job when it is started again.
        // The job is in the store, where a service that does not answer now finds it.
        let isTaken = try? ServiceClient.connect(CommandContext.servicePlace())?.takeUp(job.uuid)
        if json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        try context.print(job.name.description)
        context.say(
            (isTaken ?? true ? "the service goes on with it" : "the process that drives it goes on with it")
                + "; follow it by `cloche watch \(shellWord(job.name.description))`")
    }
}
