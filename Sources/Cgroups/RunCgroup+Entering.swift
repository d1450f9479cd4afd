import LinuxSystem
import SystemPackage

/// The descriptors by which a process gets into the steps' groups, lent while the `RunCgroup` lives.
///
/// They are close-on-exec; the right to use them goes with them, whoever the process is that inherits them.
package struct StepsEntry: Sendable, Hashable {
    /// Lists of trees of version 1: a process that writes `0` to each has entered, and its children are in from the
    /// start.
    package let lists: [CInt]
    /// The list of the tree of version 2, to be written like the others.
    package let unifiedList: CInt?
    /// The directory of the group of version 2, for CLONE_INTO_CGROUP instead of writing to its list.
    package let unifiedDirectory: CInt?

    /// Every list.
    package var allLists: [CInt] { lists + (unifiedList.map { [$0] } ?? []) }
}

extension RunCgroup {
    /// How another process enters the steps' groups.
    package var stepsEntry: StepsEntry {
        let unified = hierarchies.first { $0.generation == .v2 }
        return StepsEntry(
            lists: hierarchies.filter { $0.generation == .v1 }.map(\.stepsList.number),
            unifiedList: unified?.stepsList.number, unifiedDirectory: unified?.steps.descriptor.number)
    }

    /// Moves the calling process, with all its threads, into the steps' groups.
    ///
    /// Children that it makes from now on are there too. On failure it is back where the run's maker was.
    package func enterSteps() throws(CgroupError) { try enter(\.stepsList, CgroupName.steps) }

    /// Moves the calling process, with all its threads, into the supervisor's groups; on failure as `enterSteps()`.
    package func enterSupervisor() throws(CgroupError) { try enter(\.supervisorList, CgroupName.supervisor) }

    /// Moves the calling process out, to where the run's maker was when the host was probed.
    package func leave() throws(CgroupError) {
        for hierarchy in hierarchies {
            do throws(SyscallError) {
                try hierarchy.homeList.write("0")
            } catch {
                throw CgroupError(
                    "leave control group", hierarchy.run.path.string, reason: "\(error)", errno: error.errno)
            }
        }
    }

    private func enter(_ list: KeyPath<RunHierarchy, CgroupFile>, _ leaf: String) throws(CgroupError) {
        for hierarchy in hierarchies {
            do throws(SyscallError) {
                try hierarchy[keyPath: list].write("0")
            } catch {
                let failure = CgroupError(
                    "enter control group", hierarchy.run.path.appending(leaf).string, reason: "\(error)",
                    errno: error.errno, hint: CgroupObstacle(error, generation: hierarchy.generation).remedy)
                // The first failure tells more than one of going back, which leaves the process in harmless groups.
                try? leave()
                throw failure
            }
        }
    }
}
