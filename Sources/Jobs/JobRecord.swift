package import Isolation

/// What the database knows of a job.
package struct JobRecord: Sendable, Hashable {
    /// Its place in the order of creation; a page of older jobs begins below it.
    package var sequence: Int64
    /// Its identity.
    package var uuid: JobID
    /// What its author calls it.
    package var name: JobName
    /// The user id of its owner.
    package var owner: UInt32
    /// Where it is in its life.
    package var state: JobState
    /// How many runs it has in which state, deleted ones included.
    package var counts: JobCounts
    /// How many of its runs were deleted.
    package var removed: Int
    /// Where its project came from.
    package var project: JobDocument.Project
    /// The file of its pipeline, from the project's directory.
    package var pipelinePath: String
    /// What its pipeline is called.
    package var pipelineName: String
    /// What its policy is called.
    package var policyName: String
    /// What its author asked for beside its runs.
    package var options: JobOptions
    /// When its runs are made; nil is when it is started.
    package var schedule: JobSchedule?
    /// How many batches of runs it has had made.
    package var batches: Int
    /// How many runs a batch has; nil for a job of one batch.
    package var batchSize: Int?
    /// When its next batch is due; nil when none is made by itself.
    package var next: Timestamp?
    /// When that was worked out.
    package var nextDecided: Timestamp?
    /// The times of its schedule for which no batch was made because runs went on; nil for none.
    package var skipped: JobBatches.Skipped?
    /// When it was made.
    package var created: Timestamp
    /// When its first run started.
    package var started: Timestamp?
    /// When it ended; set exactly in the end states.
    package var finished: Timestamp?
    /// Since when its time counts; nil while nothing of it goes on.
    package var clock: Timestamp?
    /// When its time was over, which cancelled it.
    package var timedOut: Timestamp?
    /// When it was cancelled; it ends when its running runs have stopped.
    package var cancelled: Timestamp?

    /// The record of a new job without runs.
    package init(sequence: Int64, document: JobDocument) {
        self.sequence = sequence
        uuid = document.uuid
        name = document.name
        owner = document.owner
        state = document.will.confirmed == nil ? .draft : .pending
        counts = JobCounts()
        removed = 0
        project = document.project
        pipelinePath = document.pipeline.path
        pipelineName = document.pipeline.name
        policyName = document.policy.name
        options = document.options
        schedule = document.schedule
        batches = document.batches.made
        batchSize = document.batchSize > 0 ? document.batchSize : nil
        nextDecided = document.batches.decided
        skipped = document.batches.skipped
        next = document.will.cancelled == nil ? document.batches.next : nil
        created = document.created
    }

    /// The life of the job so far.
    package var lifecycle: JobLifecycle {
        JobLifecycle(
            state: state, counts: counts, isCancelled: cancelled != nil, isTimedOut: timedOut != nil,
            hasStarted: started != nil,
            awaitsBatches: next != nil, options: options)
    }

    /// The batch to which the run of that number belongs, and the number that it has there; both from 0.
    package func place(ofRun number: Int) -> (batch: Int, index: Int) {
        guard let batchSize, batchSize > 0 else { return (0, number) }
        return (number / batchSize, number % batchSize)
    }
}
