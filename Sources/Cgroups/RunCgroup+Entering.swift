import LinuxSystem

/// The descriptors by which a process gets into the groups of a run, lent while the `RunCgroup` lives.
///
/// They are close-on-exec; the right to use them goes with them, whoever the process is that inherits them.
package struct StepsEntry: Sendable, Hashable {
    /// Lists of trees of version 1 (`tasks`): a process with a single thread that writes `0` to each has entered, and its
    /// children are in from the start.
    package let lists: [CInt]
    /// The list of the tree of version 2, to be written like the others.
    package let unifiedList: CInt?
    /// The directory of the group of version 2, for CLONE_INTO_CGROUP instead of writing to its list.
    package let unifiedDirectory: CInt?

    /// No group at all.
    package static let none = StepsEntry(lists: [], unifiedList: nil, unifiedDirectory: nil)

    /// Every list.
    package var allLists: [CInt] { lists + (unifiedList.map { [$0] } ?? []) }
}

extension RunCgroup {
    /// How another process enters the run's groups.
    package var stepsEntry: StepsEntry {
        let unified = hierarchies.first { $0.generation == .v2 }
        return StepsEntry(
            lists: hierarchies.filter { $0.generation == .v1 }.map(\.entry.number),
            unifiedList: unified?.entry.number, unifiedDirectory: unified?.group.descriptor.number)
    }
}
