import Testing

@testable import Snapshots

struct PassedDataTests {
    private func told(_ kind: SnapshotDifference.Kind, _ paths: [String]) -> [String] {
        paths.map { SnapshotDifference(path: Array($0.utf8), kind: kind) }
            .withoutPassedData.map { String(decoding: $0.path, as: UTF8.self) }
    }

    @Test func `data that steps pass on is left out, with the directories that are there for it`() {
        let paths = [
            ".orchest", ".orchest/pipelines", ".orchest/pipelines/a", ".orchest/pipelines/a/data",
            ".orchest/pipelines/a/data/b", ".orchest/pipelines/a/data/b/HEAD", "result",
        ]
        #expect(told(.extra, paths) == ["result"])
        #expect(told(.missing, paths) == ["result"])
        #expect(told(.changed([.mode]), [".orchest", ".orchest/pipelines/a/data"]) == [".orchest"])
    }

    @Test func `what else is there is told, and so are the directories above it`() {
        let paths = [
            ".orchest", ".orchest/pipelines", ".orchest/pipelines/a", ".orchest/pipelines/a/datum", ".orchestra",
            "data", "pipelines/a/data",
        ]
        #expect(told(.extra, paths) == paths)
        #expect(told(.extra, [".orchest", ".orchest/pipelines/a/logs", ".orchest/x"]) == [".orchest", ".orchest/x"])
    }
}
