import Testing

@testable import Pipelines

struct StepGraphTests {
    private func graph(_ parents: [[Int]]) throws -> StepGraph {
        let steps = parents.enumerated().map { Samples.step($0, title: "S\($0)", file: "a.py", from: $1) }
        return StepGraph(try Samples.pipeline(steps))
    }

    private func uuids(_ numbers: [Int]) -> [String] { numbers.map(Samples.uuid) }

    @Test func `steps come after those they need, otherwise in file order`() throws {
        let graph = try graph([[4], [0], [], [0, 2], []])
        #expect(graph.order == uuids([2, 4, 0, 1, 3]))
        #expect(graph.levels == [uuids([2, 4]), uuids([0]), uuids([1, 3])])
        #expect(graph.parents(of: Samples.uuid(3)) == uuids([0, 2]))
        #expect(graph.children(of: Samples.uuid(0)) == uuids([1, 3]))
        #expect(graph.descendants(of: Samples.uuid(4)) == Set(uuids([0, 1, 3])))
        #expect(graph.parents(of: "none").isEmpty && graph.children(of: "none").isEmpty)
        #expect(graph.descendants(of: "none").isEmpty)
    }

    @Test func `a pipeline without steps has no order`() throws {
        let graph = try graph([])
        #expect(graph.order.isEmpty && graph.levels.isEmpty)
        #expect(graph.ready(finished: [], running: []).isEmpty)
    }

    @Test func `steps are ready when all they need is finished, within the limit`() throws {
        let graph = try graph([[], [], [0, 1], [1], []])
        #expect(graph.ready(finished: [], running: []) == uuids([0, 1, 4]))
        #expect(graph.ready(finished: [], running: [], limit: 2) == uuids([0, 1]))
        #expect(graph.ready(finished: [], running: Set(uuids([0, 1])), limit: 2) == [])
        #expect(graph.ready(finished: Set(uuids([1])), running: Set(uuids([0])), limit: 2) == uuids([3]))
        #expect(graph.ready(finished: Set(uuids([0, 1])), running: Set(uuids([4])), limit: nil) == uuids([2, 3]))
        #expect(graph.ready(finished: Set(uuids([0, 1, 2, 3, 4])), running: []) == [])
        #expect(graph.ready(finished: [], running: Set(uuids([0, 1, 4])), limit: 1) == [])
    }

    @Test(arguments: [1, 7, 23])
    func `random graphs are ordered and run to their end`(seed: UInt64) throws {
        var generator = Lehmer(state: seed)
        let parents = (0..<60).map { step in (0..<step).filter { _ in Int.random(in: 0..<12, using: &generator) == 0 } }
        let graph = try graph(parents)
        let place = Dictionary(uniqueKeysWithValues: graph.order.enumerated().map { ($1, $0) })
        for (step, parents) in parents.enumerated() {
            for parent in parents { #expect(place[Samples.uuid(parent)]! < place[Samples.uuid(step)]!) }
        }
        var finished: Set<String> = []
        while finished.count < 60 {
            let ready = graph.ready(finished: finished, running: [], limit: 3)
            try #require(!ready.isEmpty && ready.count <= 3)
            finished.formUnion(ready)
        }
    }

    @Test func `ten thousand steps in a row or side by side are no problem`() throws {
        let chain = try graph((0..<10_000).map { $0 == 0 ? [] : [$0 - 1] })
        #expect(chain.levels.count == 10_000)
        #expect(chain.order.last == Samples.uuid(9999))
        #expect(chain.descendants(of: Samples.uuid(0)).count == 9999)
        let star = try graph((0..<10_000).map { $0 == 0 ? [] : [0] })
        #expect(star.levels.map(\.count) == [1, 9999])
        #expect(star.ready(finished: [Samples.uuid(0)], running: [], limit: 4) == uuids([1, 2, 3, 4]))
    }
}
