/// The order that a pipeline's connections put its steps into.
///
/// Steps are named by their identifiers. Where connections leave the order open, it is that of the file.
package struct StepGraph: Sendable {
    /// All steps, parents before their children.
    package let order: [String]
    /// The steps by the length of the longest way to them, from those without parents on; each level in file order.
    package let levels: [[String]]

    private let uuids: [String]
    private let indexByUUID: [String: Int]
    private let parentIndices: [[Int]]
    private let childIndices: [[Int]]
    /// The steps as numbers in the order of `order`.
    private let indexOrder: [Int]

    /// The graph of the steps of `pipeline`.
    package init(_ pipeline: Pipeline) {
        let uuids = pipeline.steps.map(\.uuid)
        let indexByUUID = Dictionary(uniqueKeysWithValues: uuids.enumerated().map { ($1, $0) })
        let parents = pipeline.steps.map { $0.incomingConnections.compactMap { indexByUUID[$0] } }
        var children = [[Int]](repeating: [], count: uuids.count)
        for (step, parents) in parents.enumerated() {
            for parent in parents { children[parent].append(step) }
        }
        var waiting = parents.map(\.count)
        var level = [Int](repeating: 0, count: uuids.count)
        var ready = SmallestFirst()
        for step in uuids.indices where waiting[step] == 0 { ready.insert(step) }
        var order: [Int] = []
        while let step = ready.removeSmallest() {
            order.append(step)
            for child in children[step] {
                waiting[child] -= 1
                level[child] = max(level[child], level[step] + 1)
                if waiting[child] == 0 { ready.insert(child) }
            }
        }
        var levels = [[String]](repeating: [], count: (level.max() ?? -1) + 1)
        for step in uuids.indices { levels[level[step]].append(uuids[step]) }
        self.uuids = uuids
        self.indexByUUID = indexByUUID
        parentIndices = parents
        childIndices = children
        indexOrder = order
        self.order = order.map { uuids[$0] }
        self.levels = levels
    }

    /// The steps whose data `step` reads, in the order of its connections.
    package func parents(of step: String) -> [String] {
        indexByUUID[step].map { parentIndices[$0].map { uuids[$0] } } ?? []
    }

    /// The steps that read the data of `step`, in file order.
    package func children(of step: String) -> [String] {
        indexByUUID[step].map { childIndices[$0].map { uuids[$0] } } ?? []
    }

    /// Every step that needs `step`, directly or not; without `step` itself.
    package func descendants(of step: String) -> Set<String> {
        guard let start = indexByUUID[step] else { return [] }
        var found: Set<Int> = []
        var pending = [start]
        while let next = pending.popLast() {
            for child in childIndices[next] where found.insert(child).inserted { pending.append(child) }
        }
        return Set(found.map { uuids[$0] })
    }

    /// The steps that may start now: neither finished nor running, with all their parents finished.
    ///
    /// - Parameters:
    ///   - finished: The steps that ended successfully.
    ///   - running: The steps that were started and have not ended.
    ///   - limit: How many steps may run at the same time; nil for any number.
    /// - Returns: Steps in the order of `order`, as many as the limit leaves room for.
    package func ready(finished: Set<String>, running: Set<String>, limit: Int? = nil) -> [String] {
        var room = limit.map { $0 - running.count } ?? Int.max
        var ready: [String] = []
        for step in indexOrder where room > 0 {
            let uuid = uuids[step]
            guard !finished.contains(uuid), !running.contains(uuid),
                parentIndices[step].allSatisfy({ finished.contains(uuids[$0]) })
            else { continue }
            ready.append(uuid)
            room -= 1
        }
        return ready
    }
}

/// Numbers of which the smallest can be taken: a binary heap.
private struct SmallestFirst {
    private var heap: [Int] = []

    mutating func insert(_ number: Int) {
        heap.append(number)
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func removeSmallest() -> Int? {
        guard let smallest = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return smallest }
        heap[0] = last
        var at = 0
        while true {
            let children = (2 * at + 1..<2 * at + 3).filter { $0 < heap.count }
            guard let child = children.min(by: { heap[$0] < heap[$1] }), heap[child] < heap[at] else { return smallest }
            heap.swapAt(at, child)
            at = child
        }
    }
}
