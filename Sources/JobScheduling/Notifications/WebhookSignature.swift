import FoundationEssentials
import Snapshots

/// The signature of a webhook, as the Standard Webhooks specification has it: `webhook-id`, `webhook-timestamp` and
/// `webhook-signature`.
package enum WebhookSignature {
    /// The fields of a delivery at that time, in seconds since 1970; without a key there is no signature.
    ///
    /// `v1,` and the base64 of HMAC-SHA256 over `ID.TIME.BODY`; the key is the secret's bytes, or, where that begins with
    /// `whsec_`, what the rest of it says in base64.
    package static func fields(id: String, time: Int64, body: [UInt8], secret: String?) -> [String] {
        var fields = ["webhook-id: \(id)", "webhook-timestamp: \(time)"]
        if let secret {
            let code = KeyedDigest.sha256(of: Array("\(id).\(time).".utf8) + body, key: key(secret))
            fields.append("webhook-signature: v1,\(Data(code).base64EncodedString())")
        }
        return fields
    }

    private static let prefix = "whsec_"

    static func key(_ secret: String) -> [UInt8] {
        guard secret.hasPrefix(prefix), let key = Data(base64Encoded: String(secret.dropFirst(prefix.count)))
        else { return Array(secret.utf8) }
        return Array(key)
    }
}
