import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

/// Builds that are used are not removed, and builds that are being removed are not used.
@Suite struct BuildHoldTests {
    private func layered(in directory: FilePath) throws -> (EnvironmentBuilder, base: BuildRecord, layer: BuildRecord) {
        let builder = try EnvironmentBuilderTests.builder(directory, FakeExecutor())
        let base = try builder.build(try EnvironmentBuilderTests().base, isCancelled: { false }, report: { _ in })
        let layer = try builder.build(
            try EnvironmentBuilderTests.project("true"), on: base, recipe: nil, key: try #require(EnvironmentName("k")),
            project: nil, isCancelled: { false }, report: { _ in })
        return (builder, base, layer)
    }

    @Test func `a build that is held, and those below it, cannot be seized until it is let go`() throws {
        try withScratch { directory in
            let (builder, base, layer) = try layered(in: directory)
            do {
                let first = try builder.store.hold(layer)
                let second = try builder.store.hold(layer)
                for build in [base.id, layer.id] { #expect(try builder.store.seize(build) == nil) }
                withExtendedLifetime((first, second)) {}
            }
            for build in [base.id, layer.id] { #expect(try builder.store.seize(build) != nil) }
        }
    }

    @Test func `a build that is finished is held until it is in force`() throws {
        try withScratch { directory in
            let (builder, base, _) = try layered(in: directory)
            var record = base
            record.id = "finished"
            let held = try builder.store.publish(try builder.store.stage(), record)
            #expect(try builder.store.seize("finished") == nil)
            withExtendedLifetime(held) {}
        }
    }

    @Test func `a build that is seized or removed is unknown to who wants to use it`() throws {
        try withScratch { directory in
            let (builder, base, layer) = try layered(in: directory)
            let seized = try builder.store.seize(base.id)
            #expect(throws: StoreError.unknownBuild(base.id)) { _ = try builder.store.hold(layer) }
            withExtendedLifetime(seized) {}
            try builder.remove(base.id)
            #expect(throws: StoreError.unknownBuild(base.id)) { _ = try builder.store.hold(layer) }
            #expect(try builder.store.seize(base.id) != nil, "what is gone belongs to nobody")
            #expect(throws: BuildError.store(.unknownBuild(base.id))) {
                _ = try builder.build(
                    try EnvironmentBuilderTests.project("false"), on: base, recipe: nil,
                    key: try #require(EnvironmentName("k")), project: nil, isCancelled: { false }, report: { _ in })
            }
        }
    }

    @Test func `a kept build whose record cannot be read keeps everything, and one that is lost keeps nothing`() throws
    {
        try withScratch { directory in
            let (builder, base, layer) = try layered(in: directory)
            for name in try builder.store.names() { try builder.store.forget(name) }
            #expect(try builder.store.unused(keeping: [layer.id]) == [])
            #expect(Set(try builder.store.unused(keeping: ["lost"])) == [base.id, layer.id])
            try Syscall.writeFile(builder.store.path(of: layer.id).appending("build.json"), Array("{".utf8))
            #expect(throws: StoreError.self) { _ = try builder.store.unused(keeping: [layer.id]) }
        }
    }
}
