/// What happens during a build, for a live display.
package enum BuildEvent: Sendable, Hashable {
    /// Another build runs, of the same environment or for the same user of a service; this one waits for it.
    case waiting
    /// A stage begins: which, its number from 1, and how many there are.
    case stage(BuildPlan.Stage, number: Int, of: Int)
    /// How much of what the stage reads it has read, in bytes; the whole where it is known.
    case progress(done: Int64, of: Int64?)
    /// Output of the stage, without passwords.
    case output([UInt8])
    /// The build in force was made from the same inputs: nothing was built.
    case unchanged
}
