import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Notifications") struct NotificationTests {
    private func notifier(
        _ name: String, _ events: [NotificationEvent] = NotificationEvent.allCases, jobs: [String] = []
    ) -> Notifier {
        Notifier(name: name, events: events, jobs: jobs, means: .command(.init(path: "/bin/true")), timeLimit: 10)
    }

    private func told(_ database: JobDatabase, _ name: String) throws -> [String] {
        try database.notifications(of: name, limit: 100).reversed().map {
            $0.event + ($0.run.map { " \($0)" } ?? "")
        }
    }

    @Test func `ends of runs and jobs are noted with the change, for whom they concern`() throws {
        try withDatabase { database in
            try database.set(
                [
                    notifier("all"), notifier("failures", [.runFailed, .jobFailed]), notifier("other", jobs: ["x*"]),
                    notifier("brackets", [.jobFailed], jobs: ["job [1]", "job ?"]),
                ], at: time(0))
            let job = try database.add(document { $0.retries = 1 }, runs: 2)
            try database.end(try #require(try database.claim()))
            let run = try #require(try database.claim())
            // An attempt that is followed by another one is no end.
            try database.end(run, .exit)
            #expect(try told(database, "all") == ["run.succeeded 0"])
            try database.end(try #require(try database.claim()), .exit)
            #expect(try told(database, "all") == ["run.succeeded 0", "run.failed 1", "job.failed"])
            #expect(try told(database, "failures") == ["run.failed 1", "job.failed"])
            #expect(try told(database, "other").isEmpty)
            #expect(try told(database, "brackets") == ["job.failed"])
            let facts = try #require(try database.notifications(of: "failures", limit: 2).last?.facts)
            #expect(
                facts.contains(#""cause":"exit""#) && facts.contains(#""seed":1"#) && facts.contains(#""attempt":2"#))
            #expect(try Set(database.notifications(limit: 100).map(\.id)).count == 6)
            #expect(try database.job(job).state == .failed)
        }
    }

    @Test func `nobody is told where there is nobody, and what waits for somebody who is gone is given up`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 3)
            try database.end(try #require(try database.claim()))
            #expect(try database.notifications(limit: 10).isEmpty && database.nextNotificationTime() == nil)
            try database.set([notifier("all")], at: time(0))
            try database.apply(.cancel, to: job, at: time(300))
            #expect(try told(database, "all") == ["run.cancelled 1", "run.cancelled 2", "job.cancelled"])
            try database.set([], at: time(301))
            #expect(try database.nextNotificationTime() == nil)
            #expect(try database.notifications(limit: 10).allSatisfy { $0.state == .givenUp })
        }
    }

    @Test func `who does not answer is left alone for a while, and others are told meanwhile`() throws {
        try withDatabase { database in
            try database.set([notifier("deaf", [.runSucceeded]), notifier("good", [.runSucceeded])], at: time(0))
            try database.add(document(), runs: 2)
            for _ in 0..<2 { try database.end(try #require(try database.claim())) }
            let first = try #require(try database.nextNotification(at: time(1000)))
            try database.beginDelivery(of: first.sequence, retryAt: time(1100))
            try database.endDelivery(of: first, as: .waiting, answer: "no", retryAt: time(1010), at: time(1001))
            var order: [String] = []
            while let next = try database.nextNotification(at: time(1002)) {
                order.append(next.notifier)
                try database.beginDelivery(of: next.sequence, retryAt: time(1100))
                try database.endDelivery(of: next, as: .delivered, answer: "yes", retryAt: time(0), at: time(1003))
            }
            #expect(order.count == 2 && Set(order).count == 1 && order.first != first.notifier)
            #expect(try database.nextNotificationTime() == time(1010))
            #expect(try database.waitingNotifications() == [first.notifier: 2])
            #expect(try database.nextNotification(at: time(1010))?.attempts == 1)
        }
    }

    @Test func `each notifier has a queue of its own`() throws {
        try withDatabase { database in
            try database.set([notifier("a", [.runSucceeded]), notifier("b", [.runSucceeded])], at: time(0))
            try database.add(document(), runs: 2)
            for _ in 0..<2 { try database.end(try #require(try database.claim())) }
            #expect(try Set(database.dueNotifiers(at: time(1000))) == ["a", "b"])
            #expect(try database.dueNotifiers(at: time(0)).isEmpty)
            var count = 0
            while let next = try database.nextNotification(of: "b", at: time(1000)) {
                #expect(next.notifier == "b")
                try database.beginDelivery(of: next.sequence, retryAt: time(1100))
                try database.endDelivery(of: next, as: .delivered, answer: "yes", retryAt: time(0), at: time(1003))
                count += 1
            }
            #expect(try count == 2 && database.dueNotifiers(at: time(1000)) == ["a"])
            #expect(try database.nextNotificationTime(of: "b") == nil)
            #expect(try database.nextNotificationTime(of: "a") == database.nextNotificationTime())
        }
    }

    @Test func `a batch of a schedule is told when its last run ends`() throws {
        try withDatabase { database in
            try database.set([notifier("all", [.batchFailed, .batchSucceeded, .jobFailed])], at: time(0))
            var nightly = try document()
            nightly.batches = JobBatches(made: 1)
            nightly.batches.next = time(9000)
            try database.add(nightly, runs: 1)
            try database.end(try #require(try database.claim()), .exit)
            #expect(try told(database, "all") == ["batch.failed"])
        }
    }

    @Test func `waits grow, end, and follow what a server asks for within bounds`() {
        let waits = (1..<NotificationBackoff.mostAttempts).compactMap { NotificationBackoff.wait(afterAttempts: $0) }
        #expect(waits == waits.sorted() && waits.count == NotificationBackoff.mostAttempts - 1)
        #expect(NotificationBackoff.wait(afterAttempts: NotificationBackoff.mostAttempts) == nil)
        #expect(NotificationBackoff.wait(afterAttempts: 1, asked: 60) == 60)
        #expect(NotificationBackoff.wait(afterAttempts: 1, asked: 1e9) == 3600)
        #expect(NotificationBackoff.wait(afterAttempts: 1, asked: -5) == waits.first)
    }
}
