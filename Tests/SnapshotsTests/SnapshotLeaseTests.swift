import Dispatch
import Glibc
import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct SnapshotLeaseTests {
    @Test func `a snapshot just taken stays until its lease ends, though nothing refers to it`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let store = try scratch.store()
            let project = try scratch.open("project")
            let request = CaptureRequest(project: project.number, source: "p")
            let report = try store.capture(request)
            let identity = report.snapshot.identity
            #expect(throws: SnapshotError.self) { try store.remove(identity) }
            try store.prune([identity], references: { [] })
            #expect(try store.list().snapshots.count == 1)
            // One that was there already is leased as well.
            let again = try store.capture(request)
            #expect(!again.isNew)
            report.lease.end()
            try store.prune([identity], references: { [] })
            #expect(try store.list().snapshots.count == 1)
            again.lease.end()
            var removed: [SnapshotIdentity] = []
            try store.prune([identity], references: { [] }, removed: { removed.append($0) })
            #expect(removed == [identity])
            #expect(try scratch.names("store/snapshots/staging").isEmpty)
            let error = #expect(throws: SnapshotError.self) { try store.lease(identity) }
            #expect(error?.reason == .notFound)
        }
    }

    @Test func `a reference written before the lease ended is seen by a prune that had listed its candidates`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let store = try scratch.store()
            let identity = try scratch.capture().snapshot.identity
            let lease = try store.lease(identity)
            let references = Mutex<Set<SnapshotIdentity>>([])
            // The candidates are known; then the job appears and its lease ends; then the prune goes on.
            references.withLock { _ = $0.insert(identity) }
            lease.end()
            try store.prune([identity], references: { references.withLock { $0 } })
            #expect(try store.list().snapshots.count == 1)
        }
    }

    @Test func `whoever leases while a prune decides gets the snapshot, or hears that it is gone`() throws {
        try Scratch.with { scratch in
            try scratch.write("project/a", "x")
            let store = try scratch.store()
            for isReferenced in [true, false] {
                let identity = try scratch.capture().snapshot.identity
                let outcome = Mutex<String>("")
                let group = DispatchGroup()
                try store.prune([identity]) {
                    // The lock is held now: the lease has to wait for the decision.
                    DispatchQueue.global().async(group: group) {
                        let isLeased = (try? store.lease(identity)) != nil
                        outcome.withLock { $0 = isLeased ? "leased" : "gone" }
                    }
                    Syscall.sleep(nanoseconds: 50_000_000)
                    #expect(outcome.withLock { $0 }.isEmpty)
                    return isReferenced ? [identity] : []
                }
                group.wait()
                #expect(outcome.withLock { $0 } == (isReferenced ? "leased" : "gone"))
            }
        }
    }

    @Test func `captures and prunes at once never leave a lease on nothing`() throws {
        try Scratch.with { scratch in
            for number in 0..<20 { try scratch.write("project/\(number)", "x") }
            let store = try scratch.store()
            DispatchQueue.concurrentPerform(iterations: 4) { thread in
                for _ in 0..<20 {
                    do {
                        if thread % 2 == 0 {
                            let project = try scratch.open("project")
                            let report = try store.capture(CaptureRequest(project: project.number, source: "p"))
                            let tree = report.snapshot.layers[0]
                            #expect(try Syscall.readFile(tree.appending("7"), limit: 10) == Array("x".utf8))
                            report.lease.end()
                        } else {
                            try store.prune(try store.list().snapshots.map(\.identity), references: { [] })
                        }
                    } catch {
                        Issue.record("\(error)")
                    }
                }
            }
        }
    }
}
