import Isolation
import Jobs
import Testing

@testable import JobScheduling

@Suite("What notifications carry") struct NotificationTests {
    private func record(facts: String) -> NotificationRecord {
        NotificationRecord(
            id: "0123", notifier: "ops", event: "run.failed", job: "job", facts: facts,
            time: Timestamp(seconds: 1_800_000_000))
    }

    /// The example of the specification of Standard Webhooks.
    @Test func `a signature is that of the specification's example`() {
        let fields = WebhookSignature.fields(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", time: 1_614_265_330, body: Array(#"{"test": 2432232314}"#.utf8),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        #expect(
            fields == [
                "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330",
                "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ])
        #expect(WebhookSignature.fields(id: "a", time: 1, body: [], secret: nil).count == 2)
    }

    @Test func `a body is printable ASCII whatever a job is called`() throws {
        let body = NotificationBody.bytes(
            of: record(facts: #"{"job":{"name":"\u0000\u001b\"\\\u202e\ud83d\ude00é"}}"#))
        #expect(body.allSatisfy { (0x20...0x7E).contains($0) })
        let text = String(decoding: body, as: UTF8.self)
        #expect(text.contains(#"\u001b\"\\\u202e\ud83d\ude00\u00e9"#), "\(text)")
        #expect(text.contains(#""event":"run.failed""#) && text.contains(#""id":"0123""#))
    }

    @Test func `what grows beyond a request is left out, and the cause stays`() {
        let long = String(repeating: "é", count: 20_000)
        let body = NotificationBody.bytes(
            of: record(facts: #"{"run":{"index":7,"parameters":"\#(long)","verdict":{"cause":"exit","summary":"x"}}}"#))
        let text = String(decoding: body, as: UTF8.self)
        #expect(body.count < 1000 && text.contains(#""cause":"exit""#) && text.contains(#""index":7"#))
    }
}
