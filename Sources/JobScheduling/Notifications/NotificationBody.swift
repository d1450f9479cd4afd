import Environments
package import Isolation
package import Jobs
import Pipelines

/// What is sent of a notification: a JSON object in printable ASCII, whatever is in the names and verdicts of jobs.
package enum NotificationBody {
    /// The bytes, without a line end.
    package static func bytes(of record: NotificationRecord) -> [UInt8] {
        var object = head(of: record)
        let facts = (try? JSONValue(parsing: record.facts))?.objectValue ?? JSONObject()
        for entry in facts.entries { object[entry.key] = entry.value }
        let whole = escaped(JSONValue.object(object).text(pretty: false, sortedKeys: false))
        if whole.count <= WebMessage.bodyLimit { return whole }
        // Each escape takes six bytes: parameters and verdicts that grew beyond the limit are left out.
        if var run = object["run"]?.objectValue {
            run["parameters"] = .null
            run["verdict"] = run["verdict"]?.objectValue?["cause"].map { cause in
                var verdict = JSONObject()
                verdict["cause"] = cause
                return .object(verdict)
            }
            object["run"] = .object(run)
        }
        return escaped(JSONValue.object(object).text(pretty: false, sortedKeys: false))
    }

    private static func head(of record: NotificationRecord) -> JSONObject {
        var object = JSONObject()
        object["id"] = .string(record.id)
        object["event"] = .string(record.event)
        object["time"] = .string(record.time.description)
        object["notifier"] = .string(record.notifier)
        return object
    }

    /// JSON text with everything beyond printable ASCII as `\\u` escapes.
    static func escaped(_ json: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(json.utf8.count)
        for unit in json.utf16 {
            if (0x20...0x7E).contains(unit) {
                bytes.append(UInt8(unit))
            } else {
                let digits = String(unit, radix: 16)
                bytes +=
                    Array("\\u".utf8) + Array(repeating: UInt8(ascii: "0"), count: 4 - digits.utf8.count) + digits.utf8
            }
        }
        return bytes
    }

    /// A new identity: 32 hexadecimal digits by chance.
    package static func newIdentity() -> String {
        [UInt64.random(in: 0 ... .max), .random(in: 0 ... .max)].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }

    /// An example of what is sent.
    package static func example(for notifier: String, id: String, at time: Timestamp) -> NotificationRecord {
        NotificationRecord(
            id: id, notifier: notifier, event: "test", job: "example", facts: #"{"job":{"name":"example"}}"#, time: time
        )
    }
}
